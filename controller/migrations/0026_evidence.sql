-- The evidence as it was when a request ended: what it was computed from goes on changing, as each later look at a backup replaces its verdict.

ALTER TABLE recovery_requests ADD COLUMN evidence jsonb;
COMMENT ON COLUMN recovery_requests.evidence IS 'What `reprise evidence` shows of the request, written when it ended; replaced if it is taken up again and ends anew';

COMMENT ON COLUMN backup_verdicts.counts IS '{"tables": [[schema, name, rows], ...], "largeObjects": [count, bytes]}; of an earlier release the list of tables alone';
