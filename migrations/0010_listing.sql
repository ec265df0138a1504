-- What lists, exports and statistics of operations read: amount and asset as columns, and indexes in
-- the order in which a tenant pages through its operations.
SET lock_timeout = '5s';

ALTER TABLE operations ADD COLUMN amount numeric, ADD COLUMN asset text;

COMMENT ON COLUMN operations.amount IS 'what the client gave as the amount, in units of asset; NULL: the kind has none';

UPDATE operations SET
    amount = (COALESCE(request -> 'money', request -> 'invested') ->> 'amount')::numeric,
    asset = COALESCE(request -> 'money', request -> 'invested') ->> 'asset';

CREATE INDEX operations_listed ON operations (tenant, created_at DESC, id DESC);
CREATE INDEX operations_listed_kind ON operations (tenant, kind, created_at DESC, id DESC);
CREATE INDEX operations_listed_state ON operations (tenant, state, created_at DESC, id DESC);
CREATE INDEX operations_listed_asset ON operations (tenant, asset, created_at DESC, id DESC);
-- Few stand still at any time.
CREATE INDEX operations_listed_parked ON operations (tenant, created_at DESC, id DESC) WHERE parked IS NOT NULL;
