-- A person may have to agree to a loss of data before anything is made, and may want to hold a request for a while.

ALTER TABLE recovery_requests
    DROP CONSTRAINT request_desired_is_known,
    ADD CONSTRAINT request_desired_is_known CHECK (desired IN ('run', 'pause', 'cancel')),
    ADD COLUMN approved_by text CONSTRAINT request_approver_is_named CHECK (approved_by ~ '\S'),
    ADD COLUMN approved_at timestamptz;
COMMENT ON COLUMN recovery_requests.desired IS 'What you want: run, pause (stop where it is, until it is run again), or cancel (stop, keep what was made)';
COMMENT ON COLUMN recovery_requests.approved_by IS 'Set to your name to agree to the loss of data that the request waits with';
COMMENT ON COLUMN recovery_requests.approved_at IS 'When approved_by was set; written by the database';

CREATE OR REPLACE FUNCTION touch_request() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked boolean := TG_OP = 'INSERT';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.plan IS DISTINCT FROM OLD.plan THEN
            RAISE EXCEPTION 'the plan of a request cannot be changed' USING HINT = 'cancel this request and file another';
        END IF;
        IF NEW.approved_by IS DISTINCT FROM OLD.approved_by THEN
            NEW.approved_at := CASE WHEN NEW.approved_by IS NOT NULL THEN clock_timestamp() END;
        END IF;
        asked := ROW(NEW.spec, NEW.desired, NEW.retry_requested_at, NEW.deletion_requested_at, NEW.approved_by)
            IS DISTINCT FROM ROW(OLD.spec, OLD.desired, OLD.retry_requested_at, OLD.deletion_requested_at, OLD.approved_by);
        IF asked THEN
            NEW.generation := OLD.generation + 1;
        END IF;
        IF array_position(ARRAY['pending', 'backup-selected', 'app-created', 'addons', 'restored', 'deployed', 'dns-ok'], NEW.state)
         < array_position(ARRAY['pending', 'backup-selected', 'app-created', 'addons', 'restored', 'deployed', 'dns-ok'], OLD.state) THEN
            RAISE EXCEPTION 'a milestone never goes back: % to %', OLD.state, NEW.state;
        END IF;
    END IF;
    NEW.resource_version := nextval('resource_versions');
    PERFORM pg_notify('reprise_changed', NEW.name);
    IF asked THEN
        PERFORM pg_notify('reprise_asked', NEW.name);
    END IF;
    RETURN NEW;
END $$;
