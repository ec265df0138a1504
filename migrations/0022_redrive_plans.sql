-- Releasing many dead letters by a plan: what was selected, how far it has come, and who said what.
SET lock_timeout = '5s';

CREATE TABLE redrive_plans (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at        timestamptz NOT NULL DEFAULT now(),
    selection      jsonb NOT NULL,
    author         text NOT NULL,
    reason         text NOT NULL,
    approve_above  jsonb NOT NULL,
    wants_approval boolean NOT NULL DEFAULT false,
    approved_by    text,
    per_minute     integer NOT NULL CHECK (per_minute > 0),
    stop_percent   integer NOT NULL CHECK (stop_percent BETWEEN 0 AND 100),
    state          text NOT NULL DEFAULT 'planned',
    why            text,
    step           bigint NOT NULL DEFAULT 0,
    version        bigint NOT NULL DEFAULT 1,
    next_step_at   timestamptz,
    counted_from   timestamptz,
    good           bigint NOT NULL DEFAULT 0,
    CONSTRAINT redrive_plans_state
        CHECK (state IN ('planned', 'releasing', 'paused', 'stopped', 'abandoned', 'finished')),
    CONSTRAINT redrive_plans_go_on CHECK (state <> 'releasing' OR next_step_at IS NOT NULL),
    CONSTRAINT redrive_plans_two_people CHECK (lower(approved_by) <> lower(author)),
    CONSTRAINT redrive_plans_are_approved
        CHECK (state IN ('planned', 'abandoned') OR NOT wants_approval OR approved_by IS NOT NULL)
);

COMMENT ON COLUMN redrive_plans.approve_above IS 'the thresholds that were set when it was made: letters, and amounts by asset';
COMMENT ON COLUMN redrive_plans.wants_approval IS 'a second person must agree before anything is released';
COMMENT ON COLUMN redrive_plans.stop_percent IS 'stops by itself when more of what has become known last has failed';
COMMENT ON COLUMN redrive_plans.why IS 'why it has stopped by itself';
COMMENT ON COLUMN redrive_plans.step IS 'which step comes next: a job of another step does nothing';
COMMENT ON COLUMN redrive_plans.version IS 'raised by every claim, every end of a step, every word, and a release after one; a step that is taken under an older one releases and ends nothing';
COMMENT ON COLUMN redrive_plans.next_step_at IS 'when the next step is due; while a worker takes it, when it is given up; NULL: nothing is left to look at';
COMMENT ON COLUMN redrive_plans.counted_from IS 'outcomes of what was released since then count, and in good those that are; the first of these is the canary';

CREATE INDEX redrive_plans_due ON redrive_plans (next_step_at) WHERE next_step_at IS NOT NULL;

CREATE TABLE redrive_items (
    plan_id           bigint NOT NULL REFERENCES redrive_plans (id),
    job_id            uuid NOT NULL,
    died_at           timestamptz NOT NULL,
    released_at       timestamptz,
    operation_version bigint,
    outcome           text,
    detail            text,
    ended_at          timestamptz,
    PRIMARY KEY (plan_id, job_id),
    FOREIGN KEY (job_id, died_at) REFERENCES dead_letters (job_id, died_at),
    CONSTRAINT redrive_items_outcome CHECK (outcome IN ('done', 'failed', 'died_again', 'skipped'))
);

COMMENT ON TABLE redrive_items IS 'the dead letters of a plan, fixed when it was made: what dies later is in no plan of before';
COMMENT ON COLUMN redrive_items.died_at IS 'the death that is released; the job may die again';
COMMENT ON COLUMN redrive_items.operation_version IS 'of its operation at the release: still parked at it, nobody has run the job';
COMMENT ON COLUMN redrive_items.outcome IS 'NULL: not released, or still with the workers';
COMMENT ON COLUMN redrive_items.ended_at IS 'when its outcome became known';

CREATE INDEX redrive_items_waiting ON redrive_items (plan_id, died_at, job_id)
    WHERE released_at IS NULL AND outcome IS NULL;
CREATE INDEX redrive_items_ended ON redrive_items (plan_id, ended_at) WHERE released_at IS NOT NULL AND ended_at IS NOT NULL;
CREATE INDEX redrive_items_out ON redrive_items (plan_id, released_at)
    WHERE released_at IS NOT NULL AND outcome IS NULL;

CREATE TABLE redrive_changes (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_id bigint NOT NULL REFERENCES redrive_plans (id),
    at      timestamptz NOT NULL DEFAULT now(),
    what    text NOT NULL,
    author  text NOT NULL,
    reason  text NOT NULL
);

COMMENT ON TABLE redrive_changes IS 'who had a plan do what, and why; append-only';
COMMENT ON COLUMN redrive_changes.author IS 'a person, or the worker that found the plan stopped or finished';

CREATE INDEX redrive_changes_of ON redrive_changes (plan_id, id);
CREATE TRIGGER redrive_changes_append_only BEFORE UPDATE OR DELETE ON redrive_changes
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER redrive_changes_no_truncate BEFORE TRUNCATE ON redrive_changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What is known of a dead letter. Of an operation that never reached Postgres, the job itself says how much
-- it was about; what stands there may be anything.
CREATE VIEW dead_letter_facts AS
SELECT d.job_id, d.died_at, d.queue, d.kind, d.tenant, d.class, d.code, d.redriven_at, d.operation_id,
    COALESCE(o.provider, d.job #>> '{job,envelope,facts,provider}') AS provider,
    COALESCE(o.asset, asked.money ->> 'asset') AS asset,
    COALESCE(o.amount, CASE WHEN asked.money ->> 'amount' ~ '^[0-9]{1,30}([.][0-9]{1,30})?$'
                            THEN (asked.money ->> 'amount')::numeric END) AS amount,
    o.state, o.parked, o.version, known.opened_at AS intent_opened_at
FROM dead_letters d
LEFT JOIN operations o ON o.id = d.operation_id
LEFT JOIN intents known ON known.operation_id = o.id AND known.closed_at IS NULL
CROSS JOIN LATERAL (
    SELECT COALESCE(d.job #> '{job,envelope,payload,request,request,money}',
                    d.job #> '{job,envelope,payload,request,request,invested}') AS money
) asked;

COMMENT ON VIEW dead_letter_facts IS 'dead letters with what is known of their operations; intent_opened_at: of the open intent, if there is one';
