-- The plan as it stood when a request was accepted: what a drill runs and is torn down by, and what its evidence is held against.

ALTER TABLE recovery_requests ADD COLUMN accepted_plan jsonb;
COMMENT ON COLUMN recovery_requests.accepted_plan IS 'The plan''s spec as it was when the daemon first accepted the request; never changed afterwards';

-- Known of requests of a plan that never changed. What goes on now runs today's.
UPDATE recovery_requests AS request SET accepted_plan = plan.spec FROM recovery_plans AS plan
 WHERE plan.name = request.plan AND request.started_at IS NOT NULL
   AND (plan.generation = 1 OR request.phase NOT IN ('Succeeded', 'Failed', 'Cancelled'));

-- A drill that becomes a recovery half way would not be torn down any more.
CREATE FUNCTION keep_what_was_accepted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the mode and the plan of a request that was accepted cannot be changed' USING HINT = 'cancel this request and file another';
END $$;
CREATE TRIGGER accepted BEFORE UPDATE ON recovery_requests FOR EACH ROW
    WHEN (OLD.accepted_plan IS NOT NULL
        AND (NEW.spec ->> 'mode', NEW.accepted_plan) IS DISTINCT FROM (OLD.spec ->> 'mode', OLD.accepted_plan))
    EXECUTE FUNCTION keep_what_was_accepted();
