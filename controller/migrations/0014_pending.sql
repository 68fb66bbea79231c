-- Contents that the store copied by itself: known by where they lie until they have been hashed.

CREATE TABLE archive_pending (
    plan         text NOT NULL REFERENCES recovery_plans (name),
    name         text COLLATE "C" NOT NULL,
    size_bytes   bigint NOT NULL,
    etag         text NOT NULL DEFAULT '',
    locked_until timestamptz,
    sha256       bytea CONSTRAINT sha256_has_32_bytes CHECK (octet_length(sha256) = 32),
    damaged_at   timestamptz,
    unreferenced timestamptz,
    PRIMARY KEY (plan, name)
);
COMMENT ON TABLE archive_pending IS 'Contents that the archive''s store copied by itself, by where they lie below the prefix. Can be rebuilt from a listing of the archive';
COMMENT ON COLUMN archive_pending.etag IS 'The entity tag that the source showed: the MD5 of the content if it can be one; empty where it is not known';
COMMENT ON COLUMN archive_pending.sha256 IS 'Its digest, once it was read and hashed; the content lies under its digest as well then';
COMMENT ON COLUMN archive_pending.damaged_at IS 'When it was found to be other bytes than the source''s; the next run copies it again where the source still has it';
COMMENT ON COLUMN archive_pending.unreferenced IS 'Since when no kept run refers to it: it is deleted after the plan''s grace period';
