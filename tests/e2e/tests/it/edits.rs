//! A plan that is edited while its recovery is at work: what was made stays what is used, and what runs is not cut off.

use aws_sdk_s3::primitives::ByteStream;
use reprise_e2e::plan::{APPS, BUCKET, Plan};
use reprise_e2e::records::poll;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;

const ELSEWHERE: &str = "apilos-elsewhere";

/// A line of the example plan's variables.
const READ_ONLY: &str = "      SECRET_KEY: {";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_this_request_did_not_make_is_not_filled() {
    play(81, async |stage: &mut Stage| {
        // Somebody's bucket, which the same key pair opens.
        let client = stage.world.production();
        client.create_bucket().bucket(ELSEWHERE).send().await.expect("made");
        let theirs = ByteStream::from_static(b"theirs");
        client.put_object().bucket(ELSEWHERE).key("README.txt").body(theirs).send().await.expect("put");
        let refused = Fault::Status { status: 500, body: None, retry_after: None };
        stage.world.break_("PutObject", BUCKET, None, refused);
        let request = stage.bad_day(&Plan::example()).await;
        stage.daemon.records().step_is(&request, "refill", |step| step.phase == "Running").await;

        stage.daemon.run(&["pause", request.name()]).await;
        stage.daemon.records().stands(&request, |now| now.phase == "Paused").await;
        let edited = Plan::example().with(&format!("name: {BUCKET}\n"), &format!("name: {ELSEWHERE}\n"));
        stage.daemon.apply(&edited).await;
        stage.world.mend();
        stage.daemon.run(&["resume", request.name()]).await;
        let told = stage.daemon.records().failed(&request).await;
        for part in [&format!("made bucket {BUCKET}"), &format!("names {ELSEWHERE} now"), "What to do: put"] {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
        let listed = client.list_objects_v2().bucket(ELSEWHERE).send().await.expect("a list");
        let keys: Vec<&str> = listed.contents().iter().filter_map(|object| object.key()).collect();
        assert_eq!(keys, ["README.txt"], "it was filled");

        // A variable of the read-only user that comes into the plan when the user is there already.
        let records = stage.daemon.records();
        records.step_is(&request, "read-only-user", |step| step.phase == "Done").await;
        let whole = Plan::example()
            .with(READ_ONLY, &format!("      READER: {{ computed: readOnly.url }}\n{READ_ONLY}"));
        stage.daemon.apply(&whole).await;
        stage.daemon.run(&["resume", request.name()]).await;
        records.succeeded(&request).await;
        let variables = stage.world.variables_of(APPS[0]).await;
        assert!(
            variables.get("READER").is_some_and(|url| url.starts_with("postgresql://")),
            "it was not put"
        );
        let rotated = "SELECT message FROM recovery_events WHERE reason = 'PasswordRotated'";
        assert_eq!(records.column(rotated).await, [""; 0], "an app that runs would have been locked out");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_goes_on_when_the_plan_refers_to_what_the_daemon_lacks() {
    play(82, async |stage: &mut Stage| {
        stage.world.break_("PutObject", BUCKET, None, Fault::Latency { ms: 8_000 });
        let request = stage.bad_day(&Plan::example()).await;
        let records = stage.daemon.records();
        records.step_is(&request, "refill", |step| step.phase == "Running").await;
        stage.daemon.apply(&Plan::example().with("env:APILOS_JWT_SIGN_KEY", "env:NOBODY_HAS_SET_THIS")).await;
        let refused = records.stands(&request, |now| now.message().contains("NOBODY_HAS_SET_THIS")).await;
        assert!(refused.message().contains("what runs goes on as it began: "), "{}", refused.message());
        let done = records.step_is(&request, "refill", |step| step.phase != "Running").await;
        assert_eq!((done.phase.as_str(), done.attempt), ("Done", 1), "{done:?}");
        let idle = records.stands(&request, |now| now.message().contains("Nothing runs until")).await;
        assert_eq!(idle.condition("Accepted").expect("it is told")["status"], "False");
        let steps = records.steps(&request).await;
        assert!(
            steps.iter().all(|step| !step.step.starts_with("domain/")),
            "something new was begun: {steps:?}"
        );

        stage.daemon.apply(&Plan::example()).await;
        records.succeeded(&request).await;
        assert_eq!(
            records.step(&request, "refill").await.expect("the step").attempt,
            1,
            "it was begun again"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_stays_on_the_app_that_it_was_ordered_for() {
    play(83, async |stage: &mut Stage| {
        // It takes its time to come up.
        stage.world.break_("provision", "", None, Fault::Latency { ms: 3_000 });
        let request = stage.bad_day(&Plan::example()).await;
        let records = stage.daemon.records();
        let ordered = async || {
            let ledger = records.ledger(&request).await;
            ledger.into_iter().find(|row| (&*row.kind, &*row.name) == ("addon", "postgresql"))
        };
        poll(ordered).await.expect("a database is ordered");
        stage.daemon.run(&["pause", request.name()]).await;
        records.stands(&request, |now| now.phase == "Paused").await;

        // The other app comes first now.
        let text = Plan::example().text().to_owned();
        let start = |name: &str| text.find(&format!("    - name: {name}")).expect("an app");
        let (first, second, end) =
            (start(APPS[0]), start(APPS[1]), text.find("\n  variables:").expect("the end"));
        let swapped = Plan::example()
            .with(&text[first..end], &format!("{}\n{}", &text[second..end], &text[first..second]));
        stage.daemon.apply(&swapped).await;
        stage.world.mend();
        stage.daemon.run(&["resume", request.name()]).await;
        records.succeeded(&request).await;
        let inventory = stage.world.inventory();
        let addons = inventory["addons"].as_array().expect("a list").iter();
        let databases: Vec<_> = addons
            .filter(|one| one["provider"] == "postgresql" && APPS.iter().any(|app| one["app"] == *app))
            .collect();
        assert!(databases.len() == 1 && databases[0]["app"] == APPS[0], "each one is billed: {databases:?}");
    })
    .await;
}
