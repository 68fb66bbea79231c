-- Where the archive lay when we last knew what it holds: a plan may be told another place.

CREATE TABLE archive_places (
    plan  text PRIMARY KEY REFERENCES recovery_plans (name),
    place text NOT NULL
);
COMMENT ON TABLE archive_places IS 'Where the contents lie that we know of, by plan; what another place holds is learned from its listing';
