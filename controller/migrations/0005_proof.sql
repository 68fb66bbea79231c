-- What is proven of each backup, and what was only seen.

ALTER TABLE backup_verdicts
    ADD COLUMN name text,
    ADD COLUMN first_seen_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN gone_at timestamptz,
    ADD COLUMN settled boolean NOT NULL DEFAULT false,
    ADD COLUMN sound boolean NOT NULL DEFAULT false,
    ADD COLUMN proven_at timestamptz,
    ADD COLUMN suspicious text,
    ADD COLUMN accepted_by text,
    ADD COLUMN dump_sha256 text,
    ADD COLUMN counts jsonb,
    ADD COLUMN reached jsonb,
    ADD COLUMN climbs integer NOT NULL DEFAULT 0 CHECK (climbs >= 0),
    ADD COLUMN attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    ADD COLUMN retry_at timestamptz,
    ADD COLUMN trouble text;
COMMENT ON COLUMN backup_verdicts.name IS 'What the platform calls it';
COMMENT ON COLUMN backup_verdicts.gone_at IS 'Since when the platform does not list it any more; null while it does';
COMMENT ON COLUMN backup_verdicts.settled IS 'It was taken as far up as it gets: nothing more is to be learnt for now';
COMMENT ON COLUMN backup_verdicts.sound IS 'It was restored and passed every check of its own; asserted means: and it is not suspicious either';
COMMENT ON COLUMN backup_verdicts.proven_at IS 'When it was last restored and passed every check of its own';
COMMENT ON COLUMN backup_verdicts.suspicious IS 'Which rows are gone since the backup before; it may be the poisoned one';
COMMENT ON COLUMN backup_verdicts.accepted_by IS 'Who said that what is suspicious was meant';
COMMENT ON COLUMN backup_verdicts.counts IS 'Rows of each table: [[schema, name, rows], …]';
COMMENT ON COLUMN backup_verdicts.reached IS 'Seconds from the beginning of the download to each rung';
COMMENT ON COLUMN backup_verdicts.climbs IS 'How often it was taken up the ladder and something was learnt of it';
COMMENT ON COLUMN backup_verdicts.attempts IS 'How often in a row nothing was learnt of it: see trouble; it is tried again at retry_at';
COMMENT ON COLUMN backup_verdicts.trouble IS 'Why the last attempt taught nothing: a fault of ours or of the line, not of the backup';

UPDATE backup_verdicts SET settled = refused IS NOT NULL OR rung IN ('restored', 'asserted'), climbs = 1;
UPDATE backup_verdicts SET sound = true, proven_at = checked_at WHERE rung = 'asserted';

-- When the platform was last asked for its backups, and answered.
CREATE TABLE backup_listings (
    plan      text NOT NULL REFERENCES recovery_plans (name) ON DELETE CASCADE,
    kind      text NOT NULL CONSTRAINT listing_kind_is_known CHECK (kind IN ('database', 'objects')),
    listed_at timestamptz NOT NULL,
    listed_by text NOT NULL,
    backups   integer NOT NULL CHECK (backups >= 0),
    PRIMARY KEY (plan, kind)
);
COMMENT ON TABLE backup_listings IS 'When the platform last told its backups: what is not known to be there counts for nothing';
