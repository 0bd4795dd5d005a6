SELECT
    CAST(user_id AS BIGINT) AS USER_ID,
    CAST(game_id AS BIGINT) AS GAME_ID,
    CAST(rating AS DOUBLE) AS RATING,
    CAST(rated_at AS TIMESTAMP) AS RATED_AT
FROM {{ ref('stg_ratings') }}
