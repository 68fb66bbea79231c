-- What the code host last told of the artifacts that a workflow leaves, in the row of the listing of objects; since when a run of the archive
-- lists the bucket that it shows; and when a step last moved anything.

ALTER TABLE backup_listings
    ADD COLUMN newest_at timestamptz,
    ADD COLUMN newest_bytes bigint;
COMMENT ON COLUMN backup_listings.newest_at IS 'Of objects: when the newest run began whose artifact can be had; null where none can';
COMMENT ON COLUMN backup_listings.newest_bytes IS 'Of objects: the size of that artifact, as it is downloaded';

ALTER TABLE archives ADD COLUMN listed_at timestamptz;
COMMENT ON COLUMN archives.listed_at IS 'Since when the bucket was listed that the run shows: later than started_at where it was cut off in between; null: since started_at';

ALTER TABLE recovery_steps ADD COLUMN moved_at timestamptz;
COMMENT ON COLUMN recovery_steps.moved_at IS 'When anything last moved: bytes, objects, rows, or a wait of known length went on. Words alone are none';
