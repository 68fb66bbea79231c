//! What is archived beside the bucket: code, configuration, copies of dumps; and what one of them lacks keeps no other out.

use std::path::Path;
use std::process::Command;

use reprise_e2e::daemon::Daemon;
use reprise_e2e::plan::APPS;
use reprise_e2e::records::poll;
use reprise_e2e::stage::{Stage, play};
use serde_json::Value;

use crate::account::with_recipient;

fn git(dir: &Path, words: &[&str]) -> String {
    let done = Command::new("git").arg("-C").arg(dir).args(words).output().expect("git");
    assert!(done.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// Takes from the code host what production runs: its branch holds the same files in a commit of its own.
fn forget_what_runs(code: &Path) {
    let named = ["-c", "user.name=e2e", "-c", "user.email=e2e@apilos.test"];
    let anew = git(code, &[&named[..], &["commit-tree", "-m", "anew", "main^{tree}"]].concat());
    git(code, &["update-ref", "refs/heads/main", &anew]);
    git(code, &["-c", "gc.pruneExpire=now", "gc", "--quiet", "--prune=now"]);
}

async fn archive(daemon: &Daemon, words: &[&str]) -> Value {
    let (verb, rest) = words.split_first().expect("a subcommand");
    let words = [&["-o", "json", "archive", "--dev", *verb, "apilos"][..], rest].concat();
    serde_json::from_str(&daemon.run(&words).await).expect("a document")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_whose_code_cannot_be_had_keeps_no_other_code_and_no_variables_out() {
    play(38, async |stage: &mut Stage| {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = folder.path().join("identity");
        stage.daemon.start().await;
        // The first app's code is nowhere.
        let nowhere = format!("file://{}", folder.path().join("nowhere.git").display());
        let first = "replaces: apilos-siap\n      code: { repository: \"";
        let plan = with_recipient(&stage.daemon, &identity).await;
        let plan = plan.with(&format!("{first}env:CODE_URL\""), &format!("{first}{nowhere}\""));
        stage.daemon.apply(&plan).await;
        let code = stage.world.variable("CODE_URL").trim_start_matches("file://").to_owned();
        let deployed = git(Path::new(&code), &["rev-parse", "main"]);
        forget_what_runs(Path::new(&code));
        archive(&stage.daemon, &["init"]).await;
        let record = archive(&stage.daemon, &["run"]).await;
        let of = |kind: &str| -> Vec<&Value> {
            let extras = record["extras"].as_array().expect("extras").iter();
            extras.filter(|extra| extra["kind"] == kind).collect()
        };
        let told = record["missing"].to_string();
        let kept = of("code");
        assert_eq!(kept.len(), 1, "{record}");
        assert_eq!(kept[0]["name"], APPS[1], "{record}");
        assert_ne!(kept[0]["about"]["commit"], deployed.as_str(), "it is nowhere any more");
        assert!(told.contains(APPS[0]) && told.contains("nowhere.git"), "{told}");
        assert!(told.contains(&format!("{} runs commit {deployed}", APPS[1])), "{told}");
        // Variables are nowhere else: that `cron.json` cannot be read is no reason to lose them.
        let configured = of("configuration");
        assert_eq!(configured.len(), 1, "{record}");
        assert_eq!(configured[0]["about"]["apps"], "apilos-siap, apilos-standalone", "{record}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_asked_for_is_copied_and_older_copies_go_by_their_own_rule() {
    play(39, async |stage: &mut Stage| {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = folder.path().join("identity");
        stage.daemon.start().await;
        let rule = "    dumps: { retention: { last: 3, weekly: 0, monthly: 0, yearly: 0, grace: 1s }, ";
        let plan = with_recipient(&stage.daemon, &identity).await.with("    dumps: { ", rule);
        stage.daemon.apply(&plan).await;
        archive(&stage.daemon, &["init"]).await;
        let listed = async || archive(&stage.daemon, &["dumps", "--list"]).await;
        let before = archive(&stage.daemon, &["dumps"]).await;
        let copied = |copies: &Value| copies["copied"].as_array().expect("copies").len();
        // Of the newest three, which is all that is kept, some are bad, and those are no copies.
        assert!(!before["refused"].as_array().expect("refusals").is_empty(), "{before}");
        let made = archive(&stage.daemon, &["dumps", "--fresh"]).await;
        assert_eq!(copied(&made), 1, "{made}");
        let fresh = made["copied"][0].clone();
        assert!(fresh["clear"]["rows"].as_u64().is_some_and(|rows| rows > 0), "{fresh}");
        assert_eq!(fresh["encryption"], "age");
        let asked = stage.world.journal();
        assert!(asked.iter().any(|entry| entry.call.starts_with("POST") && entry.call.ends_with("/backups")));
        let age =
            poll(async || stage.daemon.metric("reprise_dump_copy_age_seconds{plan=\"apilos\"}").await).await;
        assert!(age.is_some_and(|age| (0.0..3_600.0).contains(&age)), "{age:?}");
        stage.world.owns("foreign_write: `POST /api/databases/");
        let count = async || listed().await.as_array().map(Vec::len).unwrap_or_default();
        assert_eq!(count().await, copied(&before) + 1);
        // Another three, and a prune: copies go by their own rule, whatever runs there are.
        for _ in 0..3 {
            assert_eq!(copied(&archive(&stage.daemon, &["dumps", "--fresh"]).await), 1);
        }
        archive(&stage.daemon, &["run"]).await;
        let pruned = archive(&stage.daemon, &["prune", "--yes"]).await;
        let gone = pruned["dumps"]
            .as_array()
            .expect("copies")
            .iter()
            .filter(|one| one["keptBy"] == Value::Array(Vec::new()));
        assert_eq!(gone.count(), copied(&before) + 1, "{pruned}");
        assert_eq!(count().await, 3, "{pruned}");
    })
    .await;
}
