-- The evidence of each verification as it was: the verdict of a backup is replaced by the next look at it.

CREATE TABLE verification_reports (
    plan   text NOT NULL,
    kind   text NOT NULL,
    backup text NOT NULL,
    at     timestamptz NOT NULL,
    report jsonb NOT NULL,
    PRIMARY KEY (plan, kind, backup, at),
    FOREIGN KEY (plan, kind, backup) REFERENCES backup_verdicts ON DELETE CASCADE
);
COMMENT ON TABLE verification_reports IS 'What each look at a backup or archive run found, as long as it is known: what `reprise evidence NAME --all` shows';
COMMENT ON COLUMN verification_reports.at IS 'When it was looked at';
COMMENT ON COLUMN verification_reports.report IS 'The row of backup_verdicts as that look left it';

-- What is reckoned of a look afterwards (suspicion, and that it was meant) belongs to it: until the next one its report follows.
CREATE FUNCTION report_verification() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO verification_reports AS known (plan, kind, backup, at, report)
    VALUES (NEW.plan, NEW.kind, NEW.backup, NEW.checked_at, to_jsonb(NEW))
    ON CONFLICT (plan, kind, backup, at) DO UPDATE SET report = EXCLUDED.report;
    RETURN NULL;
END $$;
-- Being listed is no look.
CREATE TRIGGER report_verification AFTER INSERT OR UPDATE OF checked_at, rung, suspicious, accepted_by ON backup_verdicts
    FOR EACH ROW WHEN (NEW.climbs > 0) EXECUTE FUNCTION report_verification();

INSERT INTO verification_reports (plan, kind, backup, at, report)
    SELECT plan, kind, backup, checked_at, to_jsonb(known) FROM backup_verdicts AS known WHERE climbs > 0;
