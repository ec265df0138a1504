-- Reconciliation runs: a provider's record of a window, compared with ours.
SET lock_timeout = '5s';

CREATE TABLE reconciliation_runs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id       uuid NOT NULL,
    provider     text NOT NULL,
    account      text NOT NULL,
    window_start timestamptz NOT NULL,
    window_end   timestamptz NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    listed       integer,
    held         integer,
    differences  integer,
    CONSTRAINT reconciliation_runs_once UNIQUE (job_id)
);

COMMENT ON COLUMN reconciliation_runs.listed IS 'entries in the provider''s record';
COMMENT ON COLUMN reconciliation_runs.held IS 'operations of ours in the same window';

ALTER TABLE discrepancies ADD COLUMN run_id bigint REFERENCES reconciliation_runs (id);
