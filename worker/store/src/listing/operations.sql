/* operations_page */
SELECT id, kind, idempotency_key, provider, account, state, amount, asset, request, provider_ref,
    state_data, parked, parked_reason, created_at, updated_at
FROM operations
WHERE tenant = $1
    AND ($2::text IS NULL OR kind = $2)
    AND ($3::text IS NULL OR state = $3)
    AND ($4::text IS NULL OR provider = $4)
    AND ($5::text IS NULL OR asset = $5)
    AND ($6::boolean IS NULL OR (parked IS NOT NULL) = $6)
    AND ($7::timestamptz IS NULL OR created_at >= $7)
    AND ($8::timestamptz IS NULL OR created_at < $8)
    AND ($12::text IS NULL OR origin = $12)
    AND ($9::timestamptz IS NULL OR (created_at, id) < ($9, $10))
ORDER BY created_at DESC, id DESC
LIMIT $11
