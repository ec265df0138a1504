-- A distribution over connected accounts makes transfers.
SET lock_timeout = '5s';

UPDATE operations SET origin = 'manual' WHERE kind = 'transfer' AND origin IS NULL;
COMMENT ON COLUMN operations.origin IS 'of payouts and transfers: manual, bonus, scheduled or distribution; NULL: another kind';
