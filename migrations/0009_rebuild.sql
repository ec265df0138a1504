-- What a rebuild looks for is rare, and these indexes hold only that.
SET lock_timeout = '5s';

CREATE INDEX operations_parked ON operations (id) WHERE parked IS NOT NULL;
CREATE INDEX webhook_events_unhandled ON webhook_events (id) WHERE status IN ('received', 'parked');
CREATE INDEX reconciliation_runs_running ON reconciliation_runs (id) WHERE finished_at IS NULL;
CREATE INDEX dead_letters_of ON dead_letters (operation_id) WHERE redriven_at IS NULL;
