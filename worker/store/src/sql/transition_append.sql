/* transition_append */
WITH numbered AS (
    UPDATE operations SET transitions = transitions + 1 WHERE id = ANY($1::uuid[])
    RETURNING id, transitions AS sequence, tenant
), appended AS (
    INSERT INTO transitions (operation_id, sequence, tenant, from_state, to_state, state_data, trace)
    SELECT id, sequence, tenant, $2, $3, $4, $5 FROM numbered
)
-- A receiver that is new is told from here on. One that is being told, waits or is parked goes on as
-- it was; one that knew all is told at once.
INSERT INTO notifications (operation_id, receiver, written, delivered, next_wake_at)
SELECT numbered.id, receivers.name, numbered.sequence, numbered.sequence - 1, now()
FROM numbered JOIN receivers ON receivers.tenant = numbered.tenant
ON CONFLICT (operation_id, receiver) DO UPDATE
SET written = EXCLUDED.written,
    next_wake_at = CASE
        WHEN notifications.parked_reason IS NULL THEN COALESCE(notifications.next_wake_at, EXCLUDED.next_wake_at)
    END
