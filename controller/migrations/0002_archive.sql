-- The archive: what it holds, what a run has copied so far, and when jobs were due.

ALTER TABLE archives
    ADD COLUMN phase text NOT NULL DEFAULT 'Running'
        CONSTRAINT archive_phase_is_known CHECK (phase IN ('Running', 'Complete', 'Failed', 'Pruned')),
    ADD COLUMN done_objects bigint NOT NULL DEFAULT 0,
    ADD COLUMN done_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN changed_objects bigint,
    ADD COLUMN changed_bytes bigint,
    ADD COLUMN duration_seconds double precision,
    ADD COLUMN message text,
    ADD COLUMN verified_depth text CONSTRAINT verified_depth_is_known CHECK (verified_depth IN ('listing', 'sample', 'full')),
    ADD COLUMN damaged text,
    ADD COLUMN accepted_at timestamptz,
    ADD COLUMN accepted_by text,
    ADD COLUMN heartbeat_at timestamptz,
    ADD COLUMN holder text;
COMMENT ON COLUMN archives.status IS 'The run''s record, as it lies in the archive: counts, choices, extras, requests by class';
COMMENT ON COLUMN archives.damaged IS 'What a verification found wrong; null when nothing is known to be';
COMMENT ON COLUMN archives.accepted_by IS 'Who said that a suspicious run is right as it is';
COMMENT ON COLUMN archives.suspicious IS 'More changed since the run before than the plan allows; retention is frozen while the newest run is suspicious';

-- What the archive holds, by content. Can be rebuilt from a listing of the archive.
CREATE TABLE archive_objects (
    plan         text NOT NULL REFERENCES recovery_plans (name),
    sha256       bytea NOT NULL CONSTRAINT sha256_has_32_bytes CHECK (octet_length(sha256) = 32),
    size_bytes   bigint NOT NULL,
    noise        boolean NOT NULL DEFAULT false,
    stored_at    timestamptz NOT NULL DEFAULT now(),
    locked_until timestamptz,
    verified_at  timestamptz,
    damaged_at   timestamptz,
    unreferenced timestamptz,
    PRIMARY KEY (plan, sha256)
);
COMMENT ON TABLE archive_objects IS 'What the archive of a plan holds, by content';
COMMENT ON COLUMN archive_objects.noise IS 'Its bytes look random, as encrypted or compressed ones do';
COMMENT ON COLUMN archive_objects.damaged_at IS 'When it was found to be other bytes than its name says; the next run copies it again where the source still has it';
COMMENT ON COLUMN archive_objects.unreferenced IS 'Since when no kept run refers to it: it is deleted after the plan''s grace period';

-- What an unfinished run has copied: it goes on from there.
CREATE TABLE archive_progress (
    archive bigint NOT NULL REFERENCES archives (id) ON DELETE CASCADE,
    key     text COLLATE "C" NOT NULL,
    etag    text NOT NULL,
    entry   jsonb,
    PRIMARY KEY (archive, key)
);
COMMENT ON COLUMN archive_progress.entry IS 'The manifest''s line; null when the object vanished before it could be read';
