//! A first plan, drawn up from the live estate, filled in, and good enough to bring that estate back.

use std::path::Path;

use reprise_e2e::plan::{NAME, far};
use reprise_e2e::stage::{Stage, play};
use reprise_sandbox::control::Disaster;
use serde_json::Value;

use crate::proof::grade;

const APP: &str = "apilos-siap";
/// What nobody could know from the platform.
const BLANKS: [&str; 3] =
    ["spec.apps[0].code.repository", "spec.apps[1].code.repository", "spec.archive.recipients[0]"];

/// A document that holds a value is no document to hand around.
async fn tells_no_value(stage: &Stage, document: &str) {
    for app in [APP, "apilos-standalone"] {
        for (name, value) in stage.world.variables_of(app).await {
            // Shorter ones are words of everybody.
            assert!(value.len() < 12 || !document.contains(&value), "{name} of {app} is told");
        }
    }
}

async fn says_what_it_needs(stage: &Stage) {
    let said = stage.daemon.say(&["init", "--dev"]).await;
    assert!(said.code == 2 && said.err.contains("--from-app <APP>"), "{} {}", said.code, said.err);
    let said = stage.daemon.say(&["init", "--dev", "--from-app", "aplios"]).await;
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("no app called aplios") && said.err.contains(APP), "{}", said.err);
}

async fn drawn_up(stage: &Stage, file: &Path) -> String {
    let words = ["init", "--dev", "--from-app", APP, "--out", file.to_str().expect("a path")];
    let told = stage.daemon.run(&words).await;
    assert!(BLANKS.iter().all(|path| told.contains(path)), "{told}");
    let text = std::fs::read_to_string(file).expect("the plan");
    tells_no_value(stage, &format!("{told}{text}")).await;

    let again = stage.daemon.say(&words).await;
    assert!(again.code == 1 && again.err.contains("kept as it is"), "{} {}", again.code, again.err);
    assert_eq!(std::fs::read_to_string(file).expect("the plan"), text, "what is there is never written over");

    let document = stage.daemon.run(&["init", "--dev", "--from-app", APP, "-o", "json"]).await;
    tells_no_value(stage, &document).await;
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let apps = document["spec"]["apps"].as_array().expect("apps").iter();
    let replaces: Vec<_> = apps.filter_map(|app| app["replaces"].as_str()).collect();
    assert_eq!(
        (&document["metadata"]["name"], replaces),
        (&Value::from(NAME), vec![APP, "apilos-standalone"]),
        "{document}"
    );
    text
}

async fn refused(stage: &Stage, file: &Path) {
    let said = stage.daemon.say(&["-o", "json", "apply", "-f", file.to_str().expect("a path")]).await;
    let told: Value = serde_json::from_str(&said.err).expect("JSON");
    let problems = told["problems"].as_array().expect("problems").iter();
    let paths: Vec<_> = problems.filter_map(|problem| problem["path"].as_str()).collect();
    assert_eq!((said.code, paths), (2, BLANKS.to_vec()), "{}", said.err);
}

/// As a person would edit it; that nothing comes due while the scene plays is the scene's own wish.
fn filled_in(text: &str, recipient: &str) -> String {
    let mut filled = text.to_owned();
    for (old, new) in [
        ("repository:  # FILL IN", "repository: env:CODE_URL  #"),
        ("-  # FILL IN", &format!("- {recipient}  #")),
        ("env:S3_ARCHIVE_BUCKET", "apilos-archive"),
        ("cron: \"27 1 * * 1\"", &format!("cron: \"{}\"", far())),
        ("enabled: true", "enabled: false"),
        ("  objectives:\n", "  proof: { enabled: false }\n  objectives:\n"),
    ] {
        assert!(filled.contains(old), "no {old} in {text}");
        filled = filled.replace(old, new);
    }
    filled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_was_drawn_up_from_the_live_estate_brings_it_back() {
    play(83, async |stage: &mut Stage| {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, key) = (folder.path().join("plan.yaml"), folder.path().join("key"));
        says_what_it_needs(stage).await;
        let text = drawn_up(stage, &file).await;

        let region = stage.world.variable("AWS_REGION").to_owned();
        stage.daemon.set("S3_SOURCE_REGION", &region);
        stage.daemon.set("S3_ARCHIVE_REGION", &region);
        stage.daemon.start().await;
        refused(stage, &file).await;
        let recipient =
            stage.daemon.run(&["archive", "keygen", "--out", key.to_str().expect("a path")]).await;
        stage.daemon.tell(&["apply", "-f", "-"], &filled_in(&text, recipient.trim())).await;
        let steps = stage.daemon.run(&["plan", NAME]).await;
        for step in ["restore", "redis/apilos-standalone-pra", "read-only-user", "cname/siap.apilos.test"] {
            assert!(steps.contains(step), "{step}: {steps}");
        }
        stage.daemon.run(&["archive", "--dev", "init", NAME]).await;
        stage.daemon.run(&["archive", "--dev", "run", NAME]).await;
        let (_, told) = stage.daemon.ask(&["doctor", NAME, "--dev", "-o", "json"]).await;
        assert_eq!(grade(&told, "variables"), "good", "{told}");

        let before = stage.world.variables_of(APP).await;
        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        stage.daemon.records().succeeded(&request).await;
        let now = stage.world.variables_of("apilos-siap-pra").await;
        for kept in ["CERBERE_AUTH", "ENVIRONMENT", "LOGLEVEL"] {
            assert_eq!(now.get(kept), before.get(kept), "{kept}");
        }
        assert_ne!(now["SECRET_KEY"], before["SECRET_KEY"]);
        assert_eq!(stage.world.visit("siap.apilos.test", "/").await.status.as_u16(), 200);
    })
    .await;
}
