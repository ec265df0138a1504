/* operation_insert */
-- Made and claimed at once: until this is committed nobody else can see it.
WITH inserted AS (
    INSERT INTO operations
        (id, tenant, kind, idempotency_key, request_hash, request, provider, account, state, state_data,
         subject_id, amount, asset, origin, origin_id, version, transitions, next_wake_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $16, $17, 1, 1, now() + make_interval(secs => $14::float8 / 1000))
    ON CONFLICT DO NOTHING
    RETURNING id, tenant
), appended AS (
    INSERT INTO transitions (operation_id, sequence, tenant, from_state, to_state, state_data, trace)
    SELECT id, 1, tenant, NULL, $9, $10, $15 FROM inserted
), notified AS (
    INSERT INTO notifications (operation_id, receiver, written, delivered, next_wake_at)
    SELECT inserted.id, receivers.name, 1, 0, now()
    FROM inserted JOIN receivers ON receivers.tenant = inserted.tenant
)
SELECT true AS "made!" FROM inserted
