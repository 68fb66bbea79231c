-- Who agreed before it was known what is lost agreed to nothing, and may agree again under the same name.

COMMENT ON COLUMN recovery_requests.approved_by IS 'Set to your name to agree to the loss of data that the request waits with; what is set before it waits does not count';
COMMENT ON COLUMN recovery_requests.approved_at IS 'When approved_by was set; written by the database. Set it too, to anything, to agree again under the same name';

CREATE OR REPLACE FUNCTION touch_request() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked boolean := TG_OP = 'INSERT';
BEGIN
    IF TG_OP = 'INSERT' AND NEW.approved_by IS NOT NULL THEN
        NEW.approved_at := clock_timestamp();
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.plan IS DISTINCT FROM OLD.plan THEN
            RAISE EXCEPTION 'the plan of a request cannot be changed' USING HINT = 'cancel this request and file another';
        END IF;
        IF ROW(NEW.approved_by, NEW.approved_at) IS DISTINCT FROM ROW(OLD.approved_by, OLD.approved_at) THEN
            NEW.approved_at := CASE WHEN NEW.approved_by IS NOT NULL THEN clock_timestamp() END;
        END IF;
        asked := ROW(NEW.spec, NEW.desired, NEW.retry_requested_at, NEW.deletion_requested_at, NEW.approved_by, NEW.approved_at)
            IS DISTINCT FROM ROW(OLD.spec, OLD.desired, OLD.retry_requested_at, OLD.deletion_requested_at, OLD.approved_by, OLD.approved_at);
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
