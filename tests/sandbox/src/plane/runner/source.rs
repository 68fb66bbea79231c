//! Source trees: a commit out of a repository, or a tarball, laid out in a folder per deployment.

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use super::{App, DeployFailure, Runner};

/// As documented: 300 MB of unpacked source.
const SOURCE_LIMIT: u64 = 300 * 1024 * 1024;

impl Runner {
    /// The files of `commit` (40 hex digits) of a bare repository.
    pub async fn checkout(
        &self,
        app: &str,
        deployment: &str,
        repository: &Path,
        commit: &str,
    ) -> Result<PathBuf, DeployFailure> {
        if commit.len() != 40 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(DeployFailure::Build("the commit is not a commit id".into()));
        }
        let dir = self.fresh_folder(app, deployment)?;
        let (into, repository, revision) = (dir.clone(), repository.to_owned(), commit.to_owned());
        blocking(move || archive(&repository, &revision, &into)).await?;
        std::fs::write(version_file(&dir), commit).map_err(|error| unpacked(&error))?;
        Ok(dir)
    }

    /// The files of a gzip tar that has exactly one root folder and at most 300 MB.
    pub async fn unpack(
        &self,
        app: &str,
        deployment: &str,
        tarball: &Path,
    ) -> Result<PathBuf, DeployFailure> {
        let dir = self.fresh_folder(app, deployment)?;
        let (into, tarball) = (dir.clone(), tarball.to_owned());
        blocking(move || {
            let file = std::fs::File::open(&tarball).map_err(|error| unpacked(&error))?;
            lay_out(flate2::read::GzDecoder::new(file), &into, Root::Strip)
        })
        .await?;
        Ok(dir)
    }

    /// The folder of all of an app's deployments.
    pub(super) fn app_folder(&self, app: &str) -> Result<PathBuf, DeployFailure> {
        plain(app)?;
        self.folder_of(&self.app(app))
    }

    /// The same of an app that need not have a name any more.
    pub(super) fn folder_of(&self, app: &App) -> Result<PathBuf, DeployFailure> {
        Ok(self.world.folder("apps").map_err(|error| unpacked(&error))?.join(plain(&app.folder)?))
    }

    /// An empty folder for a deployment; what an earlier attempt left in it is removed.
    fn fresh_folder(&self, app: &str, deployment: &str) -> Result<PathBuf, DeployFailure> {
        let dir = self.app_folder(app)?.join(plain(deployment)?);
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(|error| unpacked(&error))?;
        }
        std::fs::create_dir_all(&dir).map_err(|error| unpacked(&error))?;
        Ok(dir)
    }
}

/// Where the commit of a deployment is kept: beside its folder, so that the source stays as pushed.
pub(super) fn version_file(dir: &Path) -> PathBuf {
    dir.with_added_extension("version")
}

/// A name that stays in the folder that it is joined to.
fn plain(name: &str) -> Result<&str, DeployFailure> {
    let is_plain = !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if is_plain {
        Ok(name)
    } else {
        Err(DeployFailure::Build(format!("{name:?} is no name of an app or deployment")))
    }
}

fn unpacked(error: &std::io::Error) -> DeployFailure {
    DeployFailure::Build(format!("the source could not be unpacked: {error}"))
}

async fn blocking<F>(work: F) -> Result<(), DeployFailure>
where
    F: FnOnce() -> Result<(), DeployFailure> + Send + 'static,
{
    let lost = |_| DeployFailure::Build("unpacking the source was interrupted".into());
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}

/// `git archive` into a folder, without touching the repository.
fn archive(repository: &Path, commit: &str, into: &Path) -> Result<(), DeployFailure> {
    let mut git = std::process::Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        .args(["archive", "--format=tar", commit])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| unpacked(&error))?;
    let laid_out = match git.stdout.take() {
        Some(stdout) => lay_out(stdout, into, Root::Keep),
        None => Ok(()),
    };
    let status = git.wait().map_err(|error| unpacked(&error))?;
    laid_out?;
    if status.success() {
        Ok(())
    } else {
        Err(DeployFailure::Build("the commit is not in the repository".into()))
    }
}

/// What to do with the first folder of each path in a tar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    Keep,
    /// It must be the same for all, and is taken off.
    Strip,
}

fn lay_out(tar: impl Read, into: &Path, root: Root) -> Result<(), DeployFailure> {
    let mut archive = tar::Archive::new(tar);
    archive.set_preserve_permissions(true);
    let mut total: u64 = 0;
    for entry in archive.entries().map_err(|error| unpacked(&error))? {
        let mut entry = entry.map_err(|error| unpacked(&error))?;
        if entry.header().entry_type().is_pax_global_extensions() {
            continue;
        }
        total = total.saturating_add(entry.size());
        if root == Root::Strip && total > SOURCE_LIMIT {
            return Err(DeployFailure::Build("The archive is too heavy".into()));
        }
        entry.unpack_in(into).map_err(|error| unpacked(&error))?;
    }
    if root == Root::Strip { strip_root(into) } else { Ok(()) }
}

/// As [`Runner::unpack`] does it, with an archive in memory.
pub(crate) fn lay_out_archive(archive: &[u8], into: &Path) -> Result<(), DeployFailure> {
    lay_out(flate2::read::GzDecoder::new(archive), into, Root::Strip)
}

/// Moves the content of the only folder in `dir` up by one.
fn strip_root(dir: &Path) -> Result<(), DeployFailure> {
    let one = || DeployFailure::Build("The archive must have exactly one root folder".into());
    let entries = std::fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let root = match entries.map_err(|error| unpacked(&error))?.as_slice() {
        [only] if only.file_type().is_ok_and(|kind| kind.is_dir()) => only.path(),
        _ => return Err(one()),
    };
    debug_assert!(root.components().all(|part| part != Component::ParentDir));
    let aside = dir.with_added_extension("root");
    std::fs::rename(&root, &aside)
        .and_then(|()| std::fs::remove_dir(dir))
        .and_then(|()| std::fs::rename(&aside, dir))
        .map_err(|error| unpacked(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    fn tarball(paths: &[&str]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let gzip = flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for path in paths {
            let mut header = tar::Header::new_gnu();
            header.set_size(2);
            header.set_mode(0o644);
            // Not `append_data`: it would refuse the paths that we want to refuse ourselves.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, &b"x\n"[..]).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        file
    }

    async fn unpack(paths: &[&str]) -> (tempfile::TempDir, Result<PathBuf, DeployFailure>) {
        let dir = tempfile::tempdir().unwrap();
        let runner = Runner::start(&World::new(dir.path(), 1.0, 1).unwrap());
        let unpacked = runner.unpack("my-app", "d1", tarball(paths).path()).await;
        (dir, unpacked)
    }

    #[tokio::test]
    async fn the_one_root_folder_is_taken_off() {
        let (_dir, unpacked) = unpack(&["root/Procfile", "root/bin/build"]).await;
        let source = unpacked.unwrap();
        assert!(source.join("Procfile").exists() && source.join("bin/build").exists());
    }

    #[tokio::test]
    async fn two_roots_are_refused() {
        let (_dir, unpacked) = unpack(&["a/Procfile", "b/x"]).await;
        assert!(unpacked.unwrap_err().to_string().contains("one root"));
    }

    #[tokio::test]
    async fn a_path_cannot_climb_out() {
        let (dir, _unpacked) = unpack(&["root/a", "../../escaped"]).await;
        assert!(!dir.path().join("apps/escaped").exists() && !dir.path().join("escaped").exists());
    }

    #[tokio::test]
    async fn a_name_cannot_climb_out() {
        let dir = tempfile::tempdir().unwrap();
        let runner = Runner::start(&World::new(dir.path(), 1.0, 1).unwrap());
        assert!(runner.unpack("../up", "d1", tarball(&["r/x"]).path()).await.is_err());
        assert!(runner.checkout("app", "d1", dir.path(), "--output=/etc/passwd").await.is_err());
    }
}
