//! The names on the wire: alerts and dashboards rely on them.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::DateTime;

use super::{Labels, Metrics};
use crate::runtime::class::Class;
use crate::runtime::controller::{Observer, RunOutcome};
use crate::runtime::lease::Epoch;
use crate::runtime::queue::Depth;
use crate::store::ArchiveFacts;

const LABELS: Labels = Labels {
    kinds: &["request"],
    calls: &[("paas", &["apps.create", "apps.get"])],
    steps: &["restore"],
    step_outcomes: &["done", "failed"],
    phases: &["Pending", "Running"],
    milestones: &["restored"],
    refusals: &["truncated"],
    data: &["dump"],
};

/// The families as `name type`.
fn families(metrics: &Metrics) -> BTreeSet<String> {
    let text = metrics.text().unwrap();
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect()
}

#[test]
fn the_names_on_the_wire_are_these() {
    let metrics = Metrics::new(LABELS).unwrap();
    metrics.milestone_reached("shop", "restored", DateTime::UNIX_EPOCH);
    metrics.run_ended("request", RunOutcome::Settled, Duration::ZERO);
    let expected = [
        "reprise_alert_drill gauge",
        "reprise_backups_refused_total counter",
        "reprise_build_info gauge",
        "reprise_bytes_moved_total counter",
        "reprise_last_success_timestamp_seconds gauge",
        "reprise_lease_epoch gauge",
        "reprise_lease_held gauge",
        "reprise_provider_request_duration_seconds histogram",
        "reprise_provider_requests_total counter",
        "reprise_queue_delayed gauge",
        "reprise_queue_depth gauge",
        "reprise_queue_oldest_seconds gauge",
        "reprise_queue_running gauge",
        "reprise_reconcile_duration_seconds histogram",
        "reprise_reconcile_runs_total counter",
        "reprise_recovery_milestone_timestamp_seconds gauge",
        "reprise_requests gauge",
        "reprise_step_duration_seconds histogram",
        "reprise_steps_total counter",
        "reprise_tasks_failed_total counter",
    ];
    assert_eq!(families(&metrics), expected.map(String::from).into());
}

#[test]
fn every_combination_exists_from_the_start() {
    let text = Metrics::new(LABELS).unwrap().text().unwrap();
    for line in [
        r#"reprise_reconcile_runs_total{kind="request",outcome="panicked"} 0"#,
        r#"reprise_reconcile_duration_seconds_count{kind="request"} 0"#,
        r#"reprise_queue_depth{kind="request"} 0"#,
        r#"reprise_provider_requests_total{call="apps.create",outcome="throttled",provider="paas"} 0"#,
        r#"reprise_provider_request_duration_seconds_count{call="apps.get",provider="paas"} 0"#,
        r#"reprise_steps_total{outcome="failed",step="restore"} 0"#,
        r#"reprise_requests{phase="Pending"} 0"#,
        r#"reprise_backups_refused_total{reason="truncated"} 0"#,
        r#"reprise_bytes_moved_total{what="dump"} 0"#,
        "reprise_tasks_failed_total 0",
        "reprise_lease_held 0",
    ] {
        assert!(text.lines().any(|there| there == line), "missing: {line}\n{text}");
    }
}

#[test]
fn a_value_outside_its_set_makes_no_new_series() {
    let metrics = Metrics::new(LABELS).unwrap();
    let before = metrics.text().unwrap().lines().count();
    metrics.provider_called("paas", "GET https://api/apps/7", "HTTP 599", Duration::from_millis(3));
    metrics.provider_called("stranger", "apps.get", "ok", Duration::ZERO);
    metrics.step_ended("step of 4711", "done", Duration::ZERO);
    metrics.backup_refused("row 17 is broken");
    let after = metrics.text().unwrap();
    assert_eq!(after.lines().count(), before, "{after}");
    assert!(
        after.contains(r#"provider_requests_total{call="other",outcome="other",provider="paas"} 1"#),
        "{after}"
    );
    assert!(after.contains(r#"backups_refused_total{reason="other"} 1"#), "{after}");
}

#[test]
fn what_happens_is_counted() {
    let metrics = Metrics::new(LABELS).unwrap();
    metrics.run_ended("request", RunOutcome::Failed(Class::Terminal), Duration::from_millis(20));
    metrics.queue_changed(
        "request",
        Depth { due: 3, delayed: 2, running: 1, oldest: Duration::from_millis(1500) },
    );
    metrics.bytes_moved("dump", 7);
    metrics.bytes_moved("dump", 5);
    metrics.requests_are(&[("Pending".to_owned(), 1)]);
    metrics.requests_are(&[("Running".to_owned(), 2)]);
    metrics.lease(Some(Epoch(4)));
    metrics.lease(None);
    metrics.task_failed();
    let text = metrics.text().unwrap();
    for line in [
        r#"reprise_reconcile_runs_total{kind="request",outcome="terminal"} 1"#,
        r#"reprise_reconcile_duration_seconds_bucket{kind="request",le="0.025"} 1"#,
        r#"reprise_queue_oldest_seconds{kind="request"} 1.5"#,
        r#"reprise_queue_depth{kind="request"} 3"#,
        r#"reprise_bytes_moved_total{what="dump"} 12"#,
        r#"reprise_requests{phase="Running"} 2"#,
        r#"reprise_requests{phase="Pending"} 0"#,
        "reprise_lease_held 0",
        "reprise_lease_epoch 4",
        "reprise_tasks_failed_total 1",
    ] {
        assert!(text.lines().any(|there| there == line), "missing: {line}\n{text}");
    }
    assert!(!text.contains("last_success"), "a failure is no success");
}

#[test]
fn rows_against_objects_have_a_series_where_they_were_compared_and_none_elsewhere() {
    let metrics = Metrics::new(LABELS).unwrap();
    let fact = |plan: &str, dangling| ArchiveFacts {
        plan: plan.to_owned(),
        dangling,
        orphans: dangling.map(|_| 2),
        dangling_limit: dangling.map(|_| 5),
        ..ArchiveFacts::default()
    };
    metrics.archives_are(&[fact("shop", Some(3)), fact("blog", None)]);
    let text = metrics.text().unwrap();
    let ours: Vec<&str> = text
        .lines()
        .filter(|line| {
            line.starts_with("reprise_dangling_references") || line.starts_with("reprise_orphan_objects{")
        })
        .collect();
    assert_eq!(
        ours,
        [
            r#"reprise_dangling_references{plan="shop"} 3"#,
            r#"reprise_dangling_references_limit{plan="shop"} 5"#,
            r#"reprise_orphan_objects{plan="shop"} 2"#
        ]
    );
}

#[test]
fn a_deleted_plan_takes_its_series_along() {
    let metrics = Metrics::new(LABELS).unwrap();
    metrics.milestone_reached(
        "shop",
        "restored",
        DateTime::from_timestamp_millis(1_800_000_000_250).unwrap(),
    );
    let line = r#"milestone_timestamp_seconds{milestone="restored",plan="shop"} 1800000000.25"#;
    assert!(metrics.text().unwrap().contains(line), "{}", metrics.text().unwrap());
    metrics.plan_deleted("shop");
    assert!(!metrics.text().unwrap().contains("shop"));
}
