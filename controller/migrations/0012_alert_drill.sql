-- Whether the alerts themselves are being rehearsed: until when the daemon is to say so in its metrics.

CREATE TABLE alert_drill (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    until     timestamptz NOT NULL
);
COMMENT ON TABLE alert_drill IS 'A rehearsal of the alerts: reprise alert-drill';
