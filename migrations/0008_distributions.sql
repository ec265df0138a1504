-- What each holder's part of a revenue is, and what became of it: a payout, or carried over to the
-- holder's next part. A holder has at most one part a period.
SET lock_timeout = '5s';

CREATE TABLE distribution_parts (
    distribution_id uuid NOT NULL REFERENCES operations (id),
    holder          text NOT NULL,
    tenant          text NOT NULL,
    asset_id        text NOT NULL,
    period          text NOT NULL,
    unit            text NOT NULL,
    amount          numeric NOT NULL CHECK (amount >= 0),
    carried_in      numeric NOT NULL DEFAULT 0 CHECK (carried_in >= 0),
    payout_id       uuid REFERENCES operations (id),
    carried_to      uuid REFERENCES operations (id),
    PRIMARY KEY (distribution_id, holder),
    CONSTRAINT distribution_parts_once UNIQUE (tenant, asset_id, period, holder),
    CONSTRAINT distribution_parts_paid_or_carried CHECK (payout_id IS NULL OR carried_to IS NULL)
);

COMMENT ON COLUMN distribution_parts.carried_in IS 'what earlier parts of the holder below the minimum add to this one';
COMMENT ON COLUMN distribution_parts.payout_id IS 'the payout that pays it; NULL: below the minimum';
COMMENT ON COLUMN distribution_parts.carried_to IS 'the later distribution that took it over';

CREATE INDEX distribution_parts_carried ON distribution_parts (tenant, asset_id, unit, holder)
    WHERE payout_id IS NULL AND carried_to IS NULL;
