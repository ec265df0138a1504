-- What the report of a reconciliation run reads.
SET lock_timeout = '5s';

CREATE INDEX discrepancies_of_run ON discrepancies (run_id, id) WHERE run_id IS NOT NULL;
