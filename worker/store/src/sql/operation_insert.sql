/* operation_insert */
-- Made and claimed at once: until this is committed nobody else can see it.
WITH inserted AS (
    INSERT INTO operations
        (id, tenant, kind, idempotency_key, request_hash, request, provider, account, state, state_data,
         subject_id, amount, asset, version, transitions, next_wake_at, origin, origin_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $15, cardinality($22::text[]),
        now() + make_interval(secs => $14::float8 / 1000), $25, $26)
    ON CONFLICT DO NOTHING
    RETURNING id, tenant, version, transitions
), history AS (
    INSERT INTO operation_history (operation_id, version, step, from_state, to_state, event, job_id, worker)
    SELECT inserted.id, inserted.version, one.place - 1, one.from_state, one.to_state, one.event, $16, $17
    FROM inserted, UNNEST($18::text[], $19::text[], $20::jsonb[])
        WITH ORDINALITY AS one (from_state, to_state, event, place)
    ORDER BY one.place
), appended AS (
    INSERT INTO transitions (operation_id, sequence, tenant, from_state, to_state, state_data, trace)
    SELECT inserted.id, one.place, inserted.tenant, NULLIF(one.from_state, ''), one.to_state, one.state_data, $21
    FROM inserted, UNNEST($22::text[], $23::text[], $24::jsonb[])
        WITH ORDINALITY AS one (from_state, to_state, state_data, place)
    ORDER BY one.place
), notified AS (
    INSERT INTO notifications (operation_id, receiver, written, delivered, next_wake_at)
    SELECT inserted.id, receivers.name, inserted.transitions, 0, now()
    FROM inserted JOIN receivers ON receivers.tenant = inserted.tenant
)
SELECT true AS "made!" FROM inserted
