-- What was due, who does it, and how it ended. One row a plan, job and due time, however many daemons are up.

CREATE TABLE schedules (
    plan     text NOT NULL REFERENCES recovery_plans (name) ON DELETE CASCADE,
    job      text NOT NULL CONSTRAINT schedule_job_is_a_word CHECK (job ~ '^[a-z][-a-z]{0,31}$'),
    schedule text NOT NULL,
    since    timestamptz NOT NULL,
    PRIMARY KEY (plan, job)
);
COMMENT ON TABLE schedules IS 'Since when each schedule is followed: nothing that was due before is made up for';
COMMENT ON COLUMN schedules.schedule IS 'The schedule that was seen: cron line, time zone and jitter; another one starts afresh';

CREATE TABLE scheduled_runs (
    plan         text NOT NULL REFERENCES recovery_plans (name) ON DELETE CASCADE,
    job          text NOT NULL CONSTRAINT run_job_is_a_word CHECK (job ~ '^[a-z][-a-z]{0,31}$'),
    due_at       timestamptz NOT NULL,
    state        text NOT NULL DEFAULT 'claimed'
                 CONSTRAINT run_state_is_known CHECK (state IN ('claimed', 'done', 'failed')),
    claimed_by   text NOT NULL,
    claim        bigint NOT NULL DEFAULT 1,
    claimed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at  timestamptz,
    failures     integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    retry_at     timestamptz,
    message      text,
    PRIMARY KEY (plan, job, due_at),
    CONSTRAINT run_that_ended_has_an_end CHECK ((state = 'claimed') = (finished_at IS NULL)),
    CONSTRAINT only_a_failed_run_is_retried CHECK (retry_at IS NULL OR state = 'failed')
);
CREATE UNIQUE INDEX scheduled_runs_do_not_overlap ON scheduled_runs (plan, job) WHERE state = 'claimed';
COMMENT ON TABLE scheduled_runs IS 'Each run of a scheduled job: a plan, a job and a time at which it was due';
COMMENT ON COLUMN scheduled_runs.state IS 'claimed: somebody is at it; done; failed: see message, and retry_at for when it is tried again';
COMMENT ON COLUMN scheduled_runs.claimed_by IS 'The daemon that is or was at it; one that falls silent loses the run to another';
COMMENT ON COLUMN scheduled_runs.claim IS 'Fencing token: grows with each claim; what an earlier one writes is refused';
COMMENT ON COLUMN scheduled_runs.failures IS 'How many attempts failed so far';
COMMENT ON COLUMN scheduled_runs.retry_at IS 'When it may be tried again; null when it is not, because a newer run is due instead';
COMMENT ON COLUMN scheduled_runs.message IS 'What it did, or why it failed';

CREATE TABLE scheduler_ticks (
    single    boolean PRIMARY KEY DEFAULT true CONSTRAINT there_is_one_row CHECK (single),
    ticked_at timestamptz NOT NULL,
    ticked_by text NOT NULL
);
COMMENT ON TABLE scheduler_ticks IS 'When any daemon last looked at all schedules';
