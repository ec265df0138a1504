-- A plan that releases nothing more is looked after until the end of what it has released is known.
SET lock_timeout = '5s';

ALTER TABLE redrive_plans DROP CONSTRAINT redrive_plans_go_on,
    ADD CONSTRAINT redrive_plans_go_on CHECK (state <> 'releasing' OR next_step_at IS NOT NULL);
COMMENT ON COLUMN redrive_plans.next_step_at IS 'when the next step is due; while a worker takes it, when it is given up; NULL: nothing is left to look at';
