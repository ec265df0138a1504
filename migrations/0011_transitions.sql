-- What web apps are told: every transition of an operation, and how far each receiver has been told.
SET lock_timeout = '5s';

ALTER TABLE operations ADD COLUMN transitions integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN operations.transitions IS 'how many transitions it has made: the sequence of the last one';

CREATE SEQUENCE transitions_written;
CREATE SEQUENCE transitions_position;

CREATE TABLE transitions (
    operation_id uuid NOT NULL,
    sequence     integer NOT NULL,
    tenant       text NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    from_state   text,
    to_state     text NOT NULL,
    state_data   jsonb NOT NULL,
    trace        jsonb NOT NULL,
    written      bigint NOT NULL DEFAULT nextval('transitions_written'),
    position     bigint
) PARTITION BY RANGE (at);

COMMENT ON TABLE transitions IS 'append-only, but for the position, which is given once';
COMMENT ON COLUMN transitions.sequence IS '1, 2, 3, ... within the operation, without gaps';
COMMENT ON COLUMN transitions.from_state IS 'NULL: the operation began';
COMMENT ON COLUMN transitions.written IS 'grows within an operation; of two operations, it says nothing about who committed first';
COMMENT ON COLUMN transitions.position IS 'its place in the feed, given after it was committed: a reader that has seen one has seen, or can see, all smaller ones';

CREATE INDEX transitions_of ON transitions (operation_id, sequence);
CREATE INDEX transitions_feed ON transitions (tenant, position) WHERE position IS NOT NULL;
CREATE INDEX transitions_without_position ON transitions (written) WHERE position IS NULL;

CREATE TABLE transitions_default PARTITION OF transitions DEFAULT;

CREATE FUNCTION refuse_all_but_first_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.position IS NULL THEN
        OLD.position := NEW.position;
        IF NEW IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER transitions_append_only BEFORE UPDATE OR DELETE ON transitions
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_first_position();

-- As before, for every table of this schema that is partitioned by time: a list kept here would be
-- forgotten with the next one.
CREATE OR REPLACE FUNCTION ensure_month(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    first  date := date_trunc('month', moment AT TIME ZONE 'UTC')::date;
    name   text;
BEGIN
    FOR parent IN
        SELECT relname FROM pg_partitioned_table JOIN pg_class ON pg_class.oid = partrelid
        WHERE relnamespace = current_schema()::regnamespace AND partstrat = 'r'
    LOOP
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

SELECT ensure_month(now()), ensure_month(now() + interval '1 month');

CREATE TABLE receivers (
    name            text PRIMARY KEY,
    tenant          text NOT NULL,
    url             text NOT NULL,
    added_at        timestamptz NOT NULL DEFAULT now(),
    disabled_at     timestamptz,
    disabled_reason text
);

COMMENT ON TABLE receivers IS 'whom to tell: written by workers from their settings; secrets stay in the settings';
COMMENT ON COLUMN receivers.disabled_at IS 'it answered 410 Gone, or an operator disabled it: its notifications wait';

CREATE INDEX receivers_of ON receivers (tenant);

CREATE TABLE notifications (
    operation_id  uuid NOT NULL REFERENCES operations (id),
    receiver      text NOT NULL,
    version       bigint NOT NULL DEFAULT 0,
    written       integer NOT NULL,
    delivered     integer NOT NULL,
    attempts      integer NOT NULL DEFAULT 0,
    next_wake_at  timestamptz,
    parked_reason text,
    last_answer   text,
    PRIMARY KEY (operation_id, receiver),
    CONSTRAINT notifications_parked_does_not_wake CHECK (parked_reason IS NULL OR next_wake_at IS NULL)
);

COMMENT ON TABLE notifications IS 'how far a receiver has been told of an operation''s transitions';
COMMENT ON COLUMN notifications.receiver IS 'of receivers; no foreign key, because every transition of a tenant would lock that one row';
COMMENT ON COLUMN notifications.version IS 'raised by whoever sends and by whoever records what came of it';
COMMENT ON COLUMN notifications.written IS 'sequence of the operation''s last transition';
COMMENT ON COLUMN notifications.delivered IS 'sequence of the last one the receiver has taken';
COMMENT ON COLUMN notifications.attempts IS 'failed ones of the transition after that';
COMMENT ON COLUMN notifications.next_wake_at IS 'when it must be sent (again); NULL: all is told, or parked';
COMMENT ON COLUMN notifications.parked_reason IS 'the attempts are used up; a dead letter says so';
COMMENT ON COLUMN notifications.last_answer IS 'how the last attempt ended, in short';

CREATE INDEX notifications_due ON notifications (receiver, next_wake_at) WHERE next_wake_at IS NOT NULL;
