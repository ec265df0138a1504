-- Why a payout is made, as a column to select by; and how far each payout schedule has come.
SET lock_timeout = '5s';

ALTER TABLE operations ADD COLUMN origin text, ADD COLUMN origin_id uuid;

COMMENT ON COLUMN operations.origin IS 'of payouts: manual, bonus, scheduled or distribution; NULL: another kind';
COMMENT ON COLUMN operations.origin_id IS 'the schedule or distribution that made it';

UPDATE operations SET origin = 'distribution', origin_id = part.distribution_id
    FROM distribution_parts part WHERE part.payout_id = operations.id;
UPDATE operations SET origin = 'manual' WHERE kind = 'payout' AND origin IS NULL;

CREATE INDEX operations_origin ON operations (origin_id) WHERE origin_id IS NOT NULL;
-- Most are made by hand: those are found by their kind.
CREATE INDEX operations_listed_origin ON operations (tenant, origin, created_at DESC, id DESC)
    WHERE origin <> 'manual';

CREATE TABLE payout_schedules (
    operation_id uuid PRIMARY KEY REFERENCES operations (id),
    ticked_at    timestamptz NOT NULL
);

COMMENT ON TABLE payout_schedules IS 'one row a schedule that a worker has begun';
COMMENT ON COLUMN payout_schedules.ticked_at IS 'up to when its moments have been dealt with: each pays at most once';
