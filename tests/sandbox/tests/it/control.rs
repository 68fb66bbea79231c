//! Rules of the world that are set while it is up, over the control API of the running process.

use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::life::{World, up};

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// What the control API answers to `body`.
async fn told(world: &World, path: &str, body: Value) -> (u16, Value) {
    let answer =
        client().post(format!("{}/{path}", world.of("CONTROL_URL"))).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn exchanged(world: &World) -> Response {
    let url = format!("{}/v1/tokens/exchange", world.of("SCALINGO_AUTH_URL"));
    let token = world.of("SCALINGO_API_TOKEN");
    client().post(url).basic_auth("", Some(token)).body("{}").send().await.unwrap()
}

#[tokio::test]
async fn the_platforms_rate_is_set_beside_those_of_the_stores() {
    let world = up();
    assert_eq!(world.control("rates").await["platform"], json!({"requests": 60}));
    let (status, rates) = told(&world, "rates", json!({"platform": {"requests": 1}})).await;
    assert_eq!(
        (status, &rates["platform"], &rates["source"]["reads"]),
        (200, &json!({"requests": 1}), &json!(20000.0))
    );
    // A minute of the world is a second here; thirty in a row do not take a second each.
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(exchanged(&world).await.status().as_u16());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let (status, rates) = told(&world, "rates", json!({"platform": {}})).await;
    assert_eq!((status, &rates["platform"]), (200, &json!({"requests": null})));
    for _ in 0..100 {
        assert_eq!(exchanged(&world).await.status(), 200);
    }
    for wrong in [json!({"platform": {"requests": 0}}), json!({"platform": 60}), json!({"platforms": {}})] {
        assert_eq!(told(&world, "rates", wrong.clone()).await.0, 400, "{wrong}");
    }
    assert_eq!(world.control("rates").await["platform"], json!({"requests": null}), "a wrong one changed it");
}

#[tokio::test]
async fn a_caa_record_stands_in_the_platforms_zone_until_it_is_taken_away() {
    let world = up();
    let name = "apilos-siap.osc-fr1.scalingo.test";
    let value = "0 issue \"sectigo.com\"";
    let (status, all) = told(&world, "caa", json!({"name": name, "values": [value]})).await;
    assert_eq!((status, &all), (200, &json!([{"name": format!("{name}."), "value": value}])));
    for wrong in
        [json!({"name": "siap.apilos.test", "values": []}), json!({"name": name, "values": ["nonsense"]})]
    {
        let (status, said) = told(&world, "caa", wrong.clone()).await;
        assert!(status == 400 && said["error"].is_string(), "{wrong}: {status} {said}");
    }
    assert_eq!(world.control("caa").await, all, "a wrong one changed it");
    assert_eq!(told(&world, "caa", json!({"name": name, "values": []})).await, (200, json!([])));
}

#[tokio::test]
async fn the_code_host_hides_a_private_repository_from_who_has_no_right_to_it() {
    let world = up();
    assert_eq!(world.control("github").await, json!({"private": false}));
    let url = format!("{}/repos/{}/actions/runs", world.of("GITHUB_API_URL"), world.of("GITHUB_REPOSITORY"));
    let ask = async |token: &str| {
        let request = client().get(&url).bearer_auth(world.of(token)).header("user-agent", "test");
        request.send().await.unwrap().status().as_u16()
    };
    let tokens = ["GITHUB_TOKEN", "GITHUB_READ_TOKEN", "GITHUB_STRANGER_TOKEN"];
    for (private, last) in [(true, 404), (false, 200)] {
        assert_eq!(told(&world, "github", json!({"private": private})).await.0, 200);
        assert_eq!([ask(tokens[0]).await, ask(tokens[1]).await, ask(tokens[2]).await], [200, 200, last]);
    }
    assert_eq!(told(&world, "github", json!({"public": true})).await.0, 400);
}

#[tokio::test]
async fn no_secret_of_the_env_file_may_be_in_the_journal() {
    let world = up();
    let bearer: Value = exchanged(&world).await.json().await.unwrap();
    let url = format!("{}/v1/apps/apilos-siap/variables", world.of("SCALINGO_API_URL"));
    let put = async |agent: &str| {
        let body = json!({"variable": {"name": "COLOUR", "value": "blue"}});
        let request = client().post(&url).bearer_auth(bearer["token"].as_str().unwrap());
        let answer = request.header("user-agent", agent).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    };
    let count = async || {
        let findings = world.control("findings").await["findings"].clone();
        findings.as_array().unwrap().iter().filter(|one| one["kind"] == "secret_in_journal").count()
    };
    put("a client").await;
    assert_eq!(count().await, 0);
    let pairs = ["SOURCE", "SOURCE_READ", "SOURCE_APPEND", "ARCHIVE", "ARCHIVE_READ", "ARCHIVE_APPEND"]
        .map(|pair| format!("S3_{pair}_SECRET_ACCESS_KEY"));
    let tokens = [
        "SCALINGO_API_TOKEN",
        "SCALINGO_COLLABORATOR_API_TOKEN",
        "GITHUB_TOKEN",
        "GITHUB_READ_TOKEN",
        "GITHUB_STRANGER_TOKEN",
        "ALWAYSDATA_API_KEY",
    ];
    for (before, name) in tokens.map(str::to_owned).into_iter().chain(pairs).enumerate() {
        put(&format!("a client with {}", world.of(&name))).await;
        assert_eq!(count().await, before + 1, "{name}");
    }
}

#[tokio::test]
async fn backups_outlive_their_app_and_only_the_support_has_them() {
    let world = up();
    assert_eq!(world.control("support/backups").await, json!([]));
    let before = world.control("inventory").await["backups"].clone();
    let bearer: Value = exchanged(&world).await.json().await.unwrap();
    let app = format!("{}/v1/apps/apilos-siap", world.of("SCALINGO_API_URL"));
    let ask = |request: reqwest::RequestBuilder| {
        request.bearer_auth(bearer["token"].as_str().unwrap_or_default()).send()
    };
    let addons: Value = ask(client().get(format!("{app}/addons"))).await.unwrap().json().await.unwrap();
    let addon = addons["addons"][0]["id"].clone();
    let gone = ask(client().delete(format!("{app}?current_name=apilos-siap"))).await.unwrap();
    assert_eq!(gone.status(), 204, "{before}");

    let kept = world.control("support/backups").await;
    let kept = kept.as_array().unwrap();
    assert!(!kept.is_empty() && kept.iter().all(|one| one["app"] == "apilos-siap" && one["addon"] == addon));
    let url = format!("{}/support/backups", world.of("CONTROL_URL"));
    let newest = kept.last().unwrap();
    let fetch = async |id: &str| client().get(format!("{url}/{id}")).send().await.unwrap();
    let archive = fetch(newest["id"].as_str().unwrap()).await;
    assert_eq!(archive.status(), 200);
    let bytes = archive.bytes().await.unwrap();
    assert_eq!((bytes.len() as u64, &bytes[..2]), (newest["size"].as_u64().unwrap(), &[0x1f, 0x8b][..]));
    assert_eq!(fetch("unknown").await.status(), 404);
    assert_eq!(told(&world, "disaster", json!({"kind": "account"})).await.0, 204);
    assert_eq!(world.control("support/backups").await, json!([]), "the account took them along");
}
