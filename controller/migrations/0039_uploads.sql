-- What was begun to be sent in parts, by restores and by runs of the archive, with how far it is: one that was cut off goes on from its
-- last part. A store bills the parts of an upload that nobody ends, and shows it to nobody.

ALTER TABLE restore_uploads RENAME TO uploads;
ALTER TABLE uploads RENAME CONSTRAINT restore_uploads_pkey TO uploads_pkey;
ALTER TABLE uploads
    ADD COLUMN content text NOT NULL DEFAULT '',
    ADD COLUMN tags    text[] NOT NULL DEFAULT '{}',
    ADD COLUMN so_far  jsonb;
CREATE INDEX uploads_content ON uploads (place, md5(content));
COMMENT ON TABLE uploads IS 'Uploads in parts that were begun and not ended; what was cut off leaves its own here, and goes on with it or ends it';
COMMENT ON COLUMN uploads.content IS 'What is sent, by all that tells one content from another';
COMMENT ON COLUMN uploads.tags IS 'The tags of the parts that the store has, in order';
COMMENT ON COLUMN uploads.so_far IS 'What is known of these parts: how many bytes, and where their digests stand';
