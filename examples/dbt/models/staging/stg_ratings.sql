-- Who rated a game twice counts once: the latest, and of two at one moment the higher.
SELECT user_id, game_id, score AS rating, rated_at
FROM {{ source('raw', 'ratings') }}
QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id, game_id ORDER BY rated_at DESC, score DESC) = 1
