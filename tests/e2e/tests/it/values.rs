//! Values that nobody wrote down: kept as they were, made anew, asked of a person; and what is not brought back is told.

use reprise_e2e::plan::{APPS, NAME, Plan};
use reprise_e2e::stage::{Stage, play};
use reprise_sandbox::control::Disaster;
use reqwest::Method;
use serde_json::json;

use crate::proof::grade;

/// What a person gives, and nobody may ever read anywhere.
const GIVEN: &str = "given-by-a-person-4711";

fn plan() -> Plan {
    Plan::example()
        .with("{ from: \"env:APILOS_SECRET_KEY\", drill: keep }", "{ policy: regenerate }")
        .with("JWT_SIGN_KEY: { from: \"env:APILOS_JWT_SIGN_KEY\" }", "JWT_SIGN_KEY: { policy: keep }")
        .with(
            "SIAP_CLIENT_JWT_SIGN_KEY: { from: \"env:APILOS_SIAP_JWT_SIGN_KEY\" }",
            "SIAP_CLIENT_JWT_SIGN_KEY: { policy: ask }",
        )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_kept_made_anew_or_asked_for_and_what_is_not_brought_back_is_told() {
    play(71, async |stage: &mut Stage| {
        let old = "apps/apilos-siap";
        let body = json!({ "variables": [
            { "name": "JWT_SIGN_KEY", "value": "as it was" }, { "name": "FORGOTTEN", "value": "by-the-plan" },
        ] });
        stage.world.platform(Method::PUT, &format!("{old}/variables"), Some(body)).await;
        let body = json!({ "variables": [{ "name": "JWT_SIGN_KEY", "value": "of the second" }] });
        stage.world.platform(Method::PUT, "apps/apilos-standalone/variables", Some(body)).await;
        let drain = json!({ "drain": { "type": "syslog", "host": "logs.example.test", "port": 514, "token": "t0ken" } });
        stage.world.platform(Method::POST, &format!("{old}/log_drains"), Some(drain)).await;
        let before = stage.world.variables_of("apilos-siap").await;

        let request = stage.bad_day(&plan()).await;
        let step = format!("variables/{}", APPS[0]);
        let waits = stage.daemon.records().step_is(&request, &step, |seen| {
            seen.message.contains("reprise answer")
        });
        let waits = waits.await.message;
        assert!(waits.contains("`reprise answer the-bad-day SIAP_CLIENT_JWT_SIGN_KEY`"), "{waits}");
        // The wait outlives the daemon, and so does the secret that was made.
        let made = stage.world.variables_of(APPS[0]).await["SECRET_KEY"].clone();
        stage.daemon.kill().await;
        stage.daemon.start().await;
        let said = stage.daemon.say(&["answer", "--dev", "the-bad-day", "DEBUG"]).await;
        assert_eq!(said.code, 2, "{}{}", said.out, said.err);
        let answer = ["answer", "--dev", "the-bad-day", "SIAP_CLIENT_JWT_SIGN_KEY"];
        let said = stage.daemon.tell(&answer, &format!("{GIVEN}\n")).await;
        assert!(said.contains(APPS[0]) && !said.contains(GIVEN), "{said}");
        let records = stage.daemon.records();
        records.succeeded(&request).await;

        let now = [stage.world.variables_of(APPS[0]).await, stage.world.variables_of(APPS[1]).await];
        for variables in &now {
            assert_eq!((&variables["SECRET_KEY"], &*variables["SIAP_CLIENT_JWT_SIGN_KEY"]), (&made, GIVEN));
        }
        assert!(made.len() >= 50 && before.get("SECRET_KEY") != Some(&made), "{made}");
        assert_eq!((&*now[0]["JWT_SIGN_KEY"], &*now[1]["JWT_SIGN_KEY"]), ("as it was", "of the second"));

        let evidence = stage.daemon.run(&["evidence", "the-bad-day"]).await;
        for told in ["variable FORGOTTEN", "log drain to logs.example.test", "as app apilos-siap shows"] {
            assert!(evidence.contains(&told.replace('_', "\\_")), "{told}: {evidence}");
        }
        let kept = records.column("SELECT coalesce(output::text, '') || coalesce(message, '') FROM recovery_steps").await;
        for secret in [GIVEN, "as it was", "by-the-plan", "t0ken", &*made] {
            assert!(!evidence.contains(secret) && !stage.daemon.printed().contains(secret), "{secret} is told");
            assert!(!kept.iter().any(|text| text.contains(secret)), "{secret} is recorded");
        }

        // The next recovery would keep it too: a value that nobody has any more is found before.
        let doctor = ["doctor", NAME, "--dev", "-o", "json"];
        let (_, told) = stage.daemon.ask(&doctor).await;
        assert_eq!(grade(&told, "variables"), "good", "{told}");
        let listed = stage.world.platform(Method::GET, &format!("{old}/variables"), None).await;
        let known = listed["variables"].as_array().expect("a list").iter();
        let id = known.filter(|one| one["name"] == "JWT_SIGN_KEY").find_map(|one| one["id"].as_str()).expect("it is there");
        stage.world.platform(Method::DELETE, &format!("{old}/variables/{id}"), None).await;
        let (well, told) = stage.daemon.ask(&doctor).await;
        assert_eq!((well, grade(&told, "variables").as_str()), (false, "bad"), "{told}");
        assert!(told.contains("JWT_SIGN_KEY of") && told.contains("app apilos-siap has no value"), "{told}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_the_platform_takes_for_a_name_is_never_called_set() {
    play(74, async |stage: &mut Stage| {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("key");
        std::fs::write(&secret, "$SECRET_KEY\n").expect("written");
        let from = format!("JWT_SIGN_KEY: {{ from: \"file:{}\" }}", secret.display());
        let plan = Plan::example().with("JWT_SIGN_KEY: { from: \"env:APILOS_JWT_SIGN_KEY\" }", &from);
        stage.daemon.start().await;
        stage.daemon.apply(&plan).await;
        let (_, told) = stage.daemon.ask(&["doctor", NAME, "--dev", "-o", "json"]).await;
        assert_eq!(grade(&told, "variables"), "bad", "{told}");
        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        let why = stage.daemon.records().failed(&request).await;
        assert!(why.contains("JWT_SIGN_KEY of ") && why.contains("the name of another variable"), "{why}");
        assert!(!why.contains("$SECRET_KEY"), "{why}");
    })
    .await;
}
