//! The chosen dump as a file of ours: received, read as a whole, and fetched again where it is not there any more.

use std::path::PathBuf;

use super::{Ctx, Result, StepError};
use crate::backup::archive::{Expect, Received, receive};
use crate::backup::contents::{Counts, read_all};
use crate::backup::doubt::SECOND_LOOK;
use crate::backup::toc::{Toc, read_toc};
use crate::backup::{PgTools, Refusal};
use crate::recovery::outputs::{ChosenBackup, Versions};
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{Severity, SpanKind};

mod origin;

use origin::Incoming;
pub(super) use origin::{Origin, copies};

/// A dump that was read to its last block.
#[derive(Debug)]
pub(super) struct Dump {
    pub(super) file: PathBuf,
    pub(super) toc: Toc,
    pub(super) counts: Counts,
}

/// A backup that was received and read.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) received: Received,
    pub(super) dump: Dump,
}

/// Why a backup cannot be used, or could not be looked at.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It says something about the backup: an older one is tried.
    Refused(Refusal),
    /// It is listed and cannot be downloaded: an older one is tried.
    Gone,
    /// The line or its server failed: the same one is tried again.
    Line(StepError),
    /// It says something about us: the same one is tried again.
    Error(StepError),
}

impl Unfit {
    /// Of whoever was asked for a backup: whatever else than its bytes is answered says nothing of the backup. That our credentials do
    /// not suffice is a person's to mend.
    fn of(error: StepError) -> Self {
        match (error.class(), &error) {
            (Class::Cancelled, _) => Self::Error(error),
            (_, StepError::Denied { .. }) => Self::Line(error),
            _ => Self::Line(error.may_pass()),
        }
    }
}

/// Downloads one backup and reads every block of it. What may be the transfer's fault is believed when a second download, by a new link,
/// comes the same way, or where the backup was refused under this label `before`.
pub(super) async fn fetch(
    ctx: &Ctx,
    origin: &Origin,
    backup: &str,
    before: Option<&str>,
) -> Result<Fetched, Unfit> {
    let first = match once(ctx, origin, backup).await {
        Err(Unfit::Refused(refusal)) if refusal.is_doubtful(before) => refusal,
        looked => return looked,
    };
    let told = format!("backup {backup} is downloaded once more before this is believed: {}", Chain(&first));
    ctx.event(Severity::Warning, "DownloadDoubted", &told).await.map_err(Unfit::Error)?;
    ctx.doing(SpanKind::Provider, told);
    ctx.pause(SECOND_LOOK).await.map_err(Unfit::Error)?;
    match once(ctx, origin, backup).await {
        Err(Unfit::Refused(again)) => Err(unfit(backup, again.after(&first))),
        looked => looked,
    }
}

/// One download, in one pass.
async fn once(ctx: &Ctx, origin: &Origin, backup: &str) -> Result<Fetched, Unfit> {
    let file = path(ctx, backup).map_err(Unfit::Error)?;
    let budget = ctx.tools.disk_budget(&ctx.run.dir).map_err(Unfit::Error)?;
    let Incoming { body, length } = origin.open(ctx, backup).await?;
    let beat = std::sync::Arc::clone(&ctx.pulse);
    let expect = Expect { download_bytes: length, max_dump_bytes: budget };
    let received = receive(body, expect, &file, |bytes| beat.progress(bytes, length, "bytes")).await;
    let received = received.map_err(|refusal| unfit(backup, refusal))?;
    ctx.tools.metrics.bytes_moved("database-backup", received.download_bytes);
    let dump = read(ctx, file).await.map_err(|refusal| unfit(backup, refusal))?;
    Ok(Fetched { received, dump })
}

/// The chosen dump: the file if it is still there and whole, else downloaded again. The same bytes, or a refusal.
pub(super) async fn obtain(ctx: &Ctx, chosen: &ChosenBackup) -> Result<Dump> {
    let file = path(ctx, &chosen.backup)?;
    if digest(&file).await.as_deref() == Some(chosen.dump_sha256.as_str()) {
        let read = read(ctx, file).await;
        return read.map_err(StepError::failed("reading the chosen backup"));
    }
    let origin = Origin::of(ctx, chosen).await?;
    let fetched = fetch(ctx, &origin, &chosen.backup, None).await.map_err(|unfit| match unfit {
        Unfit::Refused(refusal) => StepError::failed("downloading the chosen backup again")(refusal),
        Unfit::Gone => StepError::refused(
            format!("backup {} was chosen and cannot be downloaded any more", chosen.backup),
            "file a new request: it chooses anew",
        ),
        Unfit::Line(error) | Unfit::Error(error) => error,
    })?;
    if fetched.received.dump_sha256 == chosen.dump_sha256 {
        return Ok(fetched.dump);
    }
    Err(StepError::refused(
        format!("backup {} is not what it was when it was chosen", chosen.backup),
        "file a new request: it chooses anew",
    ))
}

async fn read(ctx: &Ctx, file: PathBuf) -> Result<Dump, Refusal> {
    let tools = ctx.tools.postgresql().await?;
    ctx.doing(SpanKind::Data, "reading every block of the dump");
    let toc = read_toc(&tools, &file).await?;
    let beat = std::sync::Arc::clone(&ctx.pulse);
    let counts = read_all(&tools, &file, &toc, move |bytes| beat.progress(bytes, None, "bytes")).await?;
    Ok(Dump { file, toc, counts })
}

fn unfit(backup: &str, refusal: Refusal) -> Unfit {
    if refusal.blames_backup() {
        return Unfit::Refused(refusal);
    }
    let of_the_line = matches!(refusal, Refusal::Transfer { .. } | Refusal::Unsteady { .. });
    let error = StepError::failed(format!("checking backup {backup}"))(refusal);
    if of_the_line { Unfit::Line(error) } else { Unfit::Error(error) }
}

/// The file of a backup. Ids come from the platform: only what cannot lead elsewhere becomes part of a name.
fn path(ctx: &Ctx, backup: &str) -> Result<PathBuf> {
    ctx.make_dir()?;
    let plain: String = backup.chars().filter(char::is_ascii_alphanumeric).collect();
    Ok(ctx.run.dir.join(format!("{plain}.pgsql")))
}

async fn digest(file: &std::path::Path) -> Option<String> {
    let file = file.to_owned();
    let hashed = tokio::task::spawn_blocking(move || {
        use sha2::Digest as _;
        use std::io::Read as _;
        let (mut file, mut hasher) = (std::fs::File::open(file).ok()?, sha2::Sha256::new());
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer).ok()? {
                0 => return Some(hex::encode(hasher.finalize())),
                read => hasher.update(&buffer[..read]),
            }
        }
    });
    hashed.await.ok().flatten()
}

/// The connection-level tools' versions, for verdicts.
pub(super) fn tool_versions(tools: &PgTools) -> serde_json::Value {
    serde_json::json!({ "pg_restore": tools.version() })
}

/// Our own version, and these beside it, for what a step leaves.
pub(super) fn versions<const N: usize>(of: [(&str, &str); N]) -> Versions {
    let ours = [("reprise", env!("CARGO_PKG_VERSION"))];
    ours.into_iter().chain(of).map(|(tool, version)| (tool.to_owned(), version.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_answered_in_place_of_a_backup_says_nothing_of_it() {
        let failed = |class| StepError::Failed {
            doing: "asking".into(),
            class,
            in_doubt: false,
            source: "405".into(),
        };
        for class in [Class::Terminal, Class::Transient, Class::Throttled(None)] {
            let unfit = Unfit::of(failed(class));
            let Unfit::Line(error) = unfit else { panic!("{class:?} is {unfit:?}") };
            assert_ne!(error.class(), Class::Terminal, "a copy, or an older one, may do");
        }
        assert!(matches!(Unfit::of(failed(Class::Cancelled)), Unfit::Error(_)));
    }
}
