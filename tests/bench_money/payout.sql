BEGIN;
INSERT INTO operations (id, tenant, kind, idempotency_key, request_hash, request, provider, account, state,
    state_data, amount, asset, version, transitions, next_wake_at)
VALUES (gen_random_uuid(), 'default', 'payout', gen_random_uuid()::text, decode(repeat('ab', 32), 'hex'),
    '{"kind": "payout", "to": {"crypto": {"address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm", "network": "TRON"}}, "money": {"asset": "USDT", "amount": "15.5"}}',
    'heleket', 'default', 'submitting', '{"state": "submitting", "intent": 1}', 15.5, 'USDT', 2, 2,
    now() + interval '90 s') RETURNING id AS op \gset
INSERT INTO transitions (operation_id, sequence, tenant, from_state, to_state, state_data, trace)
VALUES (:op::uuid, 1, 'default', NULL, 'requested', '{"state": "requested"}', '{}'),
    (:op::uuid, 2, 'default', 'requested', 'submitting', '{"state": "submitting", "intent": 1}', '{}');
INSERT INTO operation_history (operation_id, version, step, from_state, to_state, event, job_id, worker)
VALUES (:op::uuid, 2, 0, 'requested', 'submitting', '{"event": "intent_opened", "intent": 1}', :op::uuid, 'pgbench');
INSERT INTO intents (operation_id, number, action, provider, account, provider_key, reference, request_hash, attempts)
VALUES (:op::uuid, 1, 'payout', 'heleket', 'default', :op::text, :op::text, decode(repeat('ab', 32), 'hex'), 1);
COMMIT;
BEGIN;
SELECT 1 FROM operations WHERE id = :op::uuid AND version = 2 FOR UPDATE;
INSERT INTO operation_history (operation_id, version, step, from_state, to_state, event, job_id, worker)
VALUES (:op::uuid, 3, 0, 'submitting', 'settled',
    '{"event": "called", "intent": 1, "outcome": {"outcome": "accepted", "report": {"provider_ref": "a7c0caec-a594-4aaa-b1c4-77d511857594", "progress": {"progress": "succeeded"}, "raw_status": "paid", "money": {"asset": "USDT", "amount": "15.5"}, "destination": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm", "network": "TRON", "tx_hash": "7d9bb8dc1b9d3a2d6b4d8e1a2f3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a"}}}',
    :op::uuid, 'pgbench');
INSERT INTO movements (operation_id, event) VALUES (:op::uuid, 'settled') RETURNING id AS movement \gset
INSERT INTO postings (movement_id, line, account, unit, amount)
VALUES (:movement::bigint, 1, 'provider:' || 'heleket:' || 'default', 'USDT', -15.5), (:movement::bigint, 2, 'payouts:' || 'default', 'USDT', 15.5);
INSERT INTO transitions (operation_id, sequence, tenant, from_state, to_state, state_data, trace)
VALUES (:op::uuid, 3, 'default', 'submitting', 'settled', '{"state": "settled", "provider_ref": "a7c0caec-a594-4aaa-b1c4-77d511857594", "tx_hash": "7d9bb8dc1b9d3a2d6b4d8e1a2f3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a", "moved": {"asset": "USDT", "amount": "15.5"}}', '{}');
INSERT INTO intent_attempts (operation_id, intent, purpose, class, code, message, http_status, duration_ms, worker)
VALUES (:op::uuid, 1, 'call', 'accepted', 'paid', '', 200, 1, 'pgbench');
UPDATE intents SET closed_at = now(), outcome = 'settled' WHERE operation_id = :op::uuid AND closed_at IS NULL;
UPDATE operations SET version = 3, transitions = 3, state = 'settled', state_data = '{"state": "settled", "provider_ref": "a7c0caec-a594-4aaa-b1c4-77d511857594", "tx_hash": "7d9bb8dc1b9d3a2d6b4d8e1a2f3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a", "moved": {"asset": "USDT", "amount": "15.5"}}',
    provider_ref = :op::text, next_wake_at = NULL, updated_at = now()
WHERE id = :op::uuid AND version = 2;
COMMIT;
