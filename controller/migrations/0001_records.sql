-- The records of Reprise. psql alone is a usable interface: filing a recovery is
--   INSERT INTO recovery_requests (name, plan) VALUES ('the-bad-day', 'apilos');

CREATE SEQUENCE resource_versions;

CREATE TABLE recovery_plans (
    name             text PRIMARY KEY
                     CONSTRAINT plan_name_is_a_dns_label CHECK (name ~ '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'),
    spec             jsonb NOT NULL CONSTRAINT plan_spec_is_an_object CHECK (jsonb_typeof(spec) = 'object'),
    status           jsonb NOT NULL DEFAULT '{}' CONSTRAINT plan_status_is_an_object CHECK (jsonb_typeof(status) = 'object'),
    generation       bigint NOT NULL DEFAULT 1,
    resource_version bigint NOT NULL DEFAULT 0,
    created_at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE recovery_plans IS 'What is protected and how it is rebuilt. Write with: reprise apply -f FILE';
COMMENT ON COLUMN recovery_plans.spec IS 'The plan, as in reprise.dev/v1alpha1 RecoveryPlan.spec; holds references to secrets, never secrets';
COMMENT ON COLUMN recovery_plans.generation IS 'Grows with each change of spec';
COMMENT ON COLUMN recovery_plans.resource_version IS 'Grows with each change of the row';

CREATE TABLE recovery_requests (
    name                  text PRIMARY KEY
                          CONSTRAINT request_name_is_a_dns_label CHECK (name ~ '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'),
    plan                  text NOT NULL REFERENCES recovery_plans (name),
    spec                  jsonb NOT NULL DEFAULT '{}',
    desired               text NOT NULL DEFAULT 'run'
                          CONSTRAINT request_desired_is_known CHECK (desired IN ('run', 'cancel')),
    state                 text NOT NULL DEFAULT 'pending'
                          CONSTRAINT request_state_is_a_milestone CHECK (state IN
                              ('pending', 'backup-selected', 'app-created', 'addons', 'restored', 'deployed', 'dns-ok')),
    phase                 text NOT NULL DEFAULT 'Pending'
                          CONSTRAINT request_phase_is_known CHECK (phase IN
                              ('Pending', 'Running', 'WaitingApproval', 'Paused', 'TearingDown', 'Succeeded', 'Failed', 'Cancelled')),
    status                jsonb NOT NULL DEFAULT '{}' CONSTRAINT request_status_is_an_object CHECK (jsonb_typeof(status) = 'object'),
    generation            bigint NOT NULL DEFAULT 1,
    resource_version      bigint NOT NULL DEFAULT 0,
    created_at            timestamptz NOT NULL DEFAULT now(),
    started_at            timestamptz,
    finished_at           timestamptz,
    retry_requested_at    timestamptz,
    deletion_requested_at timestamptz,
    lease_holder          text,
    lease_epoch           bigint NOT NULL DEFAULT 0,
    lease_expires_at      timestamptz
);
COMMENT ON TABLE recovery_requests IS 'An order to run a plan now. File one with: INSERT INTO recovery_requests (name, plan) VALUES (...)';
COMMENT ON COLUMN recovery_requests.spec IS 'Optional: {"mode": "recover"|"drill", "scope": "all"|..., "reason": "..."}. What cannot be understood becomes condition Accepted=False in status';
COMMENT ON COLUMN recovery_requests.desired IS 'What you want: run, or cancel (stop where it is, keep what was made)';
COMMENT ON COLUMN recovery_requests.state IS 'The milestone that was reached; never goes back';
COMMENT ON COLUMN recovery_requests.phase IS 'What is being done about it now';
COMMENT ON COLUMN recovery_requests.status IS 'Conditions, message and report, written by the daemon';
COMMENT ON COLUMN recovery_requests.retry_requested_at IS 'Set to now() to try a failed request again: what is done stays done';
COMMENT ON COLUMN recovery_requests.deletion_requested_at IS 'Set to now() to tear down everything that the ledger proves to be this request''s own';
COMMENT ON COLUMN recovery_requests.lease_epoch IS 'Fencing token: a write that carries an older epoch is refused';

CREATE TABLE recovery_steps (
    request      text NOT NULL REFERENCES recovery_requests (name),
    step         text NOT NULL,
    milestone    text NOT NULL,
    phase        text NOT NULL DEFAULT 'Pending'
                 CONSTRAINT step_phase_is_known CHECK (phase IN ('Pending', 'Running', 'Done', 'Failed')),
    attempt      integer NOT NULL DEFAULT 0,
    done         bigint NOT NULL DEFAULT 0 CHECK (done >= 0),
    total        bigint CHECK (total >= 0),
    unit         text,
    message      text,
    output       jsonb,
    spans        jsonb NOT NULL DEFAULT '[]',
    started_at   timestamptz,
    heartbeat_at timestamptz,
    finished_at  timestamptz,
    PRIMARY KEY (request, step)
);
COMMENT ON TABLE recovery_steps IS 'One idempotent unit of work under a milestone';
COMMENT ON COLUMN recovery_steps.message IS 'What it is doing, why it waits, or why it failed';
COMMENT ON COLUMN recovery_steps.output IS 'What later steps need to know; never a secret';
COMMENT ON COLUMN recovery_steps.spans IS 'Where the time went: [kind, from, to], for the report';

CREATE TABLE recovery_events (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request text NOT NULL REFERENCES recovery_requests (name),
    at      timestamptz NOT NULL DEFAULT now(),
    type    text NOT NULL DEFAULT 'Normal' CONSTRAINT event_type_is_known CHECK (type IN ('Normal', 'Warning')),
    reason  text NOT NULL,
    step    text,
    message text NOT NULL
);
CREATE INDEX recovery_events_by_request ON recovery_events (request, id);
COMMENT ON TABLE recovery_events IS 'What happened, in order';

CREATE TABLE resource_ledger (
    nonce       uuid PRIMARY KEY,
    request     text NOT NULL REFERENCES recovery_requests (name),
    step        text NOT NULL,
    kind        text NOT NULL,
    name        text NOT NULL,
    parent      text,
    state       text NOT NULL DEFAULT 'intended'
                CONSTRAINT ledger_state_is_known CHECK (state IN ('intended', 'present', 'deleted')),
    external_id text,
    detail      jsonb NOT NULL DEFAULT '{}',
    epoch       bigint NOT NULL,
    intended_at timestamptz NOT NULL DEFAULT now(),
    observed_at timestamptz,
    deleted_at  timestamptz,
    CONSTRAINT present_means_identified CHECK (state <> 'present' OR external_id IS NOT NULL)
);
CREATE UNIQUE INDEX ledger_has_one_live_row_a_resource
    ON resource_ledger (request, kind, name, coalesce(parent, '')) WHERE state <> 'deleted';
COMMENT ON TABLE resource_ledger IS 'Every external resource that a request created or changed, written as an intent before the call';
COMMENT ON COLUMN resource_ledger.detail IS 'What undoing needs, such as the old value of a DNS record; never a secret';

CREATE TABLE backup_verdicts (
    plan         text NOT NULL REFERENCES recovery_plans (name),
    kind         text NOT NULL CONSTRAINT verdict_kind_is_known CHECK (kind IN ('database', 'objects')),
    backup       text NOT NULL,
    taken_at     timestamptz,
    size_bytes   bigint,
    rung         text NOT NULL CONSTRAINT verdict_rung_is_known CHECK (rung IN
                     ('listed', 'downloaded', 'intact', 'readable', 'restored', 'asserted')),
    refused      text,
    message      text,
    sha256       text,
    tools        jsonb NOT NULL DEFAULT '{}',
    checked_at   timestamptz NOT NULL DEFAULT now(),
    checked_by   text,
    PRIMARY KEY (plan, kind, backup)
);
COMMENT ON TABLE backup_verdicts IS 'What is known of each backup: the highest rung that it reached, when, by which request, and why not further';
COMMENT ON COLUMN backup_verdicts.refused IS 'The class of the refusal; null when it was not refused';

CREATE TABLE archives (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan            text NOT NULL REFERENCES recovery_plans (name),
    run             text NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    objects         bigint,
    bytes           bigint,
    manifest_sha256 text,
    suspicious      boolean NOT NULL DEFAULT false,
    verified_at     timestamptz,
    status          jsonb NOT NULL DEFAULT '{}',
    UNIQUE (plan, run)
);
COMMENT ON TABLE archives IS 'Point-in-time copies of a bucket, one row a run';

-- Generation grows with what people ask for, resource_version with everything.
CREATE FUNCTION touch_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.spec IS DISTINCT FROM OLD.spec THEN
        NEW.generation := OLD.generation + 1;
        PERFORM pg_notify('reprise_asked', name) FROM recovery_requests WHERE plan = NEW.name;
    END IF;
    NEW.resource_version := nextval('resource_versions');
    RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON recovery_plans FOR EACH ROW EXECUTE FUNCTION touch_plan();

CREATE FUNCTION touch_request() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked boolean := TG_OP = 'INSERT';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.plan IS DISTINCT FROM OLD.plan THEN
            RAISE EXCEPTION 'the plan of a request cannot be changed' USING HINT = 'cancel this request and file another';
        END IF;
        asked := ROW(NEW.spec, NEW.desired, NEW.retry_requested_at, NEW.deletion_requested_at)
            IS DISTINCT FROM ROW(OLD.spec, OLD.desired, OLD.retry_requested_at, OLD.deletion_requested_at);
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
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON recovery_requests FOR EACH ROW EXECUTE FUNCTION touch_request();

CREATE FUNCTION touch_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('reprise_changed', NEW.request);
    RETURN NULL;
END $$;
CREATE TRIGGER touch AFTER INSERT OR UPDATE ON recovery_steps FOR EACH ROW EXECUTE FUNCTION touch_step();
