//! Restoring without Reprise: the script that is shipped, run for real.

use std::path::{Path, PathBuf};
use std::process::Output;

use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use reprise_e2e::shelf::REGION;
use reprise_e2e::world::Fault;
use tokio::process::Command;

use super::{oddities, run_of};

/// Keys that would leave a folder.
const ESCAPES: [&str; 4] = ["../outside.txt", "/absolute.txt", "in/../../outside.txt", "double//slash.txt"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_reprise_everything_comes_back_into_a_folder_and_into_a_bucket() {
    play(&Plan::example(), async |depot| {
        oddities(depot).await;
        depot.take().await;
        // Which run it was is found by the script: the newest is suspicious, and the one before it damaged.
        depot.source.delete(PRODUCTION, "twice.txt").await;
        let good = run_of(&depot.take().await);
        let damaged = run_of(&depot.take().await);
        let expected = depot.source.whole(PRODUCTION, "").await;
        for key in expected.keys().filter(|key| !key.starts_with("dressed/")) {
            depot.source.delete(PRODUCTION, key).await;
        }
        let suspicious = depot.take().await;
        assert!(suspicious["suspicious"].is_array(), "{suspicious}");
        flip(depot, &format!("apilos/manifests/{damaged}.jsonl.zst")).await;

        // A store that lists another tag than it gives refuses the first request for one, and a range of nothing is refused by many.
        let other = &expected["plain.txt"].sha256;
        let empty = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b""));
        for (content, times, status) in [(other, Some(1), 412), (&empty, None, 416)] {
            let refused = Fault::Status { status, body: None, retry_after: None };
            depot.break_archive("GetObject", &format!("objects/{content}"), times, refused);
        }
        let folder = depot.folder("back");
        let output = restore(depot, &folder.display().to_string(), &[]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(depot.faults_played(), 1, "{said}");
        depot.mend();
        assert!(
            said.contains(&format!("{damaged} is damaged")) && said.contains(&format!("run {good}: ")),
            "{said}"
        );
        assert!(said.contains(&format!("{} is passed over", run_of(&suspicious))), "{said}");
        let files = files(&folder);
        let on_disk =
            |key: &str| std::fs::read(folder.join(key)).unwrap_or_else(|error| panic!("{key}: {error}"));
        for (key, thing) in expected.iter().filter(|(key, _)| !key.ends_with('/')) {
            assert_eq!(
                on_disk(key),
                depot.archive.get(ARCHIVE, &format!("apilos/objects/{}", thing.sha256)).await
            );
        }
        assert!(folder.join("a-folder").is_dir());
        assert_eq!(files.len(), expected.len() - 1, "{files:?}");

        depot.source.bucket("back", false, false).await;
        // No prefix: the longest key has no room for one.
        let target = format!("{}/back/", depot.source.endpoint());
        let output = restore(depot, &target, &[&good]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut came = depot.source.whole("back", "").await;
        // The CLI names a media type where the source had none; so does the source's own store.
        for (key, thing) in &expected {
            let back = came.remove(key).unwrap_or_else(|| panic!("{key} did not come back"));
            assert_eq!(&back, thing, "{key}");
        }
        assert!(came.is_empty(), "{came:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_reprise_nothing_false_and_nothing_outside_is_written() {
    play(&Plan::example(), async |depot| {
        for key in ESCAPES.iter().chain(&["good.txt", "bad.txt", "lost.txt"]) {
            depot.source.put(PRODUCTION, key, (*key).to_owned()).await;
        }
        let record = depot.take().await;
        let lines = depot.manifest(&run_of(&record)).await;
        let content = |key: &str| {
            let line = lines.iter().find(|line| line["key"] == key).expect("a line");
            format!("apilos/objects/{}", line["sha256"].as_str().expect("a digest"))
        };
        flip(depot, &content("bad.txt")).await;
        depot.archive.delete(ARCHIVE, &content("lost.txt")).await;

        let folder = depot.folder("deep/er/back");
        let output = restore(depot, &folder.display().to_string(), &[]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for key in ESCAPES {
            assert!(said.contains(&format!("would leave the folder: {key}")), "{key}: {said}");
        }
        assert!(said.contains("not restored: bad.txt") && said.contains("not restored: lost.txt"), "{said}");
        assert_eq!(files(&depot.folder("deep")), [folder.join("good.txt")]);

        // An older record that was exchanged is found by its successor, though it is well formed and names a whole manifest.
        let key = format!("apilos/runs/{}.json", run_of(&record));
        depot.take().await;
        let text = String::from_utf8(depot.archive.get(ARCHIVE, &key).await.to_vec()).expect("text");
        depot.archive.put(ARCHIVE, &key, text.replace("\"replaced\": 0", "\"replaced\": 1")).await;
        let output = restore(depot, &folder.display().to_string(), &[&run_of(&record)]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains("is not the one that its successor names") && !output.status.success(),
            "{said}"
        );
    })
    .await;
}

/// Turns one bit of an object of the archive.
async fn flip(depot: &Depot, key: &str) {
    let mut bytes = depot.archive.get(ARCHIVE, key).await.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    depot.archive.put(ARCHIVE, key, bytes).await;
}

/// Runs the script as somebody would who has lost everything else: a clean environment, two profiles.
pub(super) async fn restore(depot: &Depot, target: &str, rest: &[&str]) -> Output {
    let home = depot.folder("home");
    let profile = |name: &str, key: &reprise_sandbox::s3::Key| {
        format!(
            "[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            key.access_key_id, key.secret_access_key
        )
    };
    let pairs = [profile("old", depot.archive.adder()), profile("new", depot.source.owner())].concat();
    std::fs::write(home.join("credentials"), pairs).expect("the credentials");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/restore-without-reprise.sh");
    let mut command = Command::new(script);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).env("HOME", &home);
    command.env("AWS_SHARED_CREDENTIALS_FILE", home.join("credentials")).env("AWS_DEFAULT_REGION", REGION);
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("WORK", depot.folder("contents"));
    // Where the desktop speaks another language, so do the programs whose words the script reads.
    command.env("LC_ALL", "C.UTF-8").env("LANGUAGE", "fr");
    command
        .env("ARCHIVE_PROFILE", "old")
        .env("TARGET_PROFILE", "new")
        .env("LARGE", "10000000")
        .env("JOBS", "2");
    command.arg(format!("{}/{ARCHIVE}/apilos/", depot.archive.endpoint())).arg(target).args(rest);
    command.kill_on_drop(true).output().await.expect("the script runs")
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
