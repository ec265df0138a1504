-- Look-ups by a provider's name of something have one index that fits. Of a provider that has come lately
-- statistics know nothing, and every index that begins with it looked like one row to the planner, which
-- then read all that the provider has for each look-up.
SET lock_timeout = '5s';

-- Built before anything is dropped: readers wait for moments only.
CREATE INDEX intents_in_order ON intents (opened_at, operation_id, provider, account);
DROP INDEX intents_opened;
ALTER INDEX intents_in_order RENAME TO intents_opened;
DROP INDEX operations_created;

-- A tenth of a long table is changed late.
ALTER TABLE operations SET (autovacuum_analyze_scale_factor = 0.002, autovacuum_analyze_threshold = 500);
ALTER TABLE intents SET (autovacuum_analyze_scale_factor = 0.002, autovacuum_analyze_threshold = 500);
ALTER TABLE webhook_events SET (autovacuum_analyze_scale_factor = 0.002, autovacuum_analyze_threshold = 500);
ALTER TABLE deposit_addresses SET (autovacuum_analyze_scale_factor = 0.002, autovacuum_analyze_threshold = 500);
ALTER TABLE deposits SET (autovacuum_analyze_scale_factor = 0.002, autovacuum_analyze_threshold = 500);
