\set n random(1, 1000000000000)
INSERT INTO webhook_events (provider, event_key, body_hash, event_type, variant, status, received_at)
VALUES ('heleket', :n::text, decode(md5(:n::text), 'hex'), 'payout', false, 'processed', now())
ON CONFLICT ON CONSTRAINT webhook_events_once DO NOTHING;
