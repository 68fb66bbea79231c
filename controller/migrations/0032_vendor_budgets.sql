-- What is left of a vendor account's budget of requests: all daemons and commands of one database share it. Until when the requests that
-- were made would take if they had been made at the even pace that the vendor allows.
CREATE TABLE vendor_budgets (
    account text PRIMARY KEY,
    spent_until timestamptz NOT NULL
);
COMMENT ON TABLE vendor_budgets IS 'Budgets of requests of the vendors'' accounts. For the daemon alone.';
