-- How often somebody asked to try a step again that had failed: a deployment that has failed since is news, and no reason to push again.

ALTER TABLE recovery_steps ADD COLUMN asked integer NOT NULL DEFAULT 0 CHECK (asked >= 0);
COMMENT ON COLUMN recovery_steps.asked IS 'How often it was opened again after it had failed, because somebody asked';
