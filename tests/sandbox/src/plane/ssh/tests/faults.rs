//! What goes wrong on purpose with pushes and tunnels.

use super::*;
use crate::plane::databases::DatabaseAccess;

/// The first packet of a client of `PostgreSQL` that would like TLS; the answer to it is one byte.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

impl Town {
    fn plays(&self, service: &str, fault: Fault) {
        let service = Some(service.to_owned());
        let rule = Rule { service, method: None, path: None, skip: 0, times: Some(1), fault };
        self.world.faults.add(rule);
    }

    /// What the database answers through a tunnel, and what `ssh` says.
    async fn through(&self, access: &DatabaseAccess) -> (Vec<u8>, String) {
        let mut ssh = Command::new("ssh");
        let end = format!("{}:{}", access.host, access.port);
        ssh.args(self.ssh_options("key")).args(["-W", &end, "git@127.0.0.1"]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut ssh = ssh.spawn().unwrap();
        let mut input = ssh.stdin.take().unwrap();
        // It may be gone already.
        tokio::io::AsyncWriteExt::write_all(&mut input, &SSL_REQUEST).await.ok();
        let mut answer = [0];
        let mut output = ssh.stdout.take().unwrap();
        let read = tokio::io::AsyncReadExt::read(&mut output, &mut answer).await.unwrap();
        drop(input);
        let said = ssh.wait_with_output().await.unwrap().stderr;
        (answer[..read].to_vec(), String::from_utf8_lossy(&said).into_owned())
    }
}

#[tokio::test]
async fn a_tunnel_is_refused_cut_and_slow_on_demand() {
    let town = town().await;
    let access = town.databases.create("my_app_1").await.unwrap();
    let ask = async |fault| {
        town.plays("ssh", fault);
        town.through(&access).await
    };
    let (answer, said) = ask(Fault::Reject { reason: "not today".into() }).await;
    assert!(answer.is_empty() && said.contains("open failed"), "{said}");
    for fault in [Fault::Reset { after: false }, Fault::DropBefore] {
        let (answer, said) = ask(fault.clone()).await;
        assert!(answer.is_empty() && !said.contains("open failed"), "{fault:?}: {said}");
    }
    // The question passes, its answer does not.
    let (answer, said) = ask(Fault::Truncate { bytes: 8 }).await;
    assert!(answer.is_empty(), "{answer:?} {said}");
    assert_eq!(ask(Fault::Truncate { bytes: 9 }).await.0, b"S");
    let began = tokio::time::Instant::now();
    assert_eq!(ask(Fault::SlowBody { bytes_per_second: 10 }).await.0, b"S");
    assert!(began.elapsed() > Duration::from_millis(700));
    let silence = tokio::time::timeout(Duration::from_secs(2), ask(Fault::Stall)).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(town.through(&access).await.0, b"S", "each was played once");
    let faults: Vec<String> = town.world.journal.entries().into_iter().filter_map(|one| one.fault).collect();
    assert_eq!(
        faults,
        ["reject", "reset", "drop_before", "truncate", "truncate", "slow_body", "stall"],
        "the journal says which"
    );
    town.databases.shut_down().await;
}

#[tokio::test]
async fn a_push_is_reset_held_and_slowed_on_demand() {
    let town = town().await;
    let clone = town.clone().await;
    let push = &["push", "scalingo", "main"];
    assert!(town.run(&clone, push).await.0);
    let first = town.deployed().await;
    let commit = town.commit(&clone).await;
    town.plays("git", Fault::Reset { after: false });
    let (pushed, said) = town.run(&clone, push).await;
    assert!(!pushed && town.deployed().await == first, "{said}");

    town.plays("git", Fault::Stall);
    let silence = tokio::time::timeout(Duration::from_secs(2), town.run(&clone, push)).await;
    assert!(silence.is_err() && town.deployed().await == first, "{silence:?}");

    // It is done, and nobody is told.
    town.plays("git", Fault::Reset { after: true });
    let (pushed, said) = town.run(&clone, push).await;
    assert!(!pushed, "{said}");
    until("it is deployed", async || town.deployed().await == commit).await;

    let next = town.commit(&clone).await;
    town.plays("git", Fault::SlowBody { bytes_per_second: 200 });
    let began = tokio::time::Instant::now();
    let (pushed, said) = town.run(&clone, push).await;
    assert!(pushed, "{said}");
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(town.deployed().await, next);
}

#[tokio::test]
async fn a_fault_that_a_push_cannot_play_is_not_counted_as_played() {
    let town = town().await;
    let clone = town.clone().await;
    town.commit(&clone).await;
    town.plays("git", Fault::Corrupt);
    assert!(town.run(&clone, &["push", "scalingo", "main"]).await.0);
    let rule = town.world.faults.standing().remove(0);
    assert_eq!((rule.matches, rule.plays), (0, 0));
    assert!(town.world.journal.entries().iter().all(|entry| entry.fault.is_none()));
}
