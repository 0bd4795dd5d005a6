SELECT
    id AS game_id,
    title AS name,
    blurb AS description,
    category_list AS categories,
    mechanic_list AS mechanics
FROM {{ source('raw', 'games') }}
WHERE id IS NOT NULL
