//! One run: the platform's list, then backup after backup, each stored before the next.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reprise_crds::RecoveryPlanSpec;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ProofError;
use super::bench::Bench;
use super::keys::KeyList;
use super::learnt::Learnt;
use super::pick::{self, Why};
use super::policy::rest;
use super::reckon::suspicions;
use super::server::Server;
use super::trial::Tried;
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::store::{Rung, Store, Verdict};

/// Between two looks whether a recovery is at work, while a backup is taken up. Real time: it is between us and our own store.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// The sessions' name.
pub(super) const APPLICATION: &str = "reprise-proof";

/// Takes up the backups of one plan.
#[derive(Debug)]
pub struct Prover<'a> {
    /// Store, platform, clock.
    pub tools: &'a Tools,
    /// The plan's name.
    pub plan: &'a str,
    /// The plan.
    pub spec: &'a RecoveryPlanSpec,
    /// Who takes them up, for the verdicts.
    pub by: &'a str,
    /// Where every key is listed that has no counterpart, if anybody wants that.
    pub keys: Option<&'a KeyList>,
}

/// Which backups are taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those that are due, as many as the plan allows; none while a recovery is at work.
    Due,
    /// This one, by id or name, whatever is known of it.
    One(String),
    /// Every one that the platform lists, whatever is known of it.
    All,
}

/// One backup that was taken up.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Its id.
    pub backup: String,
    /// What it is called.
    pub name: String,
    /// When it was taken.
    pub taken_at: Option<DateTime<Utc>>,
    /// Why it was taken up.
    pub why: Why,
    /// How far it came.
    pub rung: Rung,
    /// The class of the refusal.
    pub refused: Option<String>,
    /// The refusal, or why it is not higher.
    pub message: Option<String>,
    /// Why nothing was learnt of it.
    pub trouble: Option<String>,
    /// What was looked at beside the rows, a sentence each.
    pub checks: Vec<String>,
    /// What holding its rows against the newest archive run's objects found.
    pub references: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Backups that the platform lists.
    pub listed: usize,
    /// Those that were taken up, in this order.
    pub taken: Vec<Taken>,
    /// Those that are still to be taken up.
    pub left: usize,
    /// A recovery is at work, for which they wait.
    pub postponed: bool,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rung, refused, message, trouble, .. } = self;
        let message = message.as_deref().unwrap_or_default();
        match (trouble, refused) {
            (Some(trouble), _) => write!(f, "{name}: nothing was learnt, {trouble}"),
            (None, Some(refused)) => {
                write!(f, "{name}: refused after {} ({refused}): {message}", rung.name())
            }
            (None, None) if message.is_empty() => write!(f, "{name}: {}", rung.name()),
            (None, None) => write!(f, "{name}: {} ({message})", rung.name()),
        }?;
        self.checks.iter().chain(&self.references).try_for_each(|found| write!(f, "; {found}"))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listed, taken, left, postponed } = self;
        write!(f, "{listed} backups listed, {} taken up", taken.len())?;
        for one in taken {
            write!(f, "; {one}")?;
        }
        if *left > 0 {
            write!(f, "; {left} left for the next run")?;
        }
        if *postponed { write!(f, "; a recovery is at work, which comes first") } else { Ok(()) }
    }
}

impl Summary {
    /// The run's sentence; an error if backups were taken up and nothing was learnt of any.
    pub fn outcome(&self) -> Result<String, ProofError> {
        match self.taken.iter().find_map(|one| one.trouble.clone()) {
            Some(trouble) if self.taken.iter().all(|one| one.trouble.is_some()) => {
                Err(ProofError::Nothing(trouble))
            }
            _ => Ok(self.to_string()),
        }
    }
}

impl Prover<'_> {
    /// Asks for the list and takes up backups; `told` hears of each when it is stored.
    ///
    /// *Repeat*: safe; what is known is not learnt again unless it is asked for. One process at a time does it for a plan.
    pub async fn run(
        &self,
        which: &Which,
        stop: &CancellationToken,
        told: impl Fn(&Taken),
    ) -> Result<Summary, ProofError> {
        let store = &self.tools.store;
        let _turn =
            store.proof_turn(self.plan).await?.ok_or_else(|| ProofError::Busy(self.plan.to_owned()))?;
        let bench = self.bench().await?;
        let listed = bench.source.list().await?;
        store.record_listing(self.plan, &listed, self.tools.clock.now(), self.by).await?;
        self.forget().await?;
        let mut summary = Summary { listed: listed.len(), ..Summary::default() };
        let mut server = None;
        let worked = self.work(&bench, which, stop, &mut server, &mut summary, told).await;
        if let Some(server) = server {
            server.end().await?;
        }
        worked.map(|()| summary)
    }

    async fn work(
        &self,
        bench: &Bench,
        which: &Which,
        stop: &CancellationToken,
        server: &mut Option<Server>,
        summary: &mut Summary,
        told: impl Fn(&Taken),
    ) -> Result<(), ProofError> {
        let mut tried = BTreeSet::new();
        loop {
            if stop.is_cancelled() {
                return Err(ProofError::Stopped);
            }
            let rows = self.tools.store.verdicts(self.plan).await?;
            summary.left = pick::left(&rows, self.tools.clock.now(), &bench.asked, &tried);
            let overtaken = if *which == Which::Due { self.overtaken(&rows).await? } else { None };
            let chosen = self.choose(&rows, which, bench, &tried, overtaken.as_deref())?;
            let Some((known, why)) = chosen else { return Ok(()) };
            if *which == Which::Due && self.tools.store.recovery_at_work_beside(self.plan).await? {
                summary.postponed = true;
                return Ok(());
            }
            if server.is_none() {
                *server = Some(Box::pin(self.server(bench, &rows)).await?);
            }
            let Some(server) = server.as_mut() else { return Ok(()) };
            tried.insert(known.backup.clone());
            // What was asked for goes on: whoever asked sees what it does.
            let others = pick::answered(&rows, known, &bench.asked);
            let taken = Box::pin(self.take(bench, server, (known, others), why, stop));
            let taken = match which {
                Which::Due => unless_recovery((&self.tools.store, self.plan), BETWEEN_LOOKS, taken).await,
                Which::One(_) | Which::All => Some(taken.await),
            };
            let Some(taken) = taken.transpose()? else {
                tracing::info!(
                    plan = self.plan,
                    backup = known.label(),
                    "a recovery is at work, which comes first"
                );
                summary.postponed = true;
                return Ok(());
            };
            told(&taken);
            summary.taken.push(taken);
        }
    }

    fn choose<'r>(
        &self,
        rows: &'r [Verdict],
        which: &Which,
        bench: &Bench,
        tried: &BTreeSet<String>,
        overtaken: Option<&str>,
    ) -> Result<Option<(&'r Verdict, Why)>, ProofError> {
        let untried = |row: &&Verdict| !tried.contains(&row.backup);
        match which {
            Which::Due if pick::enough(rows, tried.len(), &bench.policy) => Ok(None),
            Which::Due => {
                let draw = |count| rand::random_range(0..count);
                let now = self.tools.clock.now();
                let overtaken = rows.iter().find(|row| overtaken == Some(row.backup.as_str()));
                let next = pick::next(rows, now, &bench.policy, &bench.asked, tried, draw);
                Ok(pick::sooner(next, overtaken.filter(untried)))
            }
            Which::All => Ok(pick::present(rows).find(untried).map(|row| (row, Why::Asked))),
            Which::One(name) => {
                let named = |row: &&Verdict| row.backup == *name || row.label() == name;
                let found =
                    pick::present(rows).find(named).ok_or_else(|| ProofError::NoBackup(name.clone()))?;
                Ok(Some(found).filter(untried).map(|row| (row, Why::Asked)))
            }
        }
    }

    /// Takes one backup up, and stores what was learnt.
    async fn take(
        &self,
        bench: &Bench,
        server: &mut Server,
        (known, others): (&Verdict, bool),
        why: Why,
        stop: &CancellationToken,
    ) -> Result<Taken, ProofError> {
        tracing::info!(plan = self.plan, backup = known.label(), why = ?why, "taking up a backup");
        let began = Instant::now();
        // All that is known of it, which the list does not hold.
        let counts = self.tools.store.counts_of(self.plan, &known.backup).await?;
        let known = &Verdict { counts, ..known.clone() };
        server.clear().await?;
        let look = async {
            match self.climb(bench, server, known, stop).await {
                Ok(Tried { climb, tools, place }) => {
                    let climb = climb.known(others, pick::held(known, &bench.asked));
                    (self.judge(bench, known, &climb, (&tools, server.named())), place)
                }
                Err(trouble) => (Learnt::Nothing(trouble), None),
            }
        };
        let (learnt, place) = stop.run_until_cancelled(Box::pin(look)).await.ok_or(ProofError::Stopped)?;
        // A restore that was cancelled comes back by itself, as trouble that is none.
        if stop.is_cancelled() {
            return Err(ProofError::Stopped);
        }
        let references = match (&learnt, &place) {
            (Learnt::Fact(verdict), Some(place)) if verdict.sound => {
                self.references((server, place), known, stop).await
            }
            _ => None,
        };
        let taken = Taken { references, ..self.store(known, learnt, why, began.elapsed()).await? };
        self.reckon(bench).await?;
        tracing::info!(plan = self.plan, outcome = %taken, took_s = taken.seconds, "took up a backup");
        Ok(taken)
    }

    async fn store(
        &self,
        known: &Verdict,
        learnt: Learnt,
        why: Why,
        took: Duration,
    ) -> Result<Taken, ProofError> {
        let store = &self.tools.store;
        let taken = |verdict: &Verdict, trouble: Option<String>| Taken {
            backup: verdict.backup.clone(),
            name: verdict.label().to_owned(),
            taken_at: verdict.taken_at,
            why,
            rung: verdict.rung,
            refused: verdict.refused.clone(),
            message: verdict.message.clone(),
            trouble,
            checks: sentences(verdict.checks.as_ref()),
            references: None,
            seconds: took.as_secs_f64(),
        };
        match learnt {
            Learnt::Fact(verdict) => {
                store.record_verdict(self.plan, &verdict).await?;
                if let Some(reason) = &verdict.refused {
                    self.tools.metrics.backup_refused(reason);
                }
                Ok(taken(&verdict, None))
            }
            Learnt::Nothing(trouble) => {
                let retry_at = self.tools.clock.now() + rest(known.attempts.unsigned_abs());
                store.note_trouble(self.plan, &known.backup, &trouble, retry_at).await?;
                Ok(Taken { checks: Vec::new(), ..taken(known, Some(trouble)) })
            }
        }
    }

    /// Holds all backups against each other anew.
    async fn reckon(&self, bench: &Bench) -> Result<(), ProofError> {
        let rows = self.tools.store.verdicts_with_counts(self.plan).await?;
        let found = suspicions(&rows, bench.policy.tolerated);
        for (backup, why) in &found {
            let known = rows.iter().find(|row| row.backup == *backup);
            if let Some(why) = why
                && known.is_none_or(|known| known.suspicious.as_ref() != Some(why))
            {
                tracing::warn!(plan = self.plan, backup, why, "a backup is suspicious");
            }
        }
        Ok(self.tools.store.record_suspicions(self.plan, &found).await?)
    }
}

/// What `work` comes to; `None` as soon as a recovery is at work, which needs disk, processors and line for itself. What is dropped
/// then ends its programs; its files go with the throwaway server.
async fn unless_recovery<T>(
    (store, plan): (&Store, &str),
    between: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let recovery = async {
        loop {
            tokio::time::sleep(between).await;
            match store.recovery_at_work_beside(plan).await {
                Ok(true) => return,
                Ok(false) => {}
                // The work writes to the same store, and meets what is wrong with it.
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "cannot look whether a recovery is at work");
                }
            }
        }
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = recovery => None,
    }
}

/// What was looked at, as it was told.
fn sentences(checks: Option<&Value>) -> Vec<String> {
    let told = checks.and_then(Value::as_object).into_iter().flat_map(serde_json::Map::values);
    told.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::lab;

    const AT_ONCE: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_climb_under_way_yields_to_a_recovery() {
        let lab = lab().await;
        let under_way = async {
            lab.store.file_request("bad-day", "apilos", &serde_json::json!({})).await.expect("filed");
            std::future::pending::<()>().await;
        };
        let at = (&lab.store, "apilos");
        assert_eq!(unless_recovery(at, AT_ONCE, under_way).await, None);
        lab.sql("UPDATE recovery_requests SET phase = 'Succeeded'").await.expect("written");
        let waits = lab.store.recovery_at_work();
        assert!(unless_recovery(at, AT_ONCE, waits).await.is_some_and(|there| there.is_ok_and(|it| !it)));
        lab.end().await;
    }
}
