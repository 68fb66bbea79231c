-- Which rows of a backup name objects that an archive run lacks, and which objects no row names.

CREATE TABLE object_truths (
    plan       text NOT NULL REFERENCES recovery_plans (name),
    backup     text NOT NULL,
    run        text NOT NULL,
    learnt_at  timestamptz NOT NULL DEFAULT now(),
    learnt_by  text NOT NULL,
    keys       bigint NOT NULL,
    dangling   bigint NOT NULL,
    objects    bigint NOT NULL,
    orphans    bigint NOT NULL,
    samples    jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (plan, backup, run)
);
COMMENT ON TABLE object_truths IS 'Rows against objects: for a database backup and an archive run, exact counts and the first few of each';
COMMENT ON COLUMN object_truths.keys IS 'Rows that name an object';
COMMENT ON COLUMN object_truths.dangling IS 'Those whose object the run lacks';
COMMENT ON COLUMN object_truths.objects IS 'Objects of the run below the plan''s prefixes';
COMMENT ON COLUMN object_truths.orphans IS 'Those that no row names';
