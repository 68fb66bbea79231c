//! Preflight: what a recovery would need, looked at before the day it is needed. Everything here only reads.
//!
//! The same things that the first steps of a recovery would stumble over: rights of tokens and keys, plans and stack still
//! offered, code that can be fetched, a DNS zone that can be changed, an archive that can be read, tools, disk, and how old the
//! newest proof of each kind is. One list, one score.

mod artifacts;
mod buckets;
mod caa;
mod certificates;
mod extensions;
mod finding;
mod keep;
mod local;
mod outside;
mod platform;
mod proof_server;
mod rights;
mod ssh;
mod variables;

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reprise_crds::RecoveryPlanSpec;

pub use buckets::MIRROR_IS_COLD;
pub use finding::{Check, Finding, Grade, Score};
use finding::{Seen, unknown};
pub use keep::watch;
pub use outside::NAMES_TTL;

use crate::recovery::tools::Tools;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is looked at, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Preflight<'a> {
    /// Store, providers, clock.
    pub tools: &'a Tools,
    /// The plan's name.
    pub plan: &'a str,
    /// The plan.
    pub spec: &'a RecoveryPlanSpec,
}

impl Preflight<'_> {
    /// Looks at everything, one after the other: the budgets of requests are the recoveries'. A look that fails or takes too
    /// long is a finding itself. *Repeat*: safe.
    pub async fn look(&self) -> Vec<Finding> {
        let (mut findings, rights) = (Vec::new(), self.rights().await);
        for check in Check::ALL.into_iter().filter(|check| check.is_asked_by(self.spec)) {
            let finding = match tokio::time::timeout(PATIENCE, self.one(check)).await {
                Ok((seen, until)) => Finding { until, ..Finding::new(check, seen) },
                Err(_) => Finding::new(check, unknown(format!("no answer within {} s", PATIENCE.as_secs()))),
            };
            findings.push(rights.on(finding));
        }
        findings
    }

    /// What is seen, and when the first credential ends, where any does.
    fn one(&self, check: Check) -> BoxFuture<'_, (Seen, Option<DateTime<Utc>>)> {
        let seen = match check {
            Check::Certificates => return self.certificates().boxed(),
            Check::Artifacts => return self.artifacts().boxed(),
            Check::References => futures::future::ready(self.references()).boxed(),
            Check::Platform => self.platform().boxed(),
            Check::Plans => self.plans().boxed(),
            Check::Stack => self.stack().boxed(),
            Check::Backups => self.backups().boxed(),
            Check::Extensions => self.extensions().boxed(),
            Check::Code => self.code().boxed(),
            Check::Variables => self.variables().boxed(),
            Check::Dns => self.dns().boxed(),
            Check::Archive => self.archive().boxed(),
            Check::PostgreSql => self.postgresql().boxed(),
            Check::Disk => self.disk().boxed(),
            Check::Freshness => self.freshness().boxed(),
            Check::Ssh => self.ssh().boxed(),
            Check::TargetBucket => self.target_bucket().boxed(),
            Check::Mirror => self.mirrors().boxed(),
            Check::Identity => self.identity().boxed(),
            Check::ProofServer => self.proof_server().boxed(),
        };
        seen.map(|seen| (seen, None)).boxed()
    }
}
