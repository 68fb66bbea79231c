//! Ready mixtures of faults. `bad-day` is a day on which every vendor is unwell and none is down: whoever is careful gets
//! through. What somebody must look at (a build that fails, an addon that never comes, a refused certificate) is not in it.

use serde_json::{Value, json};

/// The name of the mixture.
pub const BAD_DAY: &str = "bad-day";

/// The rules of the profile `name`, rare and hard ones first: the first that is due is played.
pub(super) fn named(name: &str) -> Option<Value> {
    if name != BAD_DAY {
        return None;
    }
    let parts = [platform(), stores(), names(), others(), slowness()];
    Some(Value::Array(parts.into_iter().flatten().collect()))
}

fn platform() -> Vec<Value> {
    vec![
        json!({"service": "scalingo", "method": "POST", "path": "/v1/apps", "probability": 0.02, "times": 3, "fault": {"kind": "drop_after"}}),
        json!({"service": "scalingo", "method": "GET", "skip": 25, "times": 1, "fault": {"kind": "expire_token"}}),
        json!({"service": "scalingo", "method": "GET", "probability": 0.01, "fault": {"kind": "html_page", "status": 502}}),
        json!({"service": "scalingo", "method": "GET", "probability": 0.01, "fault": {"kind": "status", "status": 429}}),
        json!({"service": "scalingo", "method": "GET", "probability": 0.005, "fault": {"kind": "status", "status": 429, "retry_after": 1}}),
        json!({"service": "scalingo", "method": "GET", "probability": 0.01, "fault": {"kind": "status", "status": 503}}),
        json!({"service": "scalingo", "method": "GET", "probability": 0.005, "fault": {"kind": "reset"}}),
        json!({"service": "scalingo", "method": "GET", "probability": 0.005, "fault": {"kind": "half_body"}}),
        json!({"service": "scalingo", "method": "GET", "probability": 0.01, "fault": {"kind": "stale_read"}}),
        json!({"service": "scalingo", "method": "GET", "skip": 40, "times": 1, "fault": {"kind": "hang"}}),
        json!({"service": "scalingo", "method": "PUT", "path": "/variables", "probability": 0.1, "fault": {"kind": "duplicate"}}),
        json!({"service": "database-api", "method": "GET", "path": "/download", "times": 1, "fault": {"kind": "corrupt_backup", "how": "cut_dump"}}),
        json!({"service": "database-api", "method": "GET", "path": "/download", "times": 1, "fault": {"kind": "slow_body", "bytes_per_second": 1_000_000}}),
        json!({"service": "database-api", "method": "GET", "probability": 0.02, "fault": {"kind": "status", "status": 503}}),
        json!({"service": "database-api", "method": "GET", "probability": 0.01, "fault": {"kind": "drop_before"}}),
        json!({"service": "acme", "method": "issue", "fault": {"kind": "latency_uniform", "min_ms": 500, "max_ms": 3000}}),
    ]
}

fn stores() -> Vec<Value> {
    vec![
        json!({"service": "s3-source", "method": "PutObject", "probability": 0.01, "fault": {"kind": "drop_after"}}),
        json!({"service": "s3-source", "probability": 0.02, "fault": {"kind": "status", "status": 503}}),
        json!({"service": "s3-archive", "probability": 0.02, "fault": {"kind": "status", "status": 503}}),
        json!({"service": "s3-archive", "method": "GetObject", "probability": 0.01, "fault": {"kind": "half_body"}}),
        json!({"service": "s3-archive", "method": "GetObject", "probability": 0.01, "fault": {"kind": "corrupt"}}),
        json!({"service": "s3-archive", "method": "GetObject", "probability": 0.01, "fault": {"kind": "slow_body", "bytes_per_second": 200_000}}),
        json!({"service": "s3-source", "method": "PutObject", "probability": 0.01, "fault": {"kind": "disk_full"}}),
        json!({"service": "s3-source", "method": "PutObject", "fault": {"kind": "throttle", "per_second": 40.0}}),
        json!({"service": "s3-source", "probability": 0.05, "fault": {"kind": "latency_uniform", "min_ms": 20, "max_ms": 200}}),
    ]
}

fn names() -> Vec<Value> {
    vec![
        json!({"service": "dns", "method": "lag", "path": "dns2", "times": 1, "fault": {"kind": "latency", "ms": 1500}}),
        json!({"service": "dns", "method": "query", "path": "resolver/", "probability": 0.03, "fault": {"kind": "stale_read"}}),
        json!({"service": "dns", "method": "query", "path": "resolver/", "probability": 0.02, "fault": {"kind": "lie", "answer": "192.0.2.1"}}),
        json!({"service": "dns", "method": "query", "path": "dns1/", "probability": 0.03, "fault": {"kind": "reject", "reason": "SERVFAIL"}}),
        json!({"service": "dns", "method": "query", "path": "dns", "probability": 0.02, "fault": {"kind": "truncate", "bytes": 0}}),
        json!({"service": "dns", "method": "query", "path": "dns2/", "probability": 0.02, "fault": {"kind": "drop_before"}}),
    ]
}

fn others() -> Vec<Value> {
    vec![
        json!({"service": "github", "method": "GET", "probability": 0.02, "fault": {"kind": "status", "status": 502}}),
        json!({"service": "github", "method": "GET", "probability": 0.02, "fault": {"kind": "status", "status": 403, "retry_after": 1}}),
        json!({"service": "alwaysdata", "method": "GET", "probability": 0.02, "fault": {"kind": "status", "status": 503}}),
        json!({"service": "alwaysdata", "method": "POST", "path": "/v1/record/", "probability": 0.1, "times": 1, "fault": {"kind": "drop_after"}}),
        json!({"service": "alwaysdata", "method": "PATCH", "probability": 0.1, "times": 1, "fault": {"kind": "drop_after"}}),
    ]
}

/// Everything else is slow.
fn slowness() -> Vec<Value> {
    ["scalingo", "database-api", "github", "github-blob", "alwaysdata"]
        .map(|service| {
            json!({"service": service, "probability": 0.5, "fault": {"kind": "latency_percentiles", "p50_ms": 20.0, "p99_ms": 600.0}})
        })
        .to_vec()
}
