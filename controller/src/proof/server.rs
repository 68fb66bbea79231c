//! Where backups are restored: in a server of ours, or in a database on the one that the plan names.

use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use futures::future::{BoxFuture, pending};

use super::ProofError;
use super::bench::{Bench, last_dumped};
use super::door::Door;
use super::named::Named;
use super::run::Prover;
use super::throwaway::{LOCALE, Place, Throwaway, remove_file};
use crate::backup::PgTools;
use crate::backup::ladder::Climb;
use crate::backup::toc::Toc;
use crate::store::Verdict;

/// The server of a run.
#[derive(Debug)]
pub(super) enum Server {
    /// Ours alone.
    Own(Box<Throwaway>),
    /// The one that the plan names.
    Named(Box<Named>),
}

/// Where a dump is received, in the folder of its server.
pub(super) fn dump_in(folder: &Path) -> PathBuf {
    folder.join("dump.pgsql")
}

impl Prover<'_> {
    /// The server that the plan names; else one of the major that the next dump is likely of.
    pub(super) async fn server(&self, bench: &Bench, rows: &[Verdict]) -> Result<Server, ProofError> {
        let folder = self.tools.proof_work.join(self.plan);
        let Some(door) = Door::of(self.tools, self.spec)? else {
            let likely = bench.server(last_dumped(rows))?;
            return Ok(Server::Own(Box::new(Throwaway::start(&folder, likely).await?)));
        };
        let newest = bench.restorer(None, None)?.major();
        let named = Named::open(door, (&self.tools.store, self.plan), &folder, newest).await?;
        Ok(Server::Named(Box::new(named)))
    }
}

impl Server {
    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Own(own) => own.folder(),
            Self::Named(named) => named.folder(),
        }
    }

    /// Where a dump is received.
    pub(super) fn dump(&self) -> PathBuf {
        dump_in(self.folder())
    }

    /// Its version.
    pub(super) fn version(&self) -> &str {
        match self {
            Self::Own(own) => own.version(),
            Self::Named(named) => &named.facts().version,
        }
    }

    /// Host and port, if the plan names it.
    pub(super) fn named(&self) -> Option<&str> {
        match self {
            Self::Own(_) => None,
            Self::Named(named) => Some(named.place()),
        }
    }

    /// The `pg_restore` for a dump: as new as what wrote it, and as a server that is not to be chosen.
    pub(super) fn restorer<'b>(
        &self,
        bench: &'b Bench,
        toc: Option<&Toc>,
    ) -> Result<&'b PgTools, ProofError> {
        let given = match self {
            Self::Own(_) => None,
            Self::Named(named) => Some(named.facts().major()),
        };
        bench.restorer(toc, given)
    }

    /// Does away with the dump, its database and all roles that were made for it.
    pub(super) async fn clear(&self) -> Result<(), ProofError> {
        remove_file(&self.dump())?;
        match self {
            Self::Own(own) => own.clear().await,
            Self::Named(named) => named.drop_all().await,
        }
    }

    /// An empty database before the dump is there, where it is likely to suit.
    pub(super) async fn likely(&self) -> Result<Option<Place>, ProofError> {
        match self {
            Self::Own(own) => own.fresh(None).await.map(Some),
            // What is on somebody's server is there for as long as it is needed.
            Self::Named(_) => Ok(None),
        }
    }

    /// An empty database for the dump that `climb` has read: the `likely` one, if it suits.
    pub(super) async fn place(
        &mut self,
        bench: &Bench,
        (climb, toc): (&Climb, &Toc),
        likely: Option<Place>,
    ) -> Result<Place, ProofError> {
        match self {
            Self::Own(own) => {
                let moved = own.run_on(bench.server(toc.server_major())?).await?;
                let locale = climb.locale.as_ref().filter(|locale| !locale.is(LOCALE));
                match likely.filter(|_| !moved && locale.is_none()) {
                    Some(likely) => Ok(likely),
                    None => own.fresh(locale).await,
                }
            }
            Self::Named(named) => {
                let here = named.facts().major();
                match toc.server_major().filter(|dumped| *dumped > here) {
                    Some(dumped) => Err(ProofError::NamedOlder { dumped, here }),
                    None => named.fresh(climb.locale.as_ref()).await,
                }
            }
        }
    }

    /// Resolves with the reason when a server that the plan names is in trouble: it holds more than `most` bytes of ours, or is silent.
    pub(super) fn trouble(&self, most: Option<u64>) -> BoxFuture<'static, String> {
        match self {
            Self::Own(_) => pending().boxed(),
            Self::Named(named) => named.watch(most).trouble().boxed(),
        }
    }

    /// Leaves nothing behind.
    pub(super) async fn end(self) -> Result<(), ProofError> {
        match self {
            Self::Own(own) => (*own).end().await,
            Self::Named(named) => named.end().await,
        }
    }
}
