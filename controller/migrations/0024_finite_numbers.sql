-- JSON of PostgreSQL holds numbers that nothing else can read. One in a spec would make its row unreadable for everybody: it is refused
-- when it is written.

ALTER TABLE recovery_plans ADD CONSTRAINT numbers_are_finite
    CHECK (NOT jsonb_path_exists(spec, '$.** ? (@.type() == "number" && (@ > 1.7e308 || @ < -1.7e308))')) NOT VALID;
ALTER TABLE recovery_requests ADD CONSTRAINT numbers_are_finite
    CHECK (NOT jsonb_path_exists(spec, '$.** ? (@.type() == "number" && (@ > 1.7e308 || @ < -1.7e308))')) NOT VALID;
