//! Reading a dump while it still arrives: the same programs over pipes, so that the first and the only pass over the download
//! are one. Only what went well is told: whatever did not, [`super::read_all`] looks at anew, in the file, and gives its reason.

use std::fs::File;
use std::process::Stdio;

use nix::fcntl::{FcntlArg, fcntl};
use tokio::task::JoinHandle;

use super::read::{PIPE, conclude, scan};
use super::{Counts, Scanner};
use crate::backup::PgTools;
use crate::backup::process::Group;
use crate::backup::toc::{Toc, read_toc_early};
use crate::runtime::tasks::{Aside, aside};

/// A reading that goes on. Dropped, it ends.
#[derive(Debug)]
pub(in crate::backup) struct EarlyReading {
    pg_restore: Group,
    scanned: JoinHandle<std::io::Result<Scanner>>,
    toc: Option<Aside<Option<Toc>>>,
}

impl EarlyReading {
    /// Starts it; the dump is to be written to each of the files. `None` where it cannot be: nothing is lost but time.
    pub(in crate::backup) fn begin(tools: &PgTools) -> Option<(Self, Vec<File>)> {
        let mut command = tools.command("pg_restore");
        command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut pg_restore = Group::spawn(&mut command).ok()?;
        let stdin = pg_restore.child().stdin.take()?;
        let stdout = pg_restore.child().stdout.take();
        let dump = File::from(stdin.into_owned_fd().ok()?);
        if let Err(error) = fcntl(&dump, FcntlArg::F_SETPIPE_SZ(PIPE)) {
            tracing::debug!(%error, "a pipe could not be made deeper");
        }
        let scanned = tokio::task::spawn_blocking(move || scan(stdout, |_| {}));
        let (toc, head) = read_toc_early(tools).unzip();
        let toc = toc.map(aside);
        Some((Self { pg_restore, scanned, toc }, std::iter::once(dump).chain(head).collect()))
    }

    /// The table of contents and what was read, once all of the dump was written; `None` of what did not go well.
    pub(in crate::backup) async fn finish(mut self) -> (Option<Toc>, Option<Scanner>) {
        let toc = match self.toc.take() {
            Some(toc) => toc.await,
            None => None,
        };
        (toc, self.scanned().await)
    }

    async fn scanned(mut self) -> Option<Scanner> {
        let scanner = self.scanned.await.ok()?.ok()?;
        let status = self.pg_restore.wait().await.ok()?;
        status.success().then_some(scanner)
    }
}

/// What is in a dump whose early reading went well; `None` if it is not what its table of contents says.
pub(in crate::backup) fn counts(scanner: Option<Scanner>, toc: &Toc) -> Option<Counts> {
    conclude(scanner?, toc).ok()
}
