-- What a verification looked at beside the rows, a sentence each.

ALTER TABLE backup_verdicts ADD COLUMN checks jsonb;
COMMENT ON COLUMN backup_verdicts.checks IS 'What was looked at in the restored database, a sentence each: {"structure": …, "migrations": …}; null where nothing was';
