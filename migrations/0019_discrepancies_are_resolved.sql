-- What a person has found out about a discrepancy, by author and reason.
SET lock_timeout = '5s';

ALTER TABLE discrepancies
    ADD COLUMN resolved_by text,
    ADD COLUMN resolution text,
    ADD CONSTRAINT discrepancies_resolved_by_somebody CHECK ((resolved_by IS NULL) = (resolution IS NULL));

COMMENT ON COLUMN discrepancies.resolved_by IS 'who has resolved it; NULL: nobody, or the run that found it';
