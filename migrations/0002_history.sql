-- What happened, append-only and partitioned by month: old months are detached, nothing is updated.
SET lock_timeout = '5s';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TABLE operation_history (
    operation_id uuid NOT NULL,
    version      bigint NOT NULL,
    step         integer NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    from_state   text NOT NULL,
    to_state     text NOT NULL,
    event        jsonb NOT NULL,
    job_id       uuid NOT NULL,
    worker       text NOT NULL
) PARTITION BY RANGE (at);

COMMENT ON COLUMN operation_history.step IS 'order of the events within one version';

CREATE INDEX operation_history_of ON operation_history (operation_id, version, step);

CREATE TABLE intent_attempts (
    operation_id uuid NOT NULL,
    intent       integer NOT NULL,
    purpose      text NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    class        text NOT NULL,
    code         text NOT NULL,
    message      text NOT NULL,
    http_status  integer,
    request_id   text,
    duration_ms  bigint NOT NULL,
    worker       text NOT NULL
) PARTITION BY RANGE (at);

COMMENT ON COLUMN intent_attempts.purpose IS 'call or probe';
COMMENT ON COLUMN intent_attempts.request_id IS 'the provider''s id of the request, for their support';

CREATE INDEX intent_attempts_of ON intent_attempts (operation_id, intent, at);

CREATE TABLE webhook_bodies (
    webhook_id  bigint NOT NULL,
    received_at timestamptz NOT NULL,
    body        bytea NOT NULL
) PARTITION BY RANGE (received_at);

CREATE INDEX webhook_bodies_of ON webhook_bodies (webhook_id);

-- Makes the partitions of the month that holds `moment`; the worker's housekeeping calls it ahead
-- of time, the default partitions catch what it missed.
CREATE FUNCTION ensure_month(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    first  date := date_trunc('month', moment AT TIME ZONE 'UTC')::date;
    name   text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['operation_history', 'intent_attempts', 'webhook_bodies'] LOOP
        name := parent || to_char(first, '"_"YYYY"_"MM');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                name, parent, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC'
            );
        END IF;
    END LOOP;
END
$$;

CREATE TABLE operation_history_default PARTITION OF operation_history DEFAULT;
CREATE TABLE intent_attempts_default PARTITION OF intent_attempts DEFAULT;
CREATE TABLE webhook_bodies_default PARTITION OF webhook_bodies DEFAULT;
SELECT ensure_month(now()), ensure_month(now() + interval '1 month');

CREATE TRIGGER operation_history_append_only BEFORE UPDATE OR DELETE ON operation_history
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER intent_attempts_append_only BEFORE UPDATE OR DELETE ON intent_attempts
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
