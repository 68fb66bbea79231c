-- Copies of database backups that the archive keeps. Can be rebuilt from the records that lie in the archive.

CREATE TABLE archive_dumps (
    plan      text NOT NULL REFERENCES recovery_plans (name),
    backup    text NOT NULL,
    taken_at  timestamptz NOT NULL,
    copied_at timestamptz NOT NULL,
    bytes     bigint NOT NULL,
    sha256    text NOT NULL,
    record    jsonb NOT NULL,
    PRIMARY KEY (plan, backup)
);
COMMENT ON TABLE archive_dumps IS 'Database backups that lie encrypted in the archive, by their id at the platform';
COMMENT ON COLUMN archive_dumps.sha256 IS 'Digest of the backup as the platform served it, before it was encrypted';
COMMENT ON COLUMN archive_dumps.record IS 'The copy''s record, as it lies in the archive';

