-- Every verified webhook, once per provider, event and body. Another body under the same event is a
-- variant: stored, looked into, never silently taken for the first.
SET lock_timeout = '5s';

CREATE TABLE webhook_events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider     text NOT NULL,
    event_key    text NOT NULL,
    body_hash    bytea NOT NULL,
    event_type   text NOT NULL,
    variant      boolean NOT NULL,
    status       text NOT NULL,
    detail       text,
    operation_id uuid REFERENCES operations (id),
    received_at  timestamptz NOT NULL,
    handled_at   timestamptz,
    CONSTRAINT webhook_events_once UNIQUE (provider, event_key, body_hash),
    CONSTRAINT webhook_events_status CHECK (status IN ('received', 'parked', 'processed', 'ignored', 'failed'))
);

COMMENT ON COLUMN webhook_events.status IS 'received: stored; parked: its operation is not known yet; processed: in an inbox; ignored: none of our business; failed: could not be read';
COMMENT ON COLUMN webhook_events.variant IS 'another body came before under the same event key';

CREATE INDEX webhook_events_recent ON webhook_events (provider, received_at DESC);

CREATE TABLE discrepancies (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    source       text NOT NULL,
    kind         text NOT NULL,
    provider     text NOT NULL,
    operation_id uuid REFERENCES operations (id),
    provider_ref text,
    detail       text NOT NULL,
    resolved_at  timestamptz
);

COMMENT ON TABLE discrepancies IS 'what a person should look at: our record and the world disagree';
CREATE INDEX discrepancies_open ON discrepancies (at) WHERE resolved_at IS NULL;
