//! How old things are. The dates come from what is on record, the ages from the clock at the very scrape: no gauge stands
//! still in a process that hangs, and none begins anew in one that was restarted. What has no date has no series.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGaugeVec};
use tokio::time::Instant;

use super::MetricsError;
use super::family::{Families, opts, seconds};
use crate::runtime::clock::{Clock, SKEW};

/// When the records were not read for so long, nothing is called fresh any more.
const UNSEEN: Duration = Duration::from_mins(2);

/// What has an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The newest proven database backup.
    Backup,
    /// The newest archive of documents.
    Archive,
    /// The newest archive of documents of which contents were read back.
    VerifiedArchive,
    /// The last time that an archive was read back.
    ArchiveVerification,
    /// The newest database backup of which the archive keeps a copy.
    DumpCopy,
    /// The newest run of the archive job whose artifact can be had.
    Artifact,
    /// The last rehearsal.
    Drill,
}

impl What {
    /// The label's value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Archive => "archive",
            Self::VerifiedArchive => "verified-archive",
            Self::ArchiveVerification => "archive-verification",
            Self::DumpCopy => "dump-copy",
            Self::Artifact => "artifact",
            Self::Drill => "drill",
        }
    }
}

/// One thing of a plan that has an age, or should have.
#[derive(Debug, Clone, PartialEq)]
pub struct Dated {
    /// The plan.
    pub plan: String,
    /// The thing.
    pub what: What,
    /// When the newest is from, if there is any.
    pub at: Option<DateTime<Utc>>,
    /// The age at which it is stale, if the plan wants it at all.
    pub limit: Option<Duration>,
    /// When it was last looked for, with success.
    pub looked_at: Option<DateTime<Utc>>,
    /// Whether the newest may be poisoned, where that can be told.
    pub suspicious: Option<bool>,
    /// Whether the newest that was looked at was refused, where that can be told.
    pub refused: Option<bool>,
    /// How many are refused that were whole once, where that can be told.
    pub rotten: Option<i64>,
}

impl Dated {
    /// Whether it is younger than its limit. Absent is not fresh, nor is what is of a time to come: then a clock was or is wrong. What
    /// the plan does not want is neither.
    pub fn is_fresh(&self, now: DateTime<Utc>) -> Option<bool> {
        let limit = TimeDelta::from_std(self.limit?).unwrap_or(TimeDelta::MAX);
        Some(self.at.is_some_and(|at| now - at <= limit && at - now <= SKEW))
    }
}

#[derive(Debug)]
struct Seen {
    dates: Vec<Dated>,
    clock: Clock,
    at: Instant,
}

/// The families, filled when they are asked for.
#[derive(Debug, Clone)]
pub(super) struct Freshness {
    seen: Arc<Mutex<Option<Seen>>>,
    timestamps: [(What, GaugeVec); 7],
    ages: [(What, GaugeVec); 7],
    limits: GaugeVec,
    fresh: IntGaugeVec,
    looked: GaugeVec,
    suspicious: IntGaugeVec,
    refused: IntGaugeVec,
    rotten: IntGaugeVec,
}

impl Freshness {
    /// Registers itself.
    pub(super) fn new(families: &Families) -> Result<Self, MetricsError> {
        families.register("freshness", Self::unregistered())
    }

    fn unregistered() -> prometheus::Result<Self> {
        let gauges = |name, help, labels: &[&str]| GaugeVec::new(opts(name, help), labels);
        let switches = |name, help, labels: &[&str]| IntGaugeVec::new(opts(name, help), labels);
        let (plan, both) = (&["plan"][..], &["plan", "what"][..]);
        let backup_at = "When the newest proven database backup was taken.";
        let drill_at = "When a rehearsal last succeeded.";
        let archive_at = "Since when the newest archive lists its bucket that is complete and that nothing is known against.";
        let verified_archive_at = "The same of the newest archive of which contents were read back.";
        let artifact_at = "When the newest run of the archive job began whose artifact can be had.";
        let verified_at =
            "When contents of an archive were last read back and nothing was found wrong with its run.";
        let copied_at = "When the newest database backup was taken of which the archive keeps a copy.";
        Ok(Self {
            seen: Arc::default(),
            timestamps: [
                (What::Backup, gauges("backup_timestamp_seconds", backup_at, plan)?),
                (What::Archive, gauges("archive_timestamp_seconds", archive_at, plan)?),
                (
                    What::VerifiedArchive,
                    gauges("verified_archive_timestamp_seconds", verified_archive_at, plan)?,
                ),
                (What::ArchiveVerification, gauges("archive_verified_timestamp_seconds", verified_at, plan)?),
                (What::DumpCopy, gauges("dump_copy_timestamp_seconds", copied_at, plan)?),
                (What::Artifact, gauges("artifact_timestamp_seconds", artifact_at, plan)?),
                (What::Drill, gauges("drill_timestamp_seconds", drill_at, plan)?),
            ],
            ages: [
                (
                    What::Backup,
                    gauges("backup_age_seconds", "Age of the newest proven database backup.", plan)?,
                ),
                (What::Archive, gauges("archive_age_seconds", "Age of the newest archive.", plan)?),
                (
                    What::VerifiedArchive,
                    gauges("verified_archive_age_seconds", "Age of the newest that was read back.", plan)?,
                ),
                (
                    What::ArchiveVerification,
                    gauges(
                        "archive_verified_age_seconds",
                        "Time since an archive was last read back and found whole.",
                        plan,
                    )?,
                ),
                (
                    What::DumpCopy,
                    gauges("dump_copy_age_seconds", "Age of the newest backup that is copied.", plan)?,
                ),
                (
                    What::Artifact,
                    gauges("artifact_age_seconds", "Age of the newest artifact that can be had.", plan)?,
                ),
                (What::Drill, gauges("drill_age_seconds", "Time since a rehearsal last succeeded.", plan)?),
            ],
            limits: gauges("freshness_limit_seconds", "The age at which it is stale, by the plan.", both)?,
            fresh: switches(
                "freshness_ok",
                "Whether the newest is younger than its limit; absent is not.",
                both,
            )?,
            looked: gauges(
                "freshness_looked_timestamp_seconds",
                "When it was last looked for, with success.",
                both,
            )?,
            suspicious: switches(
                "backup_suspicious",
                "Whether the newest restored backup lost suspiciously much.",
                plan,
            )?,
            refused: switches(
                "backup_refused",
                "Whether the newest database backup that was looked at was refused.",
                plan,
            )?,
            rotten: switches(
                "backups_rotten",
                "Database backups of the platform that were whole once and are refused now.",
                plan,
            )?,
        })
    }

    pub(super) fn dates_are(&self, dates: Vec<Dated>, clock: &Clock) {
        let seen = Seen { dates, clock: clock.clone(), at: Instant::now() };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    fn all(&self) -> Vec<&dyn Collector> {
        let dated = self.timestamps.iter().chain(&self.ages).map(|(_, family)| family as &dyn Collector);
        let others: [&dyn Collector; 6] =
            [&self.limits, &self.fresh, &self.looked, &self.suspicious, &self.refused, &self.rotten];
        dated.chain(others).collect()
    }

    fn forget(&self) {
        self.timestamps.iter().chain(&self.ages).for_each(|(_, family)| family.reset());
        [&self.limits, &self.looked].into_iter().for_each(GaugeVec::reset);
        [&self.fresh, &self.suspicious, &self.refused, &self.rotten].into_iter().for_each(IntGaugeVec::reset);
    }

    fn fill(&self, one: &Dated, now: DateTime<Utc>, unseen: bool) {
        let both = &[one.plan.as_str(), one.what.label()];
        if let Some(at) = one.at {
            let of = |(what, _): &&(What, GaugeVec)| *what == one.what;
            for (_, family) in self.timestamps.iter().filter(of) {
                family.with_label_values(&both[..1]).set(seconds(at));
            }
            for (_, family) in self.ages.iter().filter(of) {
                family.with_label_values(&both[..1]).set((now - at).as_seconds_f64().max(0.0));
            }
        }
        if let Some(limit) = one.limit {
            self.limits.with_label_values(both).set(limit.as_secs_f64());
        }
        if let Some(fresh) = one.is_fresh(now) {
            self.fresh.with_label_values(both).set(i64::from(fresh && !unseen));
        }
        if let Some(at) = one.looked_at {
            self.looked.with_label_values(both).set(seconds(at));
        }
        if let Some(suspicious) = one.suspicious {
            self.suspicious.with_label_values(&both[..1]).set(i64::from(suspicious));
        }
        if let Some(refused) = one.refused {
            self.refused.with_label_values(&both[..1]).set(i64::from(refused));
        }
        if let Some(rotten) = one.rotten {
            self.rotten.with_label_values(&both[..1]).set(rotten);
        }
    }
}

impl Collector for Freshness {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held to the end: two scrapes at once must not see each other's half.
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget();
        if let Some(seen) = seen.as_ref() {
            let (now, unseen) = (seen.clock.now(), seen.at.elapsed() > UNSEEN);
            seen.dates.iter().for_each(|one| self.fill(one, now, unseen));
        }
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Labels, Metrics};

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    fn backup(plan: &str, hours: Option<i64>) -> Dated {
        Dated {
            plan: plan.to_owned(),
            what: What::Backup,
            at: hours.map(|hours| now() - TimeDelta::hours(hours)),
            limit: Some(Duration::from_hours(25)),
            looked_at: None,
            suspicious: Some(false),
            refused: Some(true),
            rotten: Some(2),
        }
    }

    fn lines(metrics: &Metrics) -> Vec<String> {
        let text = metrics.text().unwrap();
        let ours = |line: &&str| {
            ["reprise_backup_", "reprise_backups_rotten", "reprise_freshness_"]
                .iter()
                .any(|name| line.starts_with(name))
        };
        let refused = |line: &&str| !line.contains("backups_refused");
        text.lines().filter(ours).filter(refused).map(str::to_owned).collect()
    }

    #[test]
    fn nothing_is_said_before_the_records_were_read_and_nothing_of_what_is_gone() {
        let metrics = Metrics::new(Labels::default()).unwrap();
        assert_eq!(lines(&metrics), [""; 0]);
        let clock = Clock::fixed(now());
        metrics.dates_are(vec![backup("shop", Some(1))], &clock);
        assert!(lines(&metrics).iter().any(|line| line.contains("shop")));
        metrics.dates_are(Vec::new(), &clock);
        assert_eq!(lines(&metrics), [""; 0]);
    }

    #[test]
    fn what_is_of_a_time_to_come_is_not_fresh() {
        let ahead = |minutes| Dated { at: Some(now() + TimeDelta::minutes(minutes)), ..backup("shop", None) };
        assert_eq!(ahead(4).is_fresh(now()), Some(true), "clocks differ a little");
        assert_eq!(ahead(60 * 24 * 1500).is_fresh(now()), Some(false));
    }

    #[test]
    fn absent_is_not_fresh_and_has_no_date() {
        let metrics = Metrics::new(Labels::default()).unwrap();
        metrics.dates_are(vec![backup("shop", None)], &Clock::fixed(now()));
        assert_eq!(
            lines(&metrics),
            [
                "reprise_backup_refused{plan=\"shop\"} 1",
                "reprise_backup_suspicious{plan=\"shop\"} 0",
                "reprise_backups_rotten{plan=\"shop\"} 2",
                "reprise_freshness_limit_seconds{plan=\"shop\",what=\"backup\"} 90000",
                "reprise_freshness_ok{plan=\"shop\",what=\"backup\"} 0",
            ]
        );
    }

    #[test]
    fn the_age_is_that_of_the_scrape_and_not_that_of_the_look() {
        let metrics = Metrics::new(Labels::default()).unwrap();
        let clock = Clock::fixed(now());
        metrics.dates_are(vec![backup("shop", Some(24))], &clock);
        let ok = "reprise_freshness_ok{plan=\"shop\",what=\"backup\"} 1";
        let has = |line: &str| lines(&metrics).iter().any(|found| found == line);
        assert!(has("reprise_backup_age_seconds{plan=\"shop\"} 86400") && has(ok));
        clock.set(now() + TimeDelta::hours(2));
        assert!(has("reprise_backup_age_seconds{plan=\"shop\"} 93600") && !has(ok), "{:?}", lines(&metrics));
        let stamp = format!(
            "reprise_backup_timestamp_seconds{{plan=\"shop\"}} {}",
            (now() - TimeDelta::days(1)).timestamp()
        );
        assert!(has(&stamp), "{:?}", lines(&metrics));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_looked_at_for_long_is_not_called_fresh() {
        let metrics = Metrics::new(Labels::default()).unwrap();
        metrics.dates_are(vec![backup("shop", Some(1))], &Clock::fixed(now()));
        tokio::time::advance(UNSEEN + Duration::from_secs(1)).await;
        let found = lines(&metrics);
        assert!(
            found.contains(&"reprise_freshness_ok{plan=\"shop\",what=\"backup\"} 0".to_owned()),
            "{found:?}"
        );
        assert!(found.iter().any(|line| line.starts_with("reprise_backup_timestamp_seconds")), "{found:?}");
    }
}
