-- What was begun to be sent in parts, by restores and by runs of the archive, with how far it is: one that was cut off goes on from its
-- last part. A store bills the parts of an upload that nobody ends, and shows it to nobody.

CREATE TABLE uploads (
    place    text NOT NULL,
    key      text NOT NULL,
    upload   text NOT NULL,
    content  text NOT NULL,
    tags     text[] NOT NULL DEFAULT '{}',
    so_far   jsonb,
    tries    integer NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (place, key, upload)
);
CREATE INDEX uploads_content ON uploads (place, md5(content));
COMMENT ON TABLE uploads IS 'Uploads in parts that were begun and not ended; what was cut off leaves its own here, and goes on with it or ends it';
COMMENT ON COLUMN uploads.place IS 'The bucket, as endpoint/bucket';
COMMENT ON COLUMN uploads.content IS 'What is sent, by all that tells one content from another';
COMMENT ON COLUMN uploads.tags IS 'The tags of the parts that the store has, in order';
COMMENT ON COLUMN uploads.so_far IS 'What is known of these parts: how many bytes, and where their digests stand';
COMMENT ON COLUMN uploads.tries IS 'How often it was taken up since its last part came';

-- A daemon of the release before may still write to the older table: it stays.
INSERT INTO uploads (place, key, upload, content, begun_at) SELECT place, key, upload, '', begun_at FROM restore_uploads;
COMMENT ON TABLE restore_uploads IS 'What releases before this schema had begun to send; nothing reads it any more';
