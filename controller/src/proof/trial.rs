//! One backup in the throwaway database, from its download to what was seen there.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::ProofError;
use super::bench::Bench;
use super::disk::Budget;
use super::learnt::{Learnt, Look, learnt, recorded, versions};
use super::run::{APPLICATION, Prover};
use super::server::Server;
use super::source::paced;
use super::throwaway::Place;
use crate::backup::archive::Expect;
use crate::backup::doubt::SECOND_LOOK;
use crate::backup::ladder::{Climb, Recorded, Scratch, climb_to_readable};
use crate::runtime::chain::Chain;
use crate::store::Verdict;

/// How long indexes and tables of one backup may be looked into.
const STRUCTURE: Duration = Duration::from_mins(30);
/// How long one of the plan's questions may take.
const QUESTION: Duration = Duration::from_mins(2);

/// One backup that was tried.
pub(super) struct Tried {
    pub climb: Climb,
    /// The versions of what it was tried with.
    pub tools: Value,
    /// Where it was restored, if it came so far.
    pub place: Option<Place>,
}

impl Prover<'_> {
    pub(super) async fn climb(
        &self,
        bench: &Bench,
        server: &mut Server,
        known: &Verdict,
        stop: &CancellationToken,
    ) -> Result<Tried, String> {
        let folder = server.folder().to_owned();
        let free = self.tools.disk_budget(&folder).map_err(|error| Chain(&error).to_string())?;
        let budget = Budget::new(&folder, free, bench.policy.max_disk);
        let trouble = server.trouble(bench.policy.max_disk);
        let climbing = async {
            let recorded = recorded(known);
            // What has to wait for nothing of the dump is there before it: the code, and a database in the likely server. The download is
            // opened last: whoever offers it closes a line on which nobody reads.
            let migrations = || self.tools.migrations((self.plan, self.spec), &folder, stop);
            bench.code.get_or_init(migrations).await;
            let likely = server.likely().await.map_err(|error| Chain(&error).to_string())?;
            let climb = self.read_twice(bench, known, &recorded, &server.dump(), budget.most).await?;
            self.restore(bench, (server, likely), climb, &recorded, stop)
                .await
                .map_err(|error| Chain(&error).to_string())
        };
        tokio::select! {
            tried = Box::pin(climbing) => tried,
            why = budget.outgrown() => Err(why),
            why = trouble => Err(why),
        }
    }

    /// The climb as far as it needs no server. What may be the transfer's fault is believed when a second download, by a new link, comes the
    /// same way.
    async fn read_twice(
        &self,
        bench: &Bench,
        known: &Verdict,
        recorded: &Recorded,
        dump: &Path,
        most: u64,
    ) -> Result<Climb, String> {
        let climb = read(bench, &known.backup, recorded, dump, most).await?;
        let before = known.refused.as_deref().filter(|_| known.settled);
        let Some(first) = climb.doubt(before) else { return Ok(climb) };
        tracing::info!(plan = self.plan, backup = known.label(), refusal = %Chain(first), "downloading once more");
        self.tools.clock.sleep(SECOND_LOOK).await;
        let again = read(bench, &known.backup, recorded, dump, most).await?;
        Ok(again.after(first))
    }

    /// What it says of the backup. `server` is that which the plan names.
    pub(super) fn judge(
        &self,
        bench: &Bench,
        known: &Verdict,
        climbed: &Climb,
        (tools, server): (&Value, Option<&str>),
    ) -> Learnt {
        if let Some(received) = &climbed.received {
            self.tools.metrics.bytes_moved("database-backup", received.download_bytes);
        }
        let at = self.tools.clock.now();
        let look = Look { tools, server, at, by: self.by, asked: &bench.asked };
        learnt(known, climbed, &look)
    }

    /// The rest of the climb, in a server of the major that the dump wants.
    async fn restore(
        &self,
        bench: &Bench,
        (server, likely): (&mut Server, Option<Place>),
        climb: Climb,
        recorded: &Recorded,
        stop: &CancellationToken,
    ) -> Result<Tried, ProofError> {
        let restorer = server.restorer(bench, climb.toc.as_ref())?;
        let mut tried = Tried { tools: versions(&climb, restorer.version(), None), climb, place: None };
        let Some(toc) = tried.climb.toc.as_ref().filter(|_| tried.climb.halt.is_none()) else {
            return Ok(tried);
        };
        let place = server.place(bench, (&tried.climb, toc), likely).await?;
        let (folder, dump) = (server.folder(), server.dump());
        let migrations = || self.tools.migrations((self.plan, self.spec), folder, stop);
        let scratch = Scratch {
            target: &place.owner,
            superuser: place.superuser.as_ref(),
            jobs: u16::try_from(self.spec.limits.restore_jobs).unwrap_or(2),
            work_dir: folder,
            application: APPLICATION,
            questions: &bench.questions,
            question_limit: QUESTION,
            structure_limit: STRUCTURE,
            code: bench.code.get_or_init(migrations).await,
        };
        let climb = Box::pin(tried.climb.on(restorer, recorded, &dump, scratch, stop)).await;
        tried = Tried {
            tools: versions(&climb, restorer.version(), Some(server.version())),
            climb,
            place: Some(place),
        };
        Ok(tried)
    }
}

/// One download, read to its end.
async fn read(
    bench: &Bench,
    backup: &str,
    recorded: &Recorded,
    dump: &Path,
    most: u64,
) -> Result<Climb, String> {
    let newest = bench.restorer(None, None).map_err(|error| Chain(&error).to_string())?;
    let found = bench.source.download(backup).await;
    let found = found.map_err(|error| Chain(&error).to_string())?;
    let download = found.ok_or_else(|| "it is listed and cannot be downloaded".to_owned())?;
    let expect = Expect { download_bytes: download.length, max_dump_bytes: most };
    let body = paced(download.body, bench.policy.max_rate);
    Ok(climb_to_readable(newest, body, expect, recorded, dump).await)
}
