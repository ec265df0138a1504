/* operation_save */
WITH news AS (
    SELECT EXISTS (SELECT 1 FROM inbox WHERE operation_id = $1 AND applied_at IS NULL) AS waits
), saved AS (
    UPDATE operations
    SET version = $3, state = $4, state_data = $5, provider_ref = COALESCE($6, provider_ref),
        next_wake_at = CASE WHEN news.waits THEN now() ELSE now() + make_interval(secs => $7::float8 / 1000) END,
        not_before = CASE WHEN $10 AND NOT news.waits THEN now() + make_interval(secs => $7::float8 / 1000) END,
        parked = CASE WHEN NOT news.waits THEN $8 END,
        parked_reason = CASE WHEN NOT news.waits THEN $9 END,
        transitions = transitions + cardinality($18::text[]),
        updated_at = now()
    FROM news WHERE id = $1 AND version = $2
    RETURNING id, tenant, transitions - cardinality($18::text[]) AS told, transitions, news.waits
), history AS (
    INSERT INTO operation_history (operation_id, version, step, from_state, to_state, event, job_id, worker)
    SELECT saved.id, $3, one.place - 1, one.from_state, one.to_state, one.event, $12, $13
    FROM saved, UNNEST($14::text[], $15::text[], $16::jsonb[])
        WITH ORDINALITY AS one (from_state, to_state, event, place)
    ORDER BY one.place
), appended AS (
    INSERT INTO transitions (operation_id, sequence, tenant, from_state, to_state, state_data, trace)
    SELECT saved.id, saved.told + one.place, saved.tenant, one.from_state, one.to_state, one.state_data, $17
    FROM saved, UNNEST($18::text[], $19::text[], $20::jsonb[])
        WITH ORDINALITY AS one (from_state, to_state, state_data, place)
    ORDER BY one.place
), notified AS (
    -- A receiver that is new is told from here on. One that is being told, waits or is parked goes on as
    -- it was; one that knew all is told at once.
    INSERT INTO notifications (operation_id, receiver, written, delivered, next_wake_at)
    SELECT saved.id, receivers.name, saved.transitions, saved.told, now()
    FROM saved JOIN receivers ON receivers.tenant = saved.tenant
    WHERE saved.transitions > saved.told
    ON CONFLICT (operation_id, receiver) DO UPDATE
    SET written = EXCLUDED.written,
        next_wake_at = CASE
            WHEN notifications.parked_reason IS NULL THEN COALESCE(notifications.next_wake_at, EXCLUDED.next_wake_at)
        END
), woken AS (
    -- What waits for this operation to come so far may go on, or learns that it never will.
    UPDATE operations SET next_wake_at = now()
    WHERE $11 AND subject_id = $1 AND state = 'requested' AND parked IS NULL AND next_wake_at > now()
)
SELECT waits AS "waits!" FROM saved
