/* operations_statistics */
SELECT CASE WHEN $9::boolean THEN kind END AS kind,
    CASE WHEN $10::boolean THEN provider END AS provider,
    asset,
    CASE WHEN $11::boolean THEN state END AS state,
    CASE WHEN $12::boolean THEN (created_at AT TIME ZONE 'UTC')::date END AS day,
    count(*) AS "count!",
    trim_scale(sum(amount))::text AS amount
FROM operations
WHERE tenant = $1
    AND ($2::text IS NULL OR kind = $2)
    AND ($3::text IS NULL OR state = $3)
    AND ($4::text IS NULL OR provider = $4)
    AND ($5::text IS NULL OR asset = $5)
    AND ($6::boolean IS NULL OR (parked IS NOT NULL) = $6)
    AND ($14::text IS NULL OR origin = $14)
    AND created_at >= $7
    AND created_at < $8
GROUP BY 1, 2, 3, 4, 5
ORDER BY 5 DESC, 1, 2, 3, 4
LIMIT $13
