//! Runs `pg_restore -l`.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Toc, parse};
use crate::backup::archive::sniff::needs_major;
use crate::backup::contents::{DumpEncoding, told_by};
use crate::backup::process::Group;
use crate::backup::{PgTools, Refusal};

/// A listing beyond this is not read. Each large object is an entry of about 40 bytes: these are some ten million of them. It says
/// nothing of the backup: what is too long is so for us.
const MAX_LISTING: u64 = 512 << 20;
const MAX_MESSAGES: u64 = 64 << 10;

/// Reads the table of contents of the dump `file`.
pub async fn read_toc(tools: &PgTools, file: &Path) -> Result<Toc, Refusal> {
    let failed = |source| Refusal::Tool { tool: "pg_restore", source };
    let mut command = tools.command("pg_restore");
    let pg_restore = Group::spawn(command.arg("-l").arg(file)).map_err(failed)?;
    let listing = listing(tools, pg_restore, MAX_LISTING).await?;
    let text = match std::str::from_utf8(&listing) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding(tools, file).await.map_err(failed)?.decode(&listing),
    };
    parse(&text).map_err(|said| Refusal::TocUnreadable { said })
}

/// What a running `pg_restore -l` lists.
async fn listing(tools: &PgTools, mut pg_restore: Group, most: u64) -> Result<Vec<u8>, Refusal> {
    let stdout = pg_restore.child().stdout.take();
    let stderr = pg_restore.child().stderr.take();
    let (listing, said) = tokio::join!(read_up_to(stdout, most), read_up_to(stderr, MAX_MESSAGES));
    let failed = |source| Refusal::Tool { tool: "pg_restore", source };
    let (listing, said) = (listing.map_err(failed)?, said.map_err(failed)?);
    if listing.len() as u64 > most {
        let told =
            format!("the table of contents is longer than {most} bytes, which is the most that is read");
        return Err(failed(std::io::Error::new(std::io::ErrorKind::FileTooLarge, told)));
    }
    let status = pg_restore.wait().await.map_err(failed)?;
    if status.success() { Ok(listing) } else { Err(refusal(tools, &String::from_utf8_lossy(&said))) }
}

/// Reads the table of contents of a dump that is still to be written to the file. `None` where it cannot be begun, and in the end if
/// anything is odd: then [`read_toc`] tells what, of the whole dump.
pub(in crate::backup) fn read_toc_early(
    tools: &PgTools,
) -> Option<(impl Future<Output = Option<Toc>> + Send + 'static, File)> {
    let mut command = tools.command("pg_restore");
    let mut pg_restore = Group::spawn(command.arg("-l").stdin(Stdio::piped())).ok()?;
    let dump = File::from(pg_restore.child().stdin.take()?.into_owned_fd().ok()?);
    let tools = tools.clone();
    let toc = async move {
        let listing = listing(&tools, pg_restore, MAX_LISTING).await.ok()?;
        parse(std::str::from_utf8(&listing).ok()?).ok()
    };
    Some((toc, dump))
}

/// The encoding of the dump's names, which a listing does not tell: it is in the first lines of the SQL for no entry.
async fn encoding(tools: &PgTools, file: &Path) -> std::io::Result<DumpEncoding> {
    let mut command = tools.command("pg_restore");
    command.args(["-f", "-", "-L", "/dev/null"]).arg(file).stderr(Stdio::null());
    let mut pg_restore = Group::spawn(&mut command)?;
    let stdout = pg_restore.child().stdout.take();
    let text = read_up_to(stdout, MAX_MESSAGES).await?;
    pg_restore.wait().await?;
    Ok(String::from_utf8_lossy(&text).lines().find_map(told_by).unwrap_or_default())
}

async fn read_up_to(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// What the messages of a `pg_restore` that could not read the table of contents mean.
pub(in crate::backup) fn refusal(tools: &PgTools, said: &str) -> Refusal {
    if let Some((archive_version, needs)) = unsupported_version(said) {
        return Refusal::NeedsNewerTool { archive_version, needs, have: tools.major() };
    }
    let said = first_message(said);
    if said.contains("this build does not support") {
        return Refusal::ToolLacks { said };
    }
    Refusal::TocUnreadable { said }
}

/// `unsupported version (1.16) in file header` → the version and the major that reads it.
fn unsupported_version(said: &str) -> Option<(String, u32)> {
    let version = said.split_once("unsupported version (")?.1.split_once(')')?.0;
    let (major, minor) = version.split_once('.')?;
    Some((version.to_owned(), needs_major(major.parse().ok()?, minor.parse().ok()?)))
}

/// The first message, without the program's name, cut to a bearable length.
fn first_message(said: &str) -> String {
    let line = said.lines().find(|line| line.contains("error: ")).or_else(|| said.lines().next());
    let line = line.unwrap_or("it said nothing");
    let message = line.split_once("error: ").map_or(line, |(_, message)| message);
    message.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listing_that_is_too_long_for_us_is_no_fault_of_the_backup() {
        let tools = crate::backup::lab::lab().await.tools.clone();
        let listed = async |most| {
            let told = Group::spawn(tools.command("pg_restore").arg("--version")).expect("a program");
            listing(&tools, told, most).await
        };
        let refused = listed(3).await.expect_err("it says more");
        assert!(!refused.blames_backup(), "{refused:?}");
        assert!(listed(MAX_LISTING).await.is_ok_and(|told| told.starts_with(b"pg_restore")));
    }

    #[test]
    fn a_version_too_new_names_the_major_it_needs() {
        let said = "pg_restore: error: unsupported version (1.16) in file header\n";
        assert_eq!(unsupported_version(said), Some(("1.16".to_owned(), 17)));
        assert_eq!(unsupported_version("pg_restore: error: end of file"), None);
        assert_eq!(first_message("pg_restore: error: end of file\n"), "end of file");
    }
}
