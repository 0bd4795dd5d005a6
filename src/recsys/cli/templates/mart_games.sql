-- The games that may be recommended, a row for each. Put your own model into ref(), and your own columns in front of AS.
-- recsys reads ANALYTICS.MART_GAMES, unless source.games_table of recsys.toml names another table.
{{ config(materialized='table') }}

SELECT
    CAST(game_id AS BIGINT) AS GAME_ID,
    CAST(name AS VARCHAR) AS NAME,
    CAST(description AS VARCHAR) AS DESCRIPTION,
    CAST(categories AS VARCHAR) AS CATEGORIES,
    CAST(mechanics AS VARCHAR) AS MECHANICS
FROM {{ ref('stg_games') }}
