-- Operations: the truth about what was asked and how far it has come. One narrow row each, never
-- partitioned, because uniqueness lives here; bulky children are partitioned by month (0002).
SET lock_timeout = '5s';

CREATE TABLE operations (
    id              uuid PRIMARY KEY,
    tenant          text NOT NULL,
    kind            text NOT NULL,
    idempotency_key text NOT NULL,
    request_hash    bytea NOT NULL,
    request         jsonb NOT NULL,
    provider        text NOT NULL,
    account         text NOT NULL,
    state           text NOT NULL,
    state_data      jsonb NOT NULL,
    version         bigint NOT NULL,
    provider_ref    text,
    next_wake_at    timestamptz,
    not_before      timestamptz,
    parked          text,
    parked_reason   text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT operations_idempotency UNIQUE (tenant, kind, idempotency_key),
    CONSTRAINT operations_parked_does_not_wake CHECK (parked IS NULL OR next_wake_at IS NULL)
);

COMMENT ON COLUMN operations.request_hash IS 'SHA-256 of the canonical request: another request under the same key is refused';
COMMENT ON COLUMN operations.state IS 'name of the state in state_data, for indexes and people';
COMMENT ON COLUMN operations.version IS 'raised by every claim and every write; a write under an older version is refused';
COMMENT ON COLUMN operations.provider_ref IS 'the provider''s id of it, once the provider has answered';
COMMENT ON COLUMN operations.next_wake_at IS 'when something must happen next; NULL: nothing by itself (final or parked)';
COMMENT ON COLUMN operations.not_before IS 'a backoff or a Retry-After is running: a job that comes earlier waits';
COMMENT ON COLUMN operations.parked IS 'why it stands still until a person acts';

CREATE INDEX operations_provider_ref ON operations (provider, account, provider_ref) WHERE provider_ref IS NOT NULL;
CREATE INDEX operations_overdue ON operations (next_wake_at) WHERE next_wake_at IS NOT NULL;
CREATE INDEX operations_created ON operations (provider, account, created_at);

CREATE TABLE intents (
    operation_id  uuid NOT NULL REFERENCES operations (id),
    number        integer NOT NULL,
    action        text NOT NULL,
    provider      text NOT NULL,
    account       text NOT NULL,
    provider_key  text NOT NULL,
    reference     text NOT NULL,
    request_hash  bytea NOT NULL,
    attempts      integer NOT NULL DEFAULT 0,
    probes        integer NOT NULL DEFAULT 0,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    closed_at     timestamptz,
    outcome       text,
    PRIMARY KEY (operation_id, number),
    CONSTRAINT intents_reference UNIQUE (provider, account, reference)
);

COMMENT ON TABLE intents IS 'what we are about to ask of a provider, committed before the call';
COMMENT ON COLUMN intents.provider_key IS 'idempotency key at the provider: one per intent, the same on every attempt';
COMMENT ON COLUMN intents.reference IS 'the key as this provider takes it (shortened where it must be); webhooks and lists are matched by it';
COMMENT ON COLUMN intents.attempts IS 'calls made, probes not counted';
COMMENT ON COLUMN intents.closed_at IS 'NULL: the call may have had its effect and we do not know';

-- At most one open intent an operation: the one a claimer must resolve before anything else.
CREATE UNIQUE INDEX intents_one_open ON intents (operation_id) WHERE closed_at IS NULL;

CREATE TABLE inbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation_id uuid NOT NULL REFERENCES operations (id),
    event_key    text NOT NULL,
    event        jsonb NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT now(),
    applied_at   timestamptz,
    verdict      text,
    CONSTRAINT inbox_once UNIQUE (operation_id, event_key)
);

COMMENT ON COLUMN inbox.event_key IS 'the same event, delivered again, is stored once';
COMMENT ON COLUMN inbox.verdict IS 'applied, or why it could not be';

CREATE INDEX inbox_waiting ON inbox (operation_id, id) WHERE applied_at IS NULL;

CREATE TABLE asset_shares (
    tenant   text NOT NULL,
    provider text NOT NULL,
    account  text NOT NULL,
    asset_id text NOT NULL,
    reserved numeric(9, 4) NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, provider, account, asset_id),
    CONSTRAINT asset_shares_at_most_all CHECK (reserved >= 0 AND reserved <= 100)
);

COMMENT ON COLUMN asset_shares.reserved IS 'percent of the asset that is minted or promised to an open intent';

CREATE TABLE share_reservations (
    operation_id uuid PRIMARY KEY REFERENCES operations (id),
    tenant       text NOT NULL,
    provider     text NOT NULL,
    account      text NOT NULL,
    asset_id     text NOT NULL,
    percent      numeric(9, 4) NOT NULL,
    released_at  timestamptz,
    FOREIGN KEY (tenant, provider, account, asset_id) REFERENCES asset_shares
);
