-- What an operation builds on, and whatever there is only so much of: shares of an asset, what a
-- payment brought in. One table for both, so that no two operations promise the same twice.
SET lock_timeout = '5s';

ALTER TABLE operations ADD COLUMN subject_id uuid;
COMMENT ON COLUMN operations.subject_id IS 'the operation whose object at the provider this one is about; it may not have a row yet';
CREATE INDEX operations_subject ON operations (subject_id) WHERE subject_id IS NOT NULL;

CREATE TABLE pools (
    tenant   text NOT NULL,
    provider text NOT NULL,
    account  text NOT NULL,
    pool     text NOT NULL,
    whole    numeric NOT NULL,
    reserved numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, provider, account, pool),
    CONSTRAINT pools_at_most_all CHECK (reserved >= 0 AND reserved <= whole)
);

COMMENT ON COLUMN pools.pool IS 'share:ASSET, in percent; refund:PAYMENT, in its currency';
COMMENT ON COLUMN pools.reserved IS 'what has happened or is promised to an open intent';

CREATE TABLE reservations (
    operation_id uuid PRIMARY KEY REFERENCES operations (id),
    tenant       text NOT NULL,
    provider     text NOT NULL,
    account      text NOT NULL,
    pool         text NOT NULL,
    amount       numeric NOT NULL CHECK (amount > 0),
    released_at  timestamptz,
    FOREIGN KEY (tenant, provider, account, pool) REFERENCES pools
);

INSERT INTO pools SELECT tenant, provider, account, 'share:' || asset_id, 100, reserved FROM asset_shares;
INSERT INTO reservations
    SELECT operation_id, tenant, provider, account, 'share:' || asset_id, percent, released_at FROM share_reservations;
DROP TABLE share_reservations;
DROP TABLE asset_shares;
