-- What its chain shows of a deposit counts, whatever webhooks said; and what a person has before them
-- already is not put there again.
SET lock_timeout = '5s';

ALTER TABLE deposits ADD COLUMN told_otherwise boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN deposits.told_otherwise IS 'another webhook told of another amount or asset, before the chain had made it final';
COMMENT ON COLUMN deposits.amount IS 'as its first webhook told; of what is final, as its chain shows it, where it does';

-- None is written between the two statements below.
LOCK TABLE discrepancies IN SHARE ROW EXCLUSIVE MODE;

-- Looks that met have written some twice. The first of each stays open. Those that name nothing may be
-- about different things.
UPDATE discrepancies SET resolved_at = now(), resolved_by = 'migration 0023', resolution = 'the same as an earlier one'
WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (
            PARTITION BY source, kind, provider, operation_id, provider_ref, detail ORDER BY id
        ) AS number
        FROM discrepancies
        WHERE resolved_at IS NULL AND run_id IS NULL AND (operation_id IS NOT NULL OR provider_ref IS NOT NULL)
    ) AS same WHERE number > 1
);

-- A run's are its report, and as many as it has counted: there is one page of it at a time.
CREATE UNIQUE INDEX discrepancies_once
    ON discrepancies (source, kind, provider, operation_id, provider_ref, md5(detail)) NULLS NOT DISTINCT
    WHERE resolved_at IS NULL AND run_id IS NULL AND (operation_id IS NOT NULL OR provider_ref IS NOT NULL);
