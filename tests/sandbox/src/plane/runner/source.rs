//! Source trees: a commit out of a repository, or a tarball, laid out in a folder per deployment.

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use super::{App, DeployFailure, Runner};
use crate::world::World;

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
        blocking(move || check_out(&repository, &revision, &into)).await?;
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
            lay_out(flate2::read::GzDecoder::new(file), &into)
        })
        .await?;
        Ok(dir)
    }

    /// Where the source of `deployment` is laid out; whatever lies there is removed unless it is kept.
    pub fn source(&self, app: &str, deployment: &str) -> Result<Source, DeployFailure> {
        let dir = self.app_folder(app)?.join(plain(deployment)?);
        Ok(Source { world: Arc::clone(&self.world), dir: Some(dir) })
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

/// The source of a deployment that does not serve yet. Dropping it removes the files.
#[derive(Debug)]
#[must_use = "it is removed when it is dropped"]
pub struct Source {
    world: Arc<World>,
    dir: Option<PathBuf>,
}

impl Source {
    /// It serves: its files stay.
    pub fn keep(mut self) {
        self.dir = None;
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(dir) = self.dir.take() {
            self.world.tasks.spawn("discarded source", async move { remove(&dir).await });
        }
    }
}

/// Removes the files of a deployment.
pub(super) async fn remove(dir: &Path) {
    tokio::fs::remove_file(version_file(dir)).await.ok();
    match tokio::fs::remove_dir_all(dir).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "the files of a deployment stay behind");
        }
        _ => {}
    }
}

/// Leaves of the source in `dir` what is in its folder `project`, as the platform does for who sets `PROJECT_DIR`.
pub(super) fn narrow(dir: &Path, project: &str) -> Result<(), DeployFailure> {
    let inner = Path::new(project.trim_matches('/'));
    let is_below = inner.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let root = dir.join(inner);
    let is_inside = || root.canonicalize().is_ok_and(|real| real.is_dir() && real.starts_with(dir));
    if !is_below || !is_inside() {
        return Err(DeployFailure::Build(format!("PROJECT_DIR: {project:?} is no folder of the source")));
    }
    if root.canonicalize().is_ok_and(|real| real == dir) { Ok(()) } else { raise(dir, &root) }
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

/// Every file of a commit, as a clone would have it: `git archive` would leave out what is marked `export-ignore`. The index is
/// a file of its own, so that the repository is not touched. Submodules stay empty folders.
fn check_out(repository: &Path, commit: &str, into: &Path) -> Result<(), DeployFailure> {
    let index = into.with_added_extension("index");
    let git = |words: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.arg("--git-dir").arg(repository).arg("--work-tree").arg(into).args(words);
        git.env("GIT_INDEX_FILE", &index)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        git.current_dir(into).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        git.status().map_err(|error| unpacked(&error))
    };
    let read = git(&["read-tree", commit])?;
    let written = if read.success() { Some(git(&["checkout-index", "--all", "--force"])?) } else { None };
    std::fs::remove_file(&index).ok();
    match written {
        Some(status) if status.success() => Ok(()),
        Some(_) => Err(DeployFailure::Build("the files of the commit could not be written".into())),
        None => Err(DeployFailure::Build("the commit is not in the repository".into())),
    }
}

/// A tar of one root folder, which is taken off.
fn lay_out(tar: impl Read, into: &Path) -> Result<(), DeployFailure> {
    let mut archive = tar::Archive::new(tar);
    archive.set_preserve_permissions(true);
    let mut total: u64 = 0;
    for entry in archive.entries().map_err(|error| unpacked(&error))? {
        let mut entry = entry.map_err(|error| unpacked(&error))?;
        if entry.header().entry_type().is_pax_global_extensions() {
            continue;
        }
        total = total.saturating_add(entry.size());
        if total > SOURCE_LIMIT {
            return Err(DeployFailure::Build("The archive is too heavy".into()));
        }
        entry.unpack_in(into).map_err(|error| unpacked(&error))?;
    }
    strip_root(into)
}

/// As [`Runner::unpack`] does it, with an archive in memory.
pub(crate) fn lay_out_archive(archive: &[u8], into: &Path) -> Result<(), DeployFailure> {
    lay_out(flate2::read::GzDecoder::new(archive), into)
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
    raise(dir, &root)
}

/// Puts the folder `root`, which is somewhere in `dir`, in its place.
fn raise(dir: &Path, root: &Path) -> Result<(), DeployFailure> {
    let aside = dir.with_added_extension("root");
    std::fs::rename(root, &aside)
        .and_then(|()| std::fs::remove_dir_all(dir))
        .and_then(|()| std::fs::rename(&aside, dir))
        .map_err(|error| unpacked(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn of_a_source_only_the_project_dir_is_left() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().canonicalize().unwrap().join("d1");
        std::fs::create_dir_all(dir.join("apps/api")).unwrap();
        std::fs::write(dir.join("apps/api/Procfile"), "web: x\n").unwrap();
        std::os::unix::fs::symlink(outer.path(), dir.join("way-out")).unwrap();
        for wrong in ["apps/none", "../d1", "apps/api/Procfile", "way-out"] {
            let told = narrow(&dir, wrong).unwrap_err().to_string();
            assert!(told.contains("PROJECT_DIR"), "{wrong}: {told}");
        }
        narrow(&dir, "/").unwrap();
        assert!(dir.join("apps/api").exists());
        narrow(&dir, "apps/api/").unwrap();
        let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert_eq!(left, ["Procfile"]);
    }

    #[tokio::test]
    async fn a_commit_is_laid_out_as_a_clone_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let clone = dir.path().join("clone");
        std::fs::create_dir(&clone).unwrap();
        let git = |words: &[&str]| {
            let mut git = std::process::Command::new("git");
            git.current_dir(&clone)
                .args(["-c", "user.name=A", "-c", "user.email=a@example.test"])
                .args(words);
            let output = git.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "-q"]);
        for (name, text) in [(".gitattributes", "seeds export-ignore\n"), ("seeds", "rows\n")] {
            std::fs::write(clone.join(name), text).unwrap();
        }
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "work"]);
        let commit = git(&["rev-parse", "HEAD"]);
        let runner = Runner::start(&World::new(&dir.path().join("world"), 1.0, 1).unwrap());
        let source = runner.checkout("my-app", "d1", &clone.join(".git"), &commit).await.unwrap();
        assert_eq!(std::fs::read_to_string(source.join("seeds")).unwrap(), "rows\n");
        let beside: Vec<_> = std::fs::read_dir(source.parent().unwrap())
            .unwrap()
            .map(|one| one.unwrap().file_name())
            .collect();
        assert_eq!(beside.len(), 2, "the commit's index stays behind: {beside:?}");
        assert!(git(&["status", "--porcelain"]).is_empty(), "the repository was touched");
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
