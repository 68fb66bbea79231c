-- What lies in cold storage is thawed to be verified: since when it has been asked for.
ALTER TABLE archive_objects ADD COLUMN thaw_asked_at timestamptz;
