-- What a drill proves, it proves for one schema: the digest of the statements that make it.

ALTER TABLE backup_verdicts ADD COLUMN schema_sha256 text;
COMMENT ON COLUMN backup_verdicts.schema_sha256 IS 'Digest of the statements that make the dump''s schema, without data, owners and the bodies of functions';
