-- A reconciliation run goes page by page, and goes on where it was when its worker dies.
SET lock_timeout = '5s';

ALTER TABLE reconciliation_runs
    ADD COLUMN step text NOT NULL DEFAULT 'theirs',
    ADD COLUMN cursor jsonb,
    ADD COLUMN version bigint NOT NULL DEFAULT 0,
    ADD COLUMN failure text,
    ADD CONSTRAINT reconciliation_runs_step CHECK (step IN ('theirs', 'accounts', 'ours', 'stuck'));

COMMENT ON COLUMN reconciliation_runs.step IS 'which record is being read: the provider''s, that of connected accounts, ours, ours that have not moved';
COMMENT ON COLUMN reconciliation_runs.cursor IS 'where in that record the next page begins; NULL: at its beginning';
COMMENT ON COLUMN reconciliation_runs.version IS 'raised with every page; a page under an older version is refused';
COMMENT ON COLUMN reconciliation_runs.failure IS 'why it could not be carried out';

-- What an unfinished run has met. Nothing of it is left when the run has ended.
CREATE TABLE reconciliation_seen (
    run_id       bigint NOT NULL REFERENCES reconciliation_runs (id),
    entry        text NOT NULL,
    operation_id uuid,
    PRIMARY KEY (run_id, entry)
);

COMMENT ON COLUMN reconciliation_seen.entry IS 'the provider''s id of it';

CREATE INDEX reconciliation_seen_of ON reconciliation_seen (run_id, operation_id) WHERE operation_id IS NOT NULL;

CREATE TABLE reconciliation_sums (
    run_id bigint NOT NULL REFERENCES reconciliation_runs (id),
    side   text NOT NULL,
    asset  text NOT NULL,
    count  bigint NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (run_id, side, asset),
    CONSTRAINT reconciliation_sums_side CHECK (side IN ('theirs', 'ours'))
);

COMMENT ON TABLE reconciliation_sums IS 'what each record of a run''s window comes to, by asset; entries without an amount are not in it';

ALTER TABLE discrepancies
    ADD COLUMN remedy text,
    ADD COLUMN theirs jsonb,
    ADD COLUMN ours jsonb;

COMMENT ON COLUMN discrepancies.remedy IS 'what the run did about it; NULL: it is for a person';
COMMENT ON COLUMN discrepancies.theirs IS 'the provider''s record, beside ours';

CREATE INDEX discrepancies_of_operation ON discrepancies (operation_id) WHERE operation_id IS NOT NULL;

-- Our record of a window, in its order.
CREATE INDEX intents_opened ON intents (provider, account, opened_at, operation_id);
CREATE INDEX deposits_seen ON deposits (seen_at, network, transaction, place, address_key);
CREATE INDEX operations_connected_accounts ON operations (provider, account, id) WHERE kind = 'account';
