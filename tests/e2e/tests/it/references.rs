//! Rows that name objects: what they lack is counted, and the archive run is chosen that suits the backup.

use reprise_e2e::plan::Plan;
use reprise_e2e::shelf;
use reprise_e2e::stage::{Stage, play};
use reprise_sandbox::control::Disaster;
use reprise_sandbox::s3::Key;
use serde_json::Value;

const ASKS: &str = "[{ table: public.documents, column: object_key }]";

/// Takes an object out of production's bucket behind everybody's back.
async fn lose_a_document(stage: &Stage) -> String {
    let variable = |name: &str| stage.world.variable(&format!("S3_SOURCE_{name}")).to_owned();
    let keys = Key::set((variable("ACCESS_KEY_ID"), variable("SECRET_ACCESS_KEY")));
    let client = shelf::client(&variable("ENDPOINT"), &keys[0]);
    let bucket = variable("BUCKET");
    let listed = client.list_objects_v2().bucket(&bucket).send().await.expect("a listing");
    let key =
        listed.contents().iter().filter_map(|object| object.key()).find(|key| key.contains("Convention"));
    let key = key.expect("a document").to_owned();
    client.delete_object().bucket(&bucket).key(&key).send().await.expect("deleted");
    key
}

/// What was taken after the proof would else count as good as the best.
async fn a_later_run_is_held_against_it_too_and_every_key_is_listed(stage: &Stage, lost: &str) {
    stage.daemon.run(&["archive", "--dev", "run", "apilos"]).await;
    let later = "SELECT run FROM archives ORDER BY run DESC LIMIT 1";
    let later = stage.daemon.records().column(later).await.swap_remove(0);
    let (_, told) = stage.daemon.ask(&["prove", "--dev", "apilos", "-o", "json"]).await;
    let summary: Value = serde_json::from_str(&told).expect("JSON");
    let taken = summary["taken"].as_array().into_iter().flatten().find(|one| one["why"] == "archived");
    let taken = taken.unwrap_or_else(|| panic!("{summary}"));
    let backup = taken["backup"].as_str().expect("its id");
    let compared =
        format!("SELECT dangling::text FROM object_truths WHERE run = '{later}' AND backup = '{backup}'");
    assert_eq!(stage.daemon.records().column(&compared).await, ["1"], "{summary}");
    let (_, told) = stage.daemon.ask(&["prove", "--dev", "apilos", "-o", "json"]).await;
    assert!(!told.contains("archived"), "once will do: {told}");

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys").display().to_string();
    let backup = taken["name"].as_str().expect("a name");
    stage.daemon.run(&["prove", "--dev", "apilos", "--backup", backup, "--keys", &file]).await;
    let listed = std::fs::read_to_string(&file).expect("a list");
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of_run: Vec<&Value> = listed.iter().filter(|line| line["run"] == later.as_str()).collect();
    let dangling: Vec<&Value> =
        of_run.iter().map(|line| &line["dangling"]).filter(|key| !key.is_null()).collect();
    assert_eq!((dangling, of_run.len()), (vec![&Value::from(lost)], 3), "{listed:?}");
    let (well, told) = stage.daemon.ask(&["prove", "--dev", "apilos", "--keys", &file]).await;
    assert!(!well && told.contains("cannot write"), "what is there is kept: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_is_taken_that_leaves_no_row_without_its_object() {
    play(71, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example().and("objectKeys", ASKS)).await;
        stage.daemon.run(&["archive", "--dev", "init", "apilos"]).await;
        stage.daemon.run(&["archive", "--dev", "run", "apilos"]).await;
        stage.world.owns("foreign_write: DeleteObject wrote to the bucket `apilos-production`");
        let lost = lose_a_document(stage).await;
        stage.daemon.run(&["archive", "--dev", "run", "apilos"]).await;

        let (_, told) = stage.daemon.ask(&["prove", "--dev", "apilos"]).await;
        assert!(told.contains(": 1 of ") && told.contains("rows name an object that is missing"), "{told}");
        let truths = "SELECT run || ' ' || dangling || ' ' || orphans || ' ' || (samples ->> 'dangling') FROM object_truths
                      WHERE backup = (SELECT backup FROM backup_verdicts WHERE sound ORDER BY taken_at DESC LIMIT 1) ORDER BY run";
        let known = stage.daemon.records().column(truths).await;
        let [first, second] = known.as_slice() else { panic!("{known:?}") };
        assert!(first.contains(" 0 2 []"), "{first}");
        assert!(second.contains(" 1 2 [") && second.contains(&lost), "{second} lacks {lost}");

        a_later_run_is_held_against_it_too_and_every_key_is_listed(stage, &lost).await;

        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        let records = stage.daemon.records();
        records.succeeded(&request).await;
        let chosen = records.step(&request, "choose-objects").await.expect("it was chosen").output;
        assert_eq!(chosen["run"].as_str(), first.split(' ').next(), "{chosen}");
        assert_eq!(chosen["refused"][0]["reason"], "dangling-rows", "{chosen}");
        let checked = records.step(&request, "check-database").await.expect("it was checked").output;
        let references = checked["references"].as_str().unwrap_or_default();
        assert!(references.starts_with("0 of "), "{checked}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_archived_the_damage_is_passed_over_for_the_one_before_it() {
    play(72, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let good = stage.daemon.run(&["archive", "--dev", "init", "apilos"]).await;
        let run = async |stage: &Stage| stage.daemon.run(&["archive", "--dev", "run", "apilos"]).await;
        assert!(!run(stage).await.contains("SUSPICIOUS"), "{good}");
        stage.world.owns("foreign_write: DeleteObject wrote to the bucket `apilos-production`");
        lose_half_of_the_documents(stage).await;
        let damaged = run(stage).await;
        assert!(damaged.contains("SUSPICIOUS") && damaged.contains("were deleted"), "{damaged}");
        let rows = stage.daemon.records().column("SELECT run FROM archives ORDER BY run").await;
        let [before, after] = rows.as_slice() else { panic!("{rows:?}") };
        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        let records = stage.daemon.records();
        let chosen = records.step_is(&request, "choose-objects", |step| step.phase == "Done").await.output;
        assert_eq!(
            (&chosen["from"], &chosen["run"]),
            (&"archive".into(), &before.as_str().into()),
            "{chosen}"
        );
        let refused = &chosen["refused"][0];
        assert_eq!(refused["reason"], "suspicious", "{chosen}");
        assert!(refused["backup"].as_str().is_some_and(|backup| backup.contains(after)), "{chosen}");
    })
    .await;
}

/// More than the plan finds normal.
async fn lose_half_of_the_documents(stage: &Stage) {
    let client = stage.world.production();
    let bucket = stage.world.variable("S3_SOURCE_BUCKET");
    let listed = client.list_objects_v2().bucket(bucket).send().await.expect("a listing");
    for object in listed.contents().iter().step_by(2) {
        let key = object.key().expect("a key");
        client.delete_object().bucket(bucket).key(key).send().await.expect("deleted");
    }
}
