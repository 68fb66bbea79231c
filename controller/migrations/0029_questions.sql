-- Which of the plan's questions a backup was asked: with others it is another proof.

ALTER TABLE backup_verdicts ADD COLUMN questions_sha256 text;
COMMENT ON COLUMN backup_verdicts.questions_sha256 IS 'Fingerprint of the plan''s questions that it was asked; null where it did not come so far. One that failed others than the plan''s of now is taken up again';

-- A digest of what could not be read at the only look is no measure for what is served later.
UPDATE backup_verdicts SET sha256 = NULL, dump_sha256 = NULL
WHERE kind = 'database' AND refused IS NOT NULL AND climbs <= 1 AND rung IN ('listed', 'downloaded', 'intact');
