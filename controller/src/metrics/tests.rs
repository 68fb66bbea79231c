//! The names on the wire: alerts and dashboards rely on them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use chrono::DateTime;

use super::{Dated, Labels, Metrics, Outlook, Readiness, What};
use crate::runtime::class::Class;
use crate::runtime::clock::Clock;
use crate::runtime::controller::{Observer, RunOutcome};
use crate::runtime::lease::Epoch;
use crate::runtime::queue::Depth;
use crate::schedule::job::Job;
use crate::schedule::runner::Next;
use crate::store::ArchiveFacts;

const LABELS: Labels = Labels {
    kinds: &["request"],
    calls: &[("paas", &["apps.create", "apps.get"])],
    steps: &["restore"],
    step_outcomes: &["done", "failed"],
    phases: &["Pending", "Running"],
    scopes: &["all", "dns"],
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
    metrics.milestones_are(&[("shop".to_owned(), "restored".to_owned(), DateTime::UNIX_EPOCH)]);
    metrics.run_ended("request", RunOutcome::Settled, Duration::ZERO);
    let expected = [
        "reprise_alert_drill gauge",
        "reprise_backups_refused_total counter",
        "reprise_build_info gauge",
        "reprise_bytes_moved_total counter",
        "reprise_last_success_timestamp_seconds gauge",
        "reprise_lease_epoch gauge",
        "reprise_lease_held gauge",
        "reprise_open_requests gauge",
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
    let at = DateTime::from_timestamp_millis(1_800_000_000_250).unwrap();
    metrics.milestones_are(&[("shop".to_owned(), "restored".to_owned(), at)]);
    let line = r#"milestone_timestamp_seconds{milestone="restored",plan="shop"} 1800000000.25"#;
    assert!(metrics.text().unwrap().contains(line), "{}", metrics.text().unwrap());
    metrics.milestones_are(&[]);
    assert!(!metrics.text().unwrap().contains("shop"));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_looked_at_for_long_is_not_called_proven() {
    let metrics = all();
    let proven = |value: u8| format!("reprise_plan_proven{{plan=\"shop\"}} {value}\n");
    assert!(metrics.text().unwrap().contains(&proven(1)));
    tokio::time::advance(Duration::from_mins(16)).await;
    assert!(metrics.text().unwrap().contains(&proven(0)), "the store is away");
}

/// Metrics in which every family has a series: those of plans are there only for what a plan has.
fn all() -> Metrics {
    let (metrics, at, plan) = (Metrics::new(LABELS).unwrap(), DateTime::UNIX_EPOCH, || "shop".to_owned());
    metrics.run_ended("request", RunOutcome::Settled, Duration::ZERO);
    metrics.milestones_are(&[(plan(), "restored".to_owned(), at)]);
    metrics.failures_are(&[(plan(), at)]);
    metrics.movements_are(&[(plan(), at)]);
    metrics.hand_overs_are(&[(plan(), at)]);
    let what = [
        What::Backup,
        What::Archive,
        What::VerifiedArchive,
        What::ArchiveVerification,
        What::DumpCopy,
        What::Artifact,
        What::Drill,
    ];
    let dated = what.map(|what| Dated {
        plan: plan(),
        what,
        at: Some(at),
        limit: Some(Duration::ZERO),
        looked_at: Some(at),
        suspicious: Some(false),
        refused: Some(false),
        rotten: Some(0),
    });
    metrics.dates_are(dated.into(), &Clock::fixed(at));
    metrics.archives_are(&[ArchiveFacts {
        plan: plan(),
        finished_at: Some(at),
        objects: Some(1),
        bytes: Some(1),
        changed_bytes: Some(1),
        duration_seconds: Some(1.0),
        suspicious: false,
        damaged: false,
        missing: 0,
        copying_objects: Some(1),
        copying_bytes: Some(1),
        copying_bytes_of: Some(1),
        copying_left: Some(1.0),
        copying_of: Some(1),
        dangling: Some(1),
        orphans: Some(1),
        dangling_limit: Some(1),
        full_coverage_days: Some(1),
    }]);
    metrics.schedules_are(Some(at), &[Next { plan: plan(), job: Job::Archive, due_at: at }]);
    metrics.readiness_is(&[Readiness {
        plan: plan(),
        at,
        score: 1.0,
        checks: vec![("dns", true)],
        ends: vec![("artifacts", at)],
    }]);
    metrics.plans_are(&[(plan(), true)]);
    metrics.outlooks_are(&[Outlook {
        plan: plan(),
        proven: Some(true),
        predicted_seconds: Some(1.0),
        objective_seconds: Some(1.0),
        drill_seconds: Some(1.0),
    }]);
    metrics
}

/// The names in a text that look like one of ours. Databases of a proof are called `reprise_proof_…`, and are no metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.strip_prefix("reprise_").is_some_and(|rest| !["", "proof_"].contains(&rest)))
        .collect()
}

#[test]
fn every_metric_that_a_rule_the_dashboard_or_the_manual_names_exists() {
    let series = all().text().unwrap();
    let there: BTreeSet<&str> = names(&series).into_iter().collect();
    for file in ["deploy/prometheus/rules.yml", "deploy/grafana/reprise.json", "docs/operations.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let named = names(&text);
        let unknown: Vec<_> = named.difference(&there).collect();
        assert!(named.len() > 5 && unknown.is_empty(), "{file} names {unknown:?}");
    }
}

#[test]
fn what_has_a_date_has_an_age() {
    let all = families(&all());
    let stamps =
        ["backup", "archive", "verified_archive", "archive_verified", "dump_copy", "artifact", "drill"];
    for form in ["timestamp", "age"] {
        for what in stamps {
            assert!(all.contains(&format!("reprise_{what}_{form}_seconds gauge")), "{what} {form}: {all:?}");
        }
    }
}
