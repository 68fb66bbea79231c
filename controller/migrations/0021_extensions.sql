-- What a dump needs of the server that it is restored on, so that a preflight can look whether it is offered.
ALTER TABLE backup_verdicts ADD COLUMN extensions text[];
COMMENT ON COLUMN backup_verdicts.extensions IS 'Extensions that the dump makes, by name; absent until its table of contents was read';
