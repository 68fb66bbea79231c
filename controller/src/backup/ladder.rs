//! One backup up the evidence ladder, as far as it gets: downloaded, intact, readable, restored, asserted.
//!
//! Each rung claims what its own step has seen and nothing more; what stops the climb is told as a [`Halt`] with its
//! reason. *Downloaded*: every byte arrived. *Intact*: the containers are whole and the bytes are those that were
//! recorded, where any were. *Readable*: every block could be read, and the rows are those recorded. *Restored*: a
//! throwaway database took it, and every entry was accounted for. *Asserted*: it is sound, it answers the plan's
//! questions, **and** something vouches for the bytes: see [`Seal`]. Whether it lost rows since the backup before is no
//! rung's to say, as that one may be looked at later: [`crate::proof`] reckons it over all of them.

mod extensions;
mod halt;
mod lacking;
mod locale;
mod look;
mod patience;
mod recorded;
mod roles;
mod seal;
mod server;
mod session;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use halt::Halt;
pub use locale::Locale;
use look::{Inside, Look};
use patience::PATIENCE;
pub use recorded::{
    Fall, Held, LargeObjects, Previous, Recorded, Rows, rows_document, rows_of, rows_of_document,
    tables_of_document,
};
pub use seal::Seal;
pub use server::Majors;
pub(crate) use session::connect;
use session::quoted;

use super::PgTools;
use super::accounting::{Account, account};
use super::archive::{Expect, Received, receive_and_hand_on};
use super::checks::{
    Code, DataCheck, Finding, MigrationLevel, Severity, Structure, analyze, applied_migrations, compare,
    compare_migrations, occupancy, run_data_checks, undumped,
};
use super::contents::{Counts, EarlyReading, early_counts, read_all};
use super::refusal::BodyError;
use super::restore::{Order, Selection, Target};
use super::toc::{Toc, read_toc};
use crate::store::Rung;

/// How long a question may take before statistics are gathered for it.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The throwaway database that a backup is tried in, and what is asked of it there.
#[derive(Debug, Clone, Copy)]
pub struct Scratch<'a> {
    /// An empty database.
    pub target: &'a Target,
    /// The same database as a superuser, who makes the extensions, as platforms do, and the roles that policies are for: these
    /// outlive the database. Without one, the owner makes the extensions that he may, and policies for other roles are left out; what
    /// he may not do says nothing of the backup.
    pub superuser: Option<&'a Target>,
    /// Connections at once.
    pub jobs: u16,
    /// A folder of ours (0700) for the password file and the list.
    pub work_dir: &'a Path,
    /// Name of the sessions in `pg_stat_activity`.
    pub application: &'a str,
    /// The plan's own questions.
    pub questions: &'a [DataCheck],
    /// How long each of them may take.
    pub question_limit: Duration,
    /// How long may be looked into indexes and tables.
    pub structure_limit: Duration,
    /// The code's migrations, which the database's are held against.
    pub code: &'a Code,
}

/// How far a backup came, and all that was learnt on the way.
#[derive(Debug)]
pub struct Climb {
    /// The highest rung that it reached.
    pub rung: Rung,
    /// What kept it from the next one. `None` at the top only.
    pub halt: Option<Halt>,
    /// What arrived.
    pub received: Option<Received>,
    /// Its table of contents.
    pub toc: Option<Toc>,
    /// What is in it.
    pub counts: Option<Counts>,
    /// What became of each entry.
    pub account: Option<Account>,
    /// What is not as it should be, notices included.
    pub findings: Vec<Finding>,
    /// What the dump tells of how its database sorts text.
    pub locale: Option<Locale>,
    /// The majors of the server that was dumped and of the one that it was tried in.
    pub server: Option<Majors>,
    /// How far indexes and tables were looked into.
    pub structure: Option<Structure>,
    /// The database's migrations against the code's.
    pub migrations: Option<MigrationLevel>,
    /// What of the dump's needs the throwaway server does not offer, each in a few words (`the extension postgis`): what then
    /// did not come back says nothing of the backup.
    pub unoffered: Vec<String>,
    /// Whether the plan's questions were asked.
    pub asked: bool,
    /// Each rung that it reached, with the time since the beginning of the download.
    pub reached: Vec<(Rung, Duration)>,
    pub(crate) began: Instant,
}

/// Takes a backup up the ladder: `body` is received into `file`, read, restored into `scratch` and held against what is
/// `recorded` of it. The dump stays at `file`, and what was restored in the database: both are the caller's to wipe.
///
/// *Repeat*: with an empty database only. `cancel` ends a running restore; dropping the future ends all else.
pub async fn climb<S, E>(
    tools: &PgTools,
    body: S,
    expect: Expect,
    recorded: &Recorded,
    file: &Path,
    scratch: Scratch<'_>,
    cancel: &CancellationToken,
) -> Climb
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BodyError>,
{
    let climb = climb_to_readable(tools, body, expect, recorded, file).await;
    climb.on(tools, recorded, file, scratch, cancel).await
}

/// The first half, for which no server is needed. What it has read tells which server the second half wants.
pub async fn climb_to_readable<S, E>(
    tools: &PgTools,
    body: S,
    expect: Expect,
    recorded: &Recorded,
    file: &Path,
) -> Climb
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BodyError>,
{
    let mut climb = Climb::begin();
    let outcome = async {
        let (early, dump) = EarlyReading::begin(tools).unzip();
        climb.download(body, expect, recorded, file, dump.unwrap_or_default()).await?;
        climb.read(tools, recorded, file, early).await?;
        climb.locale = Locale::read(tools, file).await;
        Ok(())
    };
    climb.halt = Box::pin(outcome).await.err();
    climb
}

/// What a restore needs to know.
struct Unrestored<'a> {
    tools: &'a PgTools,
    file: &'a Path,
    toc: &'a Toc,
    counts: &'a Counts,
    scratch: Scratch<'a>,
    cancel: &'a CancellationToken,
}

impl Climb {
    /// At the foot of the ladder, from now.
    pub(crate) fn begin() -> Self {
        Self {
            rung: Rung::Listed,
            halt: None,
            received: None,
            toc: None,
            counts: None,
            account: None,
            findings: Vec::new(),
            locale: None,
            server: None,
            structure: None,
            migrations: None,
            unoffered: Vec::new(),
            asked: false,
            reached: Vec::new(),
            began: Instant::now(),
        }
    }

    /// The second half, of a dump that stands at `file`; nothing where the first one was stopped.
    pub async fn on(
        mut self,
        tools: &PgTools,
        recorded: &Recorded,
        file: &Path,
        scratch: Scratch<'_>,
        cancel: &CancellationToken,
    ) -> Self {
        let read = (self.received.clone(), self.toc.clone(), self.counts.clone());
        let ((Some(received), Some(toc), Some(counts)), None) = (read, &self.halt) else { return self };
        let outcome = async {
            let order = Unrestored { tools, file, toc: &toc, counts: &counts, scratch, cancel };
            let mut connection = connect(scratch.target, scratch.application).await?;
            self.prepare(&order, &mut connection).await?;
            let outcome = async {
                let sound = self.restore(&order, &mut connection).await?;
                self.assert(sound, recorded, &received, &order, &mut connection).await
            };
            let outcome = Box::pin(outcome).await;
            connection.close().await.ok();
            outcome
        };
        self.halt = Box::pin(outcome).await.err();
        self
    }

    /// Sees whether the server will do, and has its superuser make what an owner may not.
    async fn prepare(&mut self, from: &Unrestored<'_>, connection: &mut PgConnection) -> Result<(), Halt> {
        let Unrestored { toc, counts, scratch, .. } = *from;
        let majors = server::compare(connection, toc).await?;
        self.server = Some(majors);
        majors.suffice()?;
        let Some(superuser) = scratch.superuser else { return Ok(()) };
        let mut privileged = connect(superuser, scratch.application).await?;
        let provided = extensions::provide(&mut privileged, toc, counts, &scratch.target.user).await;
        self.unoffered.extend(provided?);
        self.unoffered.extend(roles::provide(&mut privileged, counts).await?);
        privileged.close().await.ok();
        Ok(())
    }

    fn reach(&mut self, rung: Rung) {
        self.rung = rung;
        self.reached.push((rung, self.began.elapsed()));
    }

    /// Whether it is known by now what the backup is: it stands at the top, or what stopped it is its own fault. If not, the
    /// fault is ours or the line's, and it is to be tried again.
    pub fn is_conclusive(&self) -> bool {
        match &self.halt {
            None | Some(Halt::Ahead(_) | Halt::Unsealed | Halt::Unsteady(_)) => true,
            Some(halt @ Halt::Unasked(_)) => !halt.is_of_the_machine(),
            Some(Halt::Incomplete(_) | Halt::Unsound(_)) if !self.unoffered.is_empty() => false,
            Some(halt) => halt.blames_backup(),
        }
    }

    /// The same as told by one who knows the backup: see [`Halt::known`].
    #[must_use]
    pub fn known(mut self, others: bool, itself: bool) -> Self {
        self.halt = self.halt.map(|halt| halt.known(others, itself));
        self
    }

    async fn download<S, E>(
        &mut self,
        body: S,
        expect: Expect,
        recorded: &Recorded,
        file: &Path,
        also: Vec<File>,
    ) -> Result<(), Halt>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<BodyError>,
    {
        let received = receive_and_hand_on(body, expect, file, also, |_| {}).await.map_err(|refusal| {
            if refusal.saw_the_end() {
                self.reach(Rung::Downloaded);
            }
            Halt::Refused(refusal)
        })?;
        self.reach(Rung::Downloaded);
        self.received = Some(received.clone());
        recorded.check_digests(&received)?;
        self.reach(Rung::Intact);
        Ok(())
    }

    async fn read(
        &mut self,
        tools: &PgTools,
        recorded: &Recorded,
        file: &Path,
        early: Option<EarlyReading>,
    ) -> Result<(), Halt> {
        let (toc, early) = match early {
            Some(early) => early.finish().await,
            None => (None, None),
        };
        let toc = match toc {
            Some(toc) => toc,
            None => read_toc(tools, file).await?,
        };
        self.toc = Some(toc.clone());
        let counts = match early_counts(early, &toc) {
            Some(counts) => counts,
            None => read_all(tools, file, &toc, |_| {}).await?,
        };
        self.counts = Some(counts.clone());
        recorded.check_rows(&counts)?;
        self.reach(Rung::Readable);
        Ok(())
    }

    /// Restores, and looks at all that came of it; what is sound in itself is judged when it is known that all is there.
    async fn restore(
        &mut self,
        from: &Unrestored<'_>,
        connection: &mut PgConnection,
    ) -> Result<Inside, Halt> {
        let Unrestored { tools, file, toc, counts, scratch, cancel } = *from;
        let selection = Selection::new(toc, &occupancy(connection).await?, false)?;
        let Scratch { target, superuser, jobs, work_dir, application, .. } = scratch;
        let jobs = jobs.max(2);
        let order = Order { file, toc, counts, selection: &selection, target, jobs, work_dir, application };
        let report = PATIENCE.restored(tools, order, superuser.unwrap_or(target), cancel).await?;
        let Look { observed, inside } = Look::take(&scratch, connection).await?;
        self.findings = compare(counts, &observed);
        self.findings.extend(undumped(toc, &observed));
        let account = account(toc, &selection, &report, counts, &observed);
        let (complete, told) = (account.is_complete(), account.to_string());
        self.account = Some(account);
        if !complete {
            self.unoffered.extend(lacking::lacking(&report.errors, superuser.is_none()));
            self.unoffered
                .extend(locale::sorted_otherwise(self.locale.as_ref(), toc, &report, connection).await?);
            return Err(Halt::Incomplete(told));
        }
        self.reach(Rung::Restored);
        Ok(inside)
    }

    async fn assert(
        &mut self,
        inside: Inside,
        recorded: &Recorded,
        received: &Received,
        from: &Unrestored<'_>,
        connection: &mut PgConnection,
    ) -> Result<(), Halt> {
        self.findings.extend(inside.sound?);
        let (structure, damaged) = inside.structure?;
        self.structure = Some(structure);
        self.findings.extend(damaged);
        let unsound = |found: &&Finding| found.severity(from.counts) == Severity::Failure || found.is_doubt();
        let unsound: Vec<Finding> = self.findings.iter().filter(unsound).cloned().collect();
        if !unsound.is_empty() {
            return Err(Halt::Unsound(unsound));
        }
        let Scratch { questions, question_limit, code, .. } = from.scratch;
        // Without statistics, which take as long to gather as much of the restore: they change how long an answer takes, not what
        // it is. Only what does not hold, or not in time, is asked again with them.
        let mut answers = run_data_checks(connection, questions, question_limit.min(AT_ONCE)).await?;
        if answers.iter().any(|answer| !answer.holds) {
            analyze(connection, |_, _| {}).await?;
            answers = run_data_checks(connection, questions, question_limit).await?;
        }
        self.asked = true;
        answers.retain(|answer| !answer.holds);
        if !answers.is_empty() {
            return Err(Halt::of(answers));
        }
        let level = compare_migrations(applied_migrations(connection).await?.as_deref(), code);
        let ahead = level.ahead();
        self.migrations = Some(level);
        if !ahead.is_empty() {
            return Err(Halt::Ahead(ahead));
        }
        Seal::of(received, from.toc, recorded).ok_or(Halt::Unsealed)?;
        self.reach(Rung::Asserted);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
