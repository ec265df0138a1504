-- Which months of history have left the database, so that nobody takes what is archived for lost.
SET lock_timeout = '5s';

CREATE TABLE archived_months (
    parent      text NOT NULL,
    month       date NOT NULL,
    rows        bigint NOT NULL,
    sha256      bytea NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (parent, month)
);

COMMENT ON COLUMN archived_months.parent IS 'the partitioned table; its partition was parent_YYYY_MM, its file parent_YYYY_MM.csv';
COMMENT ON COLUMN archived_months.sha256 IS 'of the file';
