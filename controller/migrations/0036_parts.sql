-- Requests for a part of an estate. A release that does not know them would delete a new database under the apps that were led to it: it
-- refuses a store with this change when it starts.

COMMENT ON COLUMN recovery_requests.spec IS 'Optional: {"mode": "recover"|"drill", "scope": "all"|["database"|"bucket"|"app"|"dns", ...], "targets": {"app of the plan": "existing app"}, "reason": "..."}. What cannot be understood becomes condition Accepted=False in status';
COMMENT ON COLUMN resource_ledger.kind IS 'app, addon, project, bucket, dns-record, domain, ... On an app that was there before also variables (led to a new database) and force-https';
