-- What operators look at: which secrets webhooks were signed with, what connection tests found, and the
-- few webhooks and notifications that need a person.
SET lock_timeout = '5s';

CREATE TABLE webhook_secrets (
    provider      text NOT NULL,
    fingerprint   text NOT NULL,
    first_used_at timestamptz NOT NULL,
    last_used_at  timestamptz NOT NULL,
    PRIMARY KEY (provider, fingerprint)
);

COMMENT ON COLUMN webhook_secrets.fingerprint IS '32 bits of a hash: tells a few secrets apart, confirms no guess';
COMMENT ON COLUMN webhook_secrets.first_used_at IS 'when the first event that was signed with it reached us: the only age of it that we know';
COMMENT ON COLUMN webhook_secrets.last_used_at IS 'the same of a late event, written at most once an hour by each worker';

CREATE TABLE connection_tests (
    job_id      uuid PRIMARY KEY,
    provider    text NOT NULL,
    tested_at   timestamptz NOT NULL DEFAULT now(),
    worker      text NOT NULL,
    code        text,
    detail      text,
    http_status integer,
    duration_ms bigint NOT NULL,
    CONSTRAINT connection_tests_say_why CHECK ((code IS NULL) = (detail IS NULL))
);

COMMENT ON TABLE connection_tests IS 'one row a test that an operator asked for';
COMMENT ON COLUMN connection_tests.code IS 'how it failed, in short; NULL: the provider let us in';
COMMENT ON COLUMN connection_tests.http_status IS 'of the answer; NULL: there was none';

CREATE INDEX connection_tests_of ON connection_tests (provider, tested_at DESC);
CREATE INDEX webhook_events_failed ON webhook_events (provider, received_at DESC) WHERE status = 'failed';
CREATE INDEX notifications_parked ON notifications (operation_id, receiver) WHERE parked_reason IS NOT NULL;
