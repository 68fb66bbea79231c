-- What a verification read of a run, exactly: a sample of the archive may hold nothing of it.
ALTER TABLE archives ADD COLUMN verified_objects bigint;
COMMENT ON COLUMN archives.verified_objects IS 'Of the run''s objects, so many had their contents read again at verified_at; null where that was not counted yet';
ALTER TABLE archive_pending ADD COLUMN hashed_at timestamptz;
COMMENT ON COLUMN archive_pending.hashed_at IS 'When it was read and hashed';
