/* transition_append_first */
WITH begun AS (
    UPDATE operations SET transitions = 1 WHERE id = ANY($1::uuid[]) RETURNING id, tenant
), appended AS (
    INSERT INTO transitions (operation_id, sequence, tenant, from_state, to_state, state_data, trace)
    SELECT id, 1, tenant, NULL, $2, $3, $4 FROM begun
)
INSERT INTO notifications (operation_id, receiver, written, delivered, next_wake_at)
SELECT begun.id, receivers.name, 1, 0, now()
FROM begun JOIN receivers ON receivers.tenant = begun.tenant
