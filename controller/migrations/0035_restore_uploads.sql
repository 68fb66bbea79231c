-- What a restore has begun to send in parts: a store bills the parts of an upload that nobody ends, and shows it to nobody.

CREATE TABLE restore_uploads (
    place    text NOT NULL,
    key      text NOT NULL,
    upload   text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (place, key, upload)
);
COMMENT ON TABLE restore_uploads IS 'Uploads that restores have begun and not ended; one that was killed leaves its own here, and the next ends them';
COMMENT ON COLUMN restore_uploads.place IS 'The bucket, as endpoint/bucket';
