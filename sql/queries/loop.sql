-- name: try_lock$
-- One process of all does what a number stands for: the one that holds its lock. It is freed with its connection.
SELECT pg_try_advisory_lock(:number);
