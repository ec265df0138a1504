-- Jobs that will not be tried again by themselves, moved here by the archiver so that Redis stays
-- small and people can search. A row is never deleted; a redrive marks it.
SET lock_timeout = '5s';

CREATE TABLE dead_letters (
    job_id       uuid NOT NULL,
    died_at      timestamptz NOT NULL,
    queue        text NOT NULL,
    kind         text NOT NULL,
    tenant       text NOT NULL,
    operation_id uuid,
    class        text NOT NULL,
    code         text NOT NULL,
    message      text NOT NULL,
    attempts     integer NOT NULL,
    job          jsonb NOT NULL,
    archived_at  timestamptz NOT NULL DEFAULT now(),
    redriven_at  timestamptz,
    PRIMARY KEY (job_id, died_at)
);

COMMENT ON COLUMN dead_letters.job IS 'the job, whole: payload, trace, history of attempts';
COMMENT ON COLUMN dead_letters.redriven_at IS 'when it was last released again; the same job may die again as a new row';

CREATE INDEX dead_letters_open ON dead_letters (died_at DESC) WHERE redriven_at IS NULL;
