-- A part whose payout failed or came back is left to its holder, as one below the minimum is.
SET lock_timeout = '5s';

ALTER TABLE distribution_parts
    ADD COLUMN unpaid boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT distribution_parts_paid_or_carried,
    ADD CONSTRAINT distribution_parts_paid_or_carried CHECK (payout_id IS NULL OR unpaid OR carried_to IS NULL);

COMMENT ON COLUMN distribution_parts.unpaid IS 'its payout has failed or come back';

UPDATE distribution_parts part SET unpaid = true FROM operations payout
    WHERE payout.id = part.payout_id AND payout.state IN ('failed', 'returned');

DROP INDEX distribution_parts_carried;
CREATE INDEX distribution_parts_left ON distribution_parts (tenant, asset_id, unit, holder)
    WHERE (payout_id IS NULL OR unpaid) AND carried_to IS NULL;
CREATE INDEX distribution_parts_payout ON distribution_parts (payout_id) WHERE payout_id IS NOT NULL;
