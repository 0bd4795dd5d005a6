-- Who rated what, a row for each user and game. Put your own model into ref(), and your own columns in front of AS.
-- recsys reads ANALYTICS.MART_USER_RATINGS, unless source.ratings_table of recsys.toml names another table.
{{ config(materialized='table') }}

SELECT
    CAST(user_id AS BIGINT) AS USER_ID,
    CAST(game_id AS BIGINT) AS GAME_ID,
    CAST(rating AS DOUBLE) AS RATING
FROM {{ ref('stg_ratings') }}
