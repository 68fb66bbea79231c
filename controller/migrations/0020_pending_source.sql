-- A content that the store copied by itself is held against the source's own, where an entity tag alone does not tell.
ALTER TABLE archive_pending
    ADD COLUMN source_key     text NOT NULL DEFAULT '',
    ADD COLUMN source_version text,
    ADD COLUMN opaque         boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN archive_pending.source_key IS 'The key at the source from which it was copied; empty where it is not known';
COMMENT ON COLUMN archive_pending.source_version IS 'The version of that, in a versioned source';
COMMENT ON COLUMN archive_pending.opaque IS 'The source encrypts: its entity tag is no MD5, whatever it looks like';
