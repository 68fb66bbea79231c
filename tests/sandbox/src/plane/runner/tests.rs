//! The runner on a machine without overlays, where a disk is a copy and takes its time.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::world::Limits;

/// A `mount` that knows no overlays and a `cp` that takes six seconds, in `folder`: the path on which they come first.
fn slow_tools(folder: &Path) -> String {
    let tools = [("mount", "case \"$*\" in *overlay*) exit 1;; esac"), ("cp", "sleep 6")];
    for (name, before) in tools {
        let script = format!("#!/bin/sh\n{before}\nPATH=${{PATH#*:}}\nexec {name} \"$@\"\n");
        std::fs::write(folder.join(name), script).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", folder.display(), environment::search_path().to_string_lossy())
}

#[tokio::test]
async fn what_ends_after_a_slow_copy_of_its_disk_has_crashed() {
    let home = tempfile::tempdir().unwrap();
    let world = World::new(home.path(), 60.0, 1).unwrap();
    // Less than the copy, and enough for a program that ends at once.
    world.limit(Limits { boot: Duration::from_secs(4), ..Limits::default() });
    let runner = Runner::start(&world);
    let env = BTreeMap::from([("PATH".to_owned(), slow_tools(&world.folder("slow").unwrap()))]);
    let released = async |kind: &str| {
        let dir = world.folder(&format!("apps/{kind}/d1")).unwrap();
        let procfile = BTreeMap::from([(kind.to_owned(), "exit 7".to_owned())]);
        let release = Release { deployment: "d1".into(), dir, procfile };
        let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
        let formation = Formation::from([(kind.to_owned(), 1)]);
        runner.release(kind, release, &formation, &env, &log).await
    };
    let (web, worker) = tokio::join!(released("web"), released("worker"));
    let crashed =
        |ended: &_| matches!(ended, Err(DeployFailure::Crashed(why)) if why.contains("exit status: 7"));
    assert!(crashed(&web) && crashed(&worker), "web: {web:?}, worker: {worker:?}");
}
