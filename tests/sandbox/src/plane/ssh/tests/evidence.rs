//! What the journal says of pushes and tunnels: who, by which key, what was before and after.

use serde_json::{Value, json};

use super::*;
use crate::world::Entry;

/// The fingerprint of the key that this user has, as OpenSSH tells it.
async fn fingerprint(town: &Town) -> String {
    let output = Command::new("ssh-keygen").arg("-lf").arg(town.dir.path().join("key.pub")).output().await;
    let line = String::from_utf8(output.unwrap().stdout).unwrap();
    line.split(' ').nth(1).unwrap().to_owned()
}

fn pushes(town: &Town) -> Vec<Entry> {
    town.world.journal.entries().into_iter().filter(|entry| entry.service == "git").collect()
}

fn at(commit: &str) -> Value {
    json!({"refs": [{"app": APP, "name": "refs/heads/main", "commit": commit}]})
}

#[tokio::test]
async fn a_push_tells_from_where_to_where_its_branch_moved() {
    let town = town().await;
    let clone = town.clone().await;
    let first = town.commit(&clone).await;
    assert!(town.run(&clone, &["push", "scalingo", "main"]).await.0);
    // Again: there is nothing to push, and no effect.
    assert!(town.run(&clone, &["push", "scalingo", "main"]).await.0);
    let second = town.commit(&clone).await;
    assert!(town.run(&clone, &["push", "scalingo", "main"]).await.0);
    std::fs::write(clone.join("hook"), "exit 3\n").unwrap();
    town.commit(&clone).await;
    assert!(!town.run(&clone, &["push", "scalingo", "main"]).await.0);
    let entries = pushes(&town);
    let told: Vec<_> =
        entries.iter().map(|one| (one.status, &one.evidence.before, &one.evidence.after)).collect();
    let (first, second) = (Some(at(&first)), Some(at(&second)));
    assert_eq!(told, [(200, &None, &first), (200, &first, &second), (422, &None, &None)]);
    let key = fingerprint(&town).await;
    assert!(entries.iter().all(|one| one.evidence.credential.as_ref() == Some(&key)), "{entries:?}");
    assert!(entries[0].evidence.agent.as_ref().unwrap().starts_with("SSH-2.0-OpenSSH"), "{entries:?}");
}

#[tokio::test]
async fn a_push_whose_pusher_does_not_hear_of_it_is_told_all_the_same() {
    let town = town().await;
    let clone = town.clone().await;
    let commit = town.commit(&clone).await;
    town.world.faults.add(Rule {
        service: Some("git".into()),
        method: Some("push".into()),
        path: None,
        skip: 0,
        times: Some(1),
        fault: Fault::DropAfter,
    });
    assert!(!town.run(&clone, &["push", "scalingo", "main"]).await.0);
    until("it is in the journal", async || !pushes(&town).is_empty()).await;
    let entry = pushes(&town).remove(0);
    assert_eq!((entry.status, entry.fault.as_deref()), (200, Some("drop_after")));
    assert_eq!(entry.evidence.after, Some(at(&commit)));
}

#[tokio::test]
async fn a_tunnel_tells_whose_it_is_and_to_which_database() {
    let town = town().await;
    let access = town.databases.create("my_app_1").await.unwrap();
    for (host, port) in [(access.host.as_str(), access.port), ("127.0.0.1", 1)] {
        let mut ssh = Command::new("ssh");
        ssh.args(town.ssh_options("key")).args(["-W", &format!("{host}:{port}"), "git@127.0.0.1"]);
        ssh.stdin(Stdio::null()).output().await.unwrap();
    }
    let entries = town.world.journal.entries();
    let tunnels: Vec<&Entry> = entries.iter().filter(|entry| entry.service == "ssh").collect();
    let (open, refused) = (tunnels[0], tunnels[1]);
    let to = format!("{}:{}", access.host, access.port);
    assert_eq!((open.caller.as_str(), open.resource.as_str(), open.status), ("us-1", to.as_str(), 200));
    let told = &open.evidence.after.as_ref().unwrap()["tunnels"][0];
    assert_eq!((&told["resource"], &told["to"]), (&json!("my_app_1"), &json!(to)));
    assert!(told["channel"].is_u64(), "{told}");
    assert_eq!((refused.status, &refused.evidence.after), (403, &None));
    let key = fingerprint(&town).await;
    assert!(tunnels.iter().all(|one| one.evidence.credential.as_ref() == Some(&key)), "{tunnels:?}");
    town.databases.shut_down().await;
}
