//! What an operator types at a shell: requests are filed and followed, exit codes tell scripts what became of them, and every no says
//! what to do.

use reprise_e2e::depot::{Depot, PRODUCTION, play, with};
use reprise_e2e::plan::{NAME, Plan};
use reprise_e2e::world::Fault;
use serde_json::Value;

/// As the help lists them.
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const CANCELLED: i32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_filed_and_followed_from_a_shell() {
    // Such a plan is never run: nothing is asked of anybody.
    let unset = Plan::example().with("env:APILOS_SECRET_KEY", "env:NOBODY_SET_THIS");
    play(&unset, async |depot| {
        let daemon = &depot.daemon;
        let requests =
            async || daemon.records().column("SELECT name FROM recovery_requests ORDER BY name").await;
        for (words, code, why) in [
            (["file", "aplios", "--name", "one"], NOT_FOUND, "no plan called aplios; there is: apilos"),
            (["file", NAME, "--name", "One Bad Day"], USAGE, "`One Bad Day` is not a name"),
            (["file", NAME, "--scope", "everything"], USAGE, "[possible values: all, database"),
        ] {
            let said = daemon.say(&words).await;
            assert!(said.code == code && said.err.contains(why), "{words:?}: {} {}", said.code, said.err);
        }
        assert!(requests().await.is_empty(), "what is refused is not filed");

        let words = ["-o", "json", "file", NAME, "--mode", "drill", "--reason", "a fire in the east"];
        let filed = daemon.say(&words).await.json();
        let own = filed["name"].as_str().expect("a name");
        assert!(own.starts_with("apilos-2"), "{own}");
        daemon.run(&["file", NAME, "--name", "one"]).await;
        let again = daemon.say(&["file", NAME, "--name", "one"]).await;
        assert!(
            again.code == USAGE && again.err.contains("filed before; choose another name"),
            "{}",
            again.err
        );
        assert_eq!(requests().await, [own, "one"]);
        let spec = format!("SELECT spec::text FROM recovery_requests WHERE name = '{own}'");
        let spec = daemon.records().column(&spec).await.remove(0);
        let spec: Value = serde_json::from_str(&spec).expect("a specification");
        assert_eq!(spec, serde_json::json!({ "mode": "drill", "reason": "a fire in the east" }));

        let nobody = daemon.say(&["watch", "two"]).await;
        assert_eq!(nobody.code, NOT_FOUND, "{}", nobody.err);
        assert!(nobody.err.contains("no request called two") && nobody.err.contains("one"), "{}", nobody.err);
        let refused = |status: &[String]| status.iter().all(|status| status.contains("NotConfigured"));
        depot.sees("SELECT status::text FROM recovery_requests", refused).await;
        let short = daemon.say(&["-o", "json", "watch", "one", "--timeout", "1s"]).await;
        assert!(
            short.code == FAILED && short.err.contains("one has not ended within 1s; it goes on"),
            "{}",
            short.err
        );
        let told: Vec<Value> =
            short.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        let told = told.iter().filter_map(|line| line["message"].as_str());
        assert!(told.clone().any(|line| line.contains("NOBODY_SET_THIS")), "{}", short.out);

        let words = ["-o", "json", "alert-drill", "--listen", "127.0.0.1:0", "--within", "1s"];
        let unheard = daemon.say(&words).await;
        let told: Vec<Value> =
            unheard.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        let told: Vec<_> = told.iter().map(|line| line["what"].as_str().unwrap_or_default()).collect();
        assert_eq!((unheard.code, told), (FAILED, vec!["listening", "raised", "missing"]), "{}", unheard.out);

        // Two who follow are told of the same end.
        let followers = ["one", "one"].map(|name| daemon.begin(&["watch", name]));
        daemon.run(&["cancel", "one"]).await;
        for follower in followers {
            let ended = follower.wait_with_output().await.expect("it ends");
            let out = String::from_utf8_lossy(&ended.stdout);
            assert_eq!(ended.status.code(), Some(CANCELLED), "{out}");
            assert!(out.contains("Cancelled") && out.contains("one"), "{out}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_run_that_is_watched_is_a_document_a_line() {
    play(&with(&[]), async |depot| {
        for key in ["a", "b"] {
            depot.source.put(PRODUCTION, key, "the content of it").await;
        }
        // Long enough for a look at how far it is.
        depot.break_source("GetObject", "/a", Some(1), Fault::Latency { ms: 3_000 });
        let said = depot.daemon.say(&Depot::words(&["run", "--watch"])).await;
        assert_eq!(said.code, 0, "{}", said.err);
        let lines: Vec<Value> =
            said.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        let (last, before) = lines.split_last().expect("the end");
        // One of two was copied by then, and all is listed: the end can be told.
        let half = before.iter().find(|line| line["objects"] == 1 && line["secondsLeft"].is_number());
        let half = half.unwrap_or_else(|| panic!("{}", said.out));
        assert_eq!(
            (&half["of"], &half["bytes"], &half["ofBytes"]),
            (&2.into(), &17.into(), &34.into()),
            "{half}"
        );
        for rate in ["objectsPerSecond", "bytesPerSecond", "secondsLeft"] {
            assert!(half[rate].as_f64().is_some_and(|number| number > 0.0), "{half}");
        }
        assert_eq!(last["manifest"]["objects"], 2, "{last}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stops_reading_ends_no_run_and_has_not_seen_its_end() {
    play(&with(&[]), async |depot| {
        depot.source.put(PRODUCTION, "a", "the content of a").await;
        // Long enough for a look at how far it is, which nobody reads.
        depot.break_source("GetObject", "/a", Some(1), Fault::Latency { ms: 3_000 });
        let code = async |words: &[&str]| {
            let mut child = depot.begin(words);
            drop(child.stdout.take());
            child.wait().await.expect("its end").code()
        };
        assert_eq!(code(&["run", "--watch"]).await, Some(1));
        assert_eq!(depot.daemon.records().column("SELECT phase FROM archives").await, ["Complete"]);
        assert_eq!(code(&["verify"]).await, Some(1));
        assert_eq!(code(&["list"]).await, Some(0), "it only lists");
    })
    .await;
}
