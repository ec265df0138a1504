/* audit_schedules */
-- The payouts of a schedule that have neither failed nor come back pay no more than was said to be owed.
SELECT paid.origin_id AS "id!", paid.amount::text AS "paid!", COALESCE(owed.amount, 0)::text AS "owed!"
FROM (
    SELECT origin_id, asset, sum(amount) AS amount FROM operations
    WHERE origin = 'scheduled' AND state NOT IN ('failed', 'returned') GROUP BY origin_id, asset
) AS paid
LEFT JOIN (
    SELECT operation_id, event #>> '{money,asset}' AS asset, sum((event #>> '{money,amount}')::numeric) AS amount
    FROM inbox WHERE event ->> 'event' = 'owed' AND applied_at IS NOT NULL GROUP BY 1, 2
) AS owed ON owed.operation_id = paid.origin_id AND owed.asset = paid.asset
WHERE paid.amount > COALESCE(owed.amount, 0)
