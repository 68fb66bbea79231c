//! Backups are proven before the bad day: new ones are picked up, restored for real and asserted, broken ones are refused with
//! their reason, and no restart makes anything fresher than it is.

#![expect(
    clippy::float_cmp,
    reason = "dates and switches that Prometheus prints and we read again, digit by digit"
)]

use reprise_e2e::plan::{NAME, Plan};
use reprise_e2e::records::{Records, Request, poll};
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;
use reprise_sandbox::control::Disaster;
use reprise_sandbox::world::faults::Damage;
use serde_json::{Value, json};

const DAY: u64 = 86_400;
const PROVE: [&str; 3] = ["prove", NAME, "--dev"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_backups_are_proven_broken_ones_refused_and_a_restart_resets_nothing() {
    play(51, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let records = stage.daemon.records();
        assert_eq!(until(stage, &fresh(), |_| true).await, 0.0, "absent is not fresh");
        assert_eq!(stage.daemon.metric(&backup("timestamp_seconds")).await, None);

        // The newest three of the week are bad in different ways: it goes on until it has found a good one.
        let (well, told) = stage.daemon.ask(&PROVE).await;
        assert!(!well, "three were refused: {told}");
        let rows = verdicts(records).await;
        let firsts: Vec<(&str, bool)> =
            rows.iter().take(4).map(|row| (row.rung.as_str(), row.refused.is_empty())).collect();
        assert!(firsts[..3].iter().all(|(rung, fine)| *rung != "asserted" && !fine), "{rows:#?}");
        assert_eq!(firsts[3], ("asserted", true), "{rows:#?}");
        assert!(rows[4..].iter().all(|row| row.rung == "listed"), "{rows:#?}");
        assert!(rows[..3].iter().all(|row| told.contains(&row.refused) && row.message.len() > 10), "{told}");
        let proven = rows[3].taken_at;
        assert_eq!(until(stage, &backup("timestamp_seconds"), |at| at == proven).await, proven);
        assert_eq!(stage.daemon.metric(&fresh()).await, Some(0.0), "four days old");
        assert_eq!(stage.daemon.tried_now(), [""; 0].map(std::path::PathBuf::from), "personal data was left");

        // A new night, whose first download is a page of a proxy's: that is the transfer's fault, and costs nothing.
        let new = night(stage).await;
        stage.world.break_("GET", "/download", Some(1), web_page());
        let told = picked_up(stage, &new).await;
        let row = verdicts(records).await.swap_remove(0);
        assert_eq!((row.name.as_str(), row.rung.as_str()), (new.as_str(), "asserted"), "{told}");
        let looked = told.contains("amcheck 1.") && told.contains("migrations: not applicable");
        assert!(looked, "what was looked at is told: {told}");
        let proven = until(stage, &backup("timestamp_seconds"), |at| at == row.taken_at).await;
        assert_eq!(stage.daemon.metric(&fresh()).await, Some(1.0));

        // A night whose backup cannot be read.
        stage.world.break_("GET", "/download", Some(2), Fault::Corrupt);
        let broken = night(stage).await;
        let (well, told) = asked_for(stage, &broken).await;
        let row = verdicts(records).await.swap_remove(0);
        assert!(!well && row.name == broken && !row.refused.is_empty(), "{told}");
        let listed = stage.daemon.run(&["backups", NAME, "--all"]).await;
        assert!(
            listed.contains(&format!("{}, REFUSED", row.rung)) && listed.contains(&row.message),
            "{listed}"
        );
        assert!(listed.contains("gone from the platform"), "the platform keeps seven: {listed}");
        assert_eq!(
            stage.daemon.metric(&backup("timestamp_seconds")).await,
            Some(proven),
            "the newest good one"
        );

        let page = stage.daemon.run(&["evidence", &row.name]).await;
        assert!(
            page.contains("**refused**, database of plan apilos") && page.contains(&row.refused),
            "{page}"
        );
        let page = stage.daemon.run(&["evidence", &new]).await;
        assert!(page.contains("**asserted**") && page.contains("| asserted | yes |"), "{page}");
        each_look_leaves_its_report(stage, &new).await;

        let (_, told) = stage.daemon.ask(&["doctor", NAME, "--dev", "-o", "json"]).await;
        for check in [
            "references",
            "plans",
            "stack",
            "backups",
            "extensions",
            "code",
            "variables",
            "artifacts",
            "postgresql",
            "disk",
            "ssh",
            "mirror",
        ] {
            assert_eq!(grade(&told, check), "good", "{told}");
        }
        // They are taken; whether they may do what a recovery does no drill has shown.
        for check in ["platform", "dns", "target-bucket"] {
            assert_eq!(grade(&told, check), "warning", "{told}");
        }

        let before = verdicts(records).await;
        stage.daemon.kill().await;
        stage.daemon.start().await;
        assert_eq!(until(stage, &backup("timestamp_seconds"), |at| at == proven).await, proven);
        let age = stage.daemon.metric(&backup("age_seconds")).await.expect("an age");
        let passed = f64::from(u32::try_from(now_seconds()).expect("this century")) - proven;
        assert!((age - passed).abs() < 10.0, "{age} is not {passed}");
        assert_eq!(verdicts(stage.daemon.records()).await, before);

        // What is broken is found without a recovery.
        stage.world.break_(
            "GET",
            "/v1/domain/",
            None,
            Fault::Status { status: 403, body: None, retry_after: None },
        );
        let (well, told) = stage.daemon.ask(&["doctor", NAME, "--dev", "-o", "json"]).await;
        assert_eq!((well, grade(&told, "dns").as_str()), (false, "bad"), "{told}");
        stage.world.mend();
        an_authority_that_may_not_issue_is_found(stage).await;

        the_newest_good_one_is_chosen(stage, &new, &broken).await;
    })
    .await;
}

/// The next look at a backup leaves the report of the one before.
async fn each_look_leaves_its_report(stage: &Stage, new: &str) {
    asked_for(stage, new).await;
    let looks: Value =
        serde_json::from_str(&stage.daemon.run(&["evidence", new, "--all", "-o", "json"]).await)
            .expect("JSON");
    let at: Vec<&str> =
        looks.as_array().into_iter().flatten().filter_map(|look| look["checkedAt"].as_str()).collect();
    assert!(at.len() == 2 && at[0] > at[1], "{looks}");
    let then = stage.daemon.run(&["evidence", new, "--at", at[1], "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&then).expect("JSON"), looks[1]);
    let (well, told) = stage.daemon.ask(&["evidence", new, "--at", "2001-01-01T00:00:00Z"]).await;
    assert!(!well, "{told}");
}

/// Where the name leads, only another authority may issue certificates.
async fn an_authority_that_may_not_issue_is_found(stage: &Stage) {
    let caa = async |values: &[&str]| {
        let name = "apilos-siap.osc-fr1.scalingo.test";
        stage.world.control("caa", &json!({ "name": name, "values": values })).await;
    };
    caa(&["0 issue \"sectigo.com\""]).await;
    // Resolvers may remember for a moment that there was none.
    let told = poll(async || {
        let (_, told) = stage.daemon.ask(&["doctor", NAME, "--dev", "-o", "json"]).await;
        (grade(&told, "dns") == "bad").then_some(told)
    });
    assert!(told.await.is_some_and(|told| told.contains("sectigo.com")), "nobody was told");
    caa(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_has_to_ask_and_a_daemon_that_dies_in_the_middle_leaves_nothing_and_goes_on() {
    play(52, async |stage: &mut Stage| {
        let often = "{ perRun: 2, schedule: { cron: '*/2 * * * * *', jitter: 0s } }";
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example().and("proof", often)).await;
        // A restore is at work: personal data lies there, unless the death came too late for that.
        let mut left = 0;
        for _ in 0..5 {
            stage.eventually("a restore", |stage| stage.daemon.restores_now()).await;
            stage.daemon.kill().await;
            left = stage.daemon.tried_now().len();
            stage.daemon.start().await;
            if left > 0 {
                break;
            }
        }
        assert_eq!(left, 1, "no death came in the middle of a restore");
        let settled = async |stage: &Stage| {
            let sql = "SELECT name FROM backup_verdicts WHERE kind = 'database' AND settled";
            stage.daemon.records().column(sql).await.len()
        };
        poll(async || (settled(stage).await == 7).then_some(())).await;
        let rows = verdicts(stage.daemon.records()).await;
        assert_eq!(settled(stage).await, 7, "{rows:#?}");
        let (good, bad): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.refused.is_empty());
        assert_eq!((good.len(), bad.len()), (4, 3), "{rows:#?}");
        assert!(good.iter().all(|row| row.rung == "asserted"), "{rows:#?}");
        let sql =
            "SELECT message FROM scheduled_runs WHERE job = 'freshness' AND state = 'done' ORDER BY due_at";
        let told = stage.daemon.records().column(sql).await;
        assert!(told.iter().any(|message| message.contains(": asserted")), "{told:?}");
        stage.eventually("an empty folder", |stage| stage.daemon.tried_now().is_empty()).await;
    })
    .await;
}

/// One of the backups, the newest first.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    rung: String,
    refused: String,
    message: String,
    taken_at: f64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_code_host_is_gone_migrations_are_held_against_the_code_that_the_archive_keeps() {
    play(53, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        stage.daemon.run(&["archive", "--dev", "init", NAME]).await;
        stage.daemon.run(&["archive", "--dev", "run", NAME]).await;
        let away = tempfile::tempdir().expect("a folder");
        let django = "CREATE TABLE django_migrations (id serial, app text, name text, applied timestamptz DEFAULT now());
                      INSERT INTO django_migrations (app, name) VALUES ('orders', '0001_initial')";
        in_production(stage, django).await;

        let code = stage.world.variable("CODE_URL").trim_start_matches("file://").to_owned();
        std::fs::rename(&code, away.path().join("code")).expect("the code host is gone");
        let new = night(stage).await;
        let told = picked_up(stage, &new).await;
        assert!(told.contains("archive keeps: apilos-siap-pra at "), "{told}");
        assert_eq!(verdicts(stage.daemon.records()).await[0].rung, "asserted");
    })
    .await;
}

/// Runs statements in production's database, as its application would.
pub(crate) async fn in_production(stage: &Stage, sql: &str) {
    stage.psql("$DATABASE_URL", sql).await;
}

async fn verdicts(records: &Records) -> Vec<Row> {
    let sql = "SELECT jsonb_build_array(name, rung, coalesce(refused, ''), coalesce(message, ''), extract(epoch FROM taken_at))::text
               FROM backup_verdicts WHERE kind = 'database' AND gone_at IS NULL ORDER BY taken_at DESC";
    let row = |line: String| {
        let (name, rung, refused, message, taken_at) = serde_json::from_str(&line).expect("a row");
        Row { name, rung, refused, message, taken_at }
    };
    records.column(sql).await.into_iter().map(row).collect()
}

/// Lets a day pass, and returns the name of the backup that was made in its night, once it can be had.
pub(crate) async fn night(stage: &Stage) -> String {
    let names = |stage: &Stage| -> Vec<String> {
        let inventory = stage.world.inventory();
        let databases = inventory["databases"].as_array().cloned().unwrap_or_default();
        let lists = databases.iter().filter_map(|one| one["backups"].as_array());
        lists.flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let before = names(stage);
    stage.world.control("clock", &json!({ "advance_seconds": DAY })).await;
    let new = |stage: &Stage| names(stage).into_iter().find(|name| !before.contains(name));
    stage.eventually("the backup of the night", |stage| new(stage).is_some()).await;
    new(stage).expect("seen before")
}

/// Proves what is due until something is known of `name`, which the platform lists as finished a moment after it began.
async fn picked_up(stage: &Stage, name: &str) -> String {
    for _ in 0..20 {
        let (_, told) = stage.daemon.ask(&PROVE).await;
        if verdicts(stage.daemon.records()).await.iter().any(|row| row.name == name && row.rung != "listed") {
            return told;
        }
    }
    panic!("{name} was never picked up");
}

/// Proves `name` alone, as soon as it is finished.
pub(crate) async fn asked_for(stage: &Stage, name: &str) -> (bool, String) {
    for _ in 0..100 {
        let answer = stage.daemon.ask(&["prove", NAME, "--dev", "--backup", name]).await;
        if !answer.1.contains("no finished backup") {
            return answer;
        }
    }
    panic!("{name} was never finished");
}

/// On the bad day, what is known of the broken one is not learnt again, and one bad transfer costs nothing.
async fn the_newest_good_one_is_chosen(stage: &Stage, new: &str, broken: &str) {
    stage.world.strike(Disaster::Data).await;
    stage.world.break_("GET", "/download", Some(1), web_page());
    let request = stage.file().await;
    let chosen = choice(stage, &request).await;
    assert_eq!(chosen["name"], Value::from(new), "{chosen}");
    let lost = chosen["refused"].as_array().expect("a list");
    let [lost] = lost.as_slice() else { panic!("{chosen}") };
    assert_eq!(lost["backup"], Value::from(broken));
    assert!(lost["message"].as_str().is_some_and(|why| why.starts_with("as of ")), "{chosen}");
    let doubts =
        "SELECT message FROM recovery_events WHERE reason = 'DownloadDoubted' AND step = 'choose-backup'";
    let doubts = stage.daemon.records().column(doubts).await;
    assert!(matches!(doubts.as_slice(), [told] if told.contains("HTML")), "{doubts:?}");
}

/// What a proxy sends in a backup's place, with status 200.
fn web_page() -> Fault {
    Fault::CorruptBackup { how: Damage::HtmlPage }
}

/// What `reprise doctor` found at one check.
pub(crate) fn grade(told: &str, check: &str) -> String {
    let list: Value = serde_json::from_str(told).expect("JSON");
    let found = list[0]["findings"].as_array().into_iter().flatten().find(|one| one["check"] == check);
    found.and_then(|one| one["grade"].as_str()).unwrap_or_default().to_owned()
}

/// What the choice of a backup left.
pub(crate) async fn choice(stage: &Stage, request: &Request) -> Value {
    let done = stage.daemon.records().step_is(request, "choose-backup", |step| step.phase == "Done").await;
    done.output
}

fn backup(what: &str) -> String {
    format!("reprise_backup_{what}{{plan=\"{NAME}\"}}")
}

fn fresh() -> String {
    format!("reprise_freshness_ok{{plan=\"{NAME}\",what=\"backup\"}}")
}

/// A metric once it is as `wanted`.
pub(crate) async fn until(stage: &Stage, series: &str, wanted: impl Fn(f64) -> bool) -> f64 {
    let mut seen = None;
    let found = poll(async || {
        seen = stage.daemon.metric(series).await;
        seen.filter(|value| wanted(*value))
    });
    found.await.unwrap_or_else(|| panic!("{series} is {seen:?}"))
}

fn now_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}
