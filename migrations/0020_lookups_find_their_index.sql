-- Look-ups by a provider's name of something have one index that fits. Of a provider that has come lately
-- statistics know nothing, and every index that begins with it looked like one row to the planner, which
-- then read all that the provider has for each look-up.
SET lock_timeout = '5s';

DROP INDEX operations_created;
DROP INDEX intents_opened;
CREATE INDEX intents_opened ON intents (opened_at, operation_id, provider, account);

-- A share of a long table is changed late: statistics are renewed by count.
ALTER TABLE operations SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
ALTER TABLE intents SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
ALTER TABLE webhook_events SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
ALTER TABLE deposit_addresses SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
ALTER TABLE deposits SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
