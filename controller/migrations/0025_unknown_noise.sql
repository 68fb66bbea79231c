-- What was learned from a listing was never read: whether it looks random is not known until somebody reads it.

ALTER TABLE archive_objects ALTER COLUMN noise DROP NOT NULL, ALTER COLUMN noise DROP DEFAULT;
