SELECT
    CAST(game_id AS BIGINT) AS GAME_ID,
    CAST(name AS VARCHAR) AS NAME,
    CAST(description AS VARCHAR) AS DESCRIPTION,
    CAST(categories AS VARCHAR) AS CATEGORIES,
    CAST(mechanics AS VARCHAR) AS MECHANICS
FROM {{ ref('stg_games') }}
