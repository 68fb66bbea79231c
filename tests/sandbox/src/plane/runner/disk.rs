//! What a container may write to: the release's files and a `/tmp`, both its own, and gone with it.
//!
//! As on the platform's ephemeral disk: what one container writes no other sees, and each start finds the release as it was built.
//! The release's folder is covered, in the container's mount namespace, by a layer of its own (an overlay), so that it keeps the
//! path that the build saw. Where the machine has no overlays it is covered by a copy, which takes its time: a container counts as
//! started only when its disk is there.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use super::environment::search_path;
use crate::exec;
use crate::world::World;

/// Covers the folder `$2` with a layer in `$1` and `/tmp` with a folder of `$1`, in which pairs of folders until `--` are put; then
/// becomes the program, and says so by a file. Only in the machine's own user namespace may a layer note in `trusted` attributes that
/// a folder was removed; elsewhere the mount succeeds without, and removed folders cannot be made again. The kernel's own folder in
/// `work` is made removable for ordinary users. No variable of an app begins with `_`.
const SCRIPT: &str = r#"
_own=$1 _dir=$2; shift 2
_layers="lowerdir=$_dir,upperdir=$_own/upper,workdir=$_own/work"
read -r _inside _outside _count </proc/self/uid_map
[ "$_outside:$_count" = 0:4294967295 ] || _layers="$_layers,userxattr"
if mount -t overlay overlay -o "$_layers" "$_dir" 2>/dev/null
then chmod 700 "$_own/work/work"
else cp -a --reflink=auto "$_dir/." "$_own/upper/" && mount --rbind "$_own/upper" "$_dir" || exit 125
fi
while [ "$1" != -- ]; do
  mkdir -p "$_own$2" && mount --rbind "$1" "$_own$2" || exit 125
  shift 2
done
shift
mount --rbind "$_own/tmp" /tmp && cd "$_dir" && : >"$_own/laid" || exit 125
exec "$@""#;

const TMP: &str = "/tmp";
/// The file by which the script says that the disk is there.
const LAID: &str = "laid";
const LAID_POLL: Duration = Duration::from_millis(20);

/// The disk of one container. Its files go when it is dropped.
#[derive(Debug)]
pub(super) struct Disk {
    world: Arc<World>,
    own: PathBuf,
    dir: PathBuf,
}

impl Disk {
    /// An empty layer over the release in `dir`.
    pub(super) fn new(world: &Arc<World>, dir: &Path) -> std::io::Result<Self> {
        let own = world.folder("containers")?.join(uuid::Uuid::new_v4().simple().to_string());
        for name in ["upper", "work", "tmp"] {
            std::fs::create_dir_all(own.join(name))?;
        }
        std::fs::set_permissions(own.join("tmp"), std::fs::Permissions::from_mode(0o1777))?;
        Ok(Self { world: Arc::clone(world), own, dir: dir.to_owned() })
    }

    /// `words` as a command in the world's namespace, on this disk. The folders `uploads` are found below its `/tmp`.
    pub(super) fn command(&self, words: &[impl AsRef<OsStr>], uploads: &[(&Path, &str)]) -> Command {
        let mut command = exec::command(self.world.dir(), "/bin/sh", self.script(words, uploads));
        command.current_dir(&self.dir);
        command
    }

    /// Resolves when the program of a command has been started, with the disk as it should be.
    pub(super) async fn laid(&self) {
        let mark = self.own.join(LAID);
        while !tokio::fs::try_exists(&mark).await.is_ok_and(|there| there) {
            tokio::time::sleep(LAID_POLL).await;
        }
    }

    /// A shell's arguments.
    fn script(&self, words: &[impl AsRef<OsStr>], uploads: &[(&Path, &str)]) -> Vec<OsString> {
        let mut all: Vec<OsString> = ["-c", SCRIPT, "sandbox"].map(OsString::from).into();
        all.extend([self.own.as_os_str().to_owned(), self.dir.as_os_str().to_owned()]);
        for shared in shared_folders(self.world.dir()) {
            all.extend([shared.as_os_str().to_owned(), shared.into_os_string()]);
        }
        for (from, to) in uploads {
            all.extend([from.as_os_str().to_owned(), OsString::from(to)]);
        }
        all.push("--".into());
        all.extend(words.iter().map(|word| word.as_ref().to_owned()));
        all
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let own = std::mem::take(&mut self.own);
        self.world.tasks.spawn("container's disk", async move {
            if let Err(error) = tokio::fs::remove_dir_all(&own).await {
                tracing::debug!(%error, "a container's files stay until the world ends");
            }
        });
    }
}

/// What of the machine's `/tmp` a container still needs: the world, if it lies there, and programs that are found there.
fn shared_folders(world: &Path) -> BTreeSet<PathBuf> {
    let path = search_path();
    let needed = std::env::split_paths(&path).chain([world.to_owned()]);
    needed.filter_map(|path| top_of_tmp(&path)).filter(|top| top.is_dir()).collect()
}

/// `/tmp/a` of `/tmp/a/b/c`.
fn top_of_tmp(path: &Path) -> Option<PathBuf> {
    match path.strip_prefix(TMP).ok()?.components().next()? {
        Component::Normal(first) => Some(Path::new(TMP).join(first)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(disk: &Disk, script: &str) -> String {
        let output = disk.command(&["/bin/sh", "-c", script], &[]).output().await.unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[tokio::test]
    async fn what_a_container_writes_no_other_sees() {
        let home = tempfile::tempdir().unwrap();
        let world = World::new(home.path(), 1.0, 1).unwrap();
        let release = world.folder("apps/one/d1").unwrap();
        std::fs::write(release.join("file"), "built").unwrap();
        let mark = format!("mark-{}", uuid::Uuid::new_v4().simple());
        let (first, second) = (Disk::new(&world, &release).unwrap(), Disk::new(&world, &release).unwrap());
        let write = format!("echo pid >server.pid; echo mine >file; echo x >/tmp/{mark}; pwd; cat file");
        let wrote = run(&first, &write).await;
        // Under the path that the build saw, and there is a world around it.
        assert_eq!(wrote, format!("{}\nmine", release.display()));
        let seen = run(&second, &format!("ls; test -e /tmp/{mark}; echo $?; cat file")).await;
        assert_eq!(seen, "file\n1\nbuilt");
        assert_eq!(std::fs::read_to_string(release.join("file")).unwrap(), "built");
        assert!(!release.join("server.pid").exists() && !Path::new(TMP).join(&mark).exists());
    }

    /// `nobody` in a user namespace, where the tests are root's and the machine has such; else whoever we are.
    async fn as_an_ordinary_user(disk: &Disk, files: &Path, script: &str) -> std::process::Output {
        let namespace = ["--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urm", "/bin/sh"];
        let nobody = || {
            let mut command = Command::new("setpriv");
            command.args(namespace);
            command
        };
        // Refused to all but root.
        Command::new("chown").args(["-R", "65534:65534"]).arg(files).output().await.unwrap();
        let look = r#"mount --bind /etc/hosts /etc/hosts && ls "$0""#;
        let there = nobody().args(["-c", look]).arg(files).output().await;
        if !there.is_ok_and(|tried| tried.status.success()) {
            return disk.command(&["/bin/sh", "-c", script], &[]).output().await.unwrap();
        }
        nobody().args(disk.script(&["/bin/sh", "-c", script], &[])).output().await.unwrap()
    }

    #[tokio::test]
    async fn a_folder_of_the_release_can_be_removed_and_made_again() {
        let home = tempfile::tempdir().unwrap();
        let world = World::new(home.path(), 1.0, 1).unwrap();
        let release = world.folder("apps/one/d1").unwrap();
        std::fs::create_dir_all(release.join("tmp/cache")).unwrap();
        std::fs::write(release.join("tmp/cache/old"), "built").unwrap();
        let script = "rm -rf tmp/cache && mkdir tmp/cache && ls -A tmp/cache && echo made";
        let (first, second) = (Disk::new(&world, &release).unwrap(), Disk::new(&world, &release).unwrap());
        assert_eq!(run(&first, script).await, "made");
        let output = as_an_ordinary_user(&second, home.path(), script).await;
        assert_eq!(String::from_utf8_lossy(&output.stdout), "made\n", "{output:?}");
        assert!(release.join("tmp/cache/old").exists());
    }

    #[tokio::test]
    async fn a_disk_goes_with_its_container() {
        let home = tempfile::tempdir().unwrap();
        let world = World::new(home.path(), 1.0, 1).unwrap();
        let release = world.folder("apps/one/d1").unwrap();
        let disk = Disk::new(&world, &release).unwrap();
        run(&disk, "echo x >file").await;
        drop(disk);
        let left = || std::fs::read_dir(world.dir().join("containers")).unwrap().count();
        crate::paas::tests::until("its files are gone", async || left() == 0).await;
    }

    #[test]
    fn of_the_machines_tmp_only_what_is_needed_is_seen() {
        let top = |path: &str| top_of_tmp(Path::new(path));
        assert_eq!(top("/tmp/world/apps"), Some("/tmp/world".into()));
        assert_eq!((top("/tmp"), top("/usr/bin"), top("/tmpx/y")), (None, None, None));
    }
}
