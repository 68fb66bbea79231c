-- The throwaway databases that were begun on a server that a plan names (`proof.server`): written before each is made, so that what a
-- killed daemon left there is known for its own.
CREATE TABLE proof_databases (
    name text PRIMARY KEY CONSTRAINT name_is_a_throwaway_s CHECK (name ~ '^reprise_proof_[0-9a-f]{16}_[0-9]+$'),
    plan text NOT NULL,
    server text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE proof_databases IS 'Throwaway databases on servers that plans name, from before each is made until it is gone';
COMMENT ON COLUMN proof_databases.server IS 'Host and port of that server';
