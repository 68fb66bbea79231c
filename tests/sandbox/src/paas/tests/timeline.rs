//! What was done is in the timelines, in the vendor's words.

use serde_json::{Value, json};

use super::site;

fn kinds(page: &Value) -> Vec<&str> {
    page["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn calls_and_deployments_make_events_newest_first_in_pages() {
    let site = site().await;
    site.post("/v1/apps", json!({"app": {"name": "demarches-test"}})).await;
    let variables = json!({"variables": [{"name": "SECRET", "value": "hunter2hunter2"}]});
    site.call("PUT", "/v1/apps/demarches-test/variables", variables).await;
    site.post("/v1/apps/demarches-test/domains", json!({"domain": {"name": "www.exemple.test"}})).await;
    let invited = json!({"collaborator": {"email": "alice@exemple.test", "is_limited": true}});
    site.post("/v1/apps/demarches-test/collaborators", invited).await;
    let id = site.deploy("demarches-test", "http://127.0.0.1:1/never").await;
    site.deployed("demarches-test", &id).await;
    assert_eq!(
        site.post("/v1/apps/demarches-test/scale", json!({"containers": [{"name": "web", "amount": 99}]}))
            .await
            .0,
        422
    );
    let (status, page) = site.get("/v1/apps/demarches-test/events?page=1&per_page=4").await;
    assert_eq!(
        (status, kinds(&page)),
        (200, vec!["deployment", "new_collaborator", "new_domain", "edit_variables"])
    );
    assert_eq!(
        (
            page["meta"]["pagination"]["total_count"].as_u64(),
            page["meta"]["pagination"]["next_page"].as_u64()
        ),
        (Some(5), Some(2))
    );
    let first = &page["events"][0];
    assert_eq!(
        (first["type_data"]["status"].as_str(), first["type_data"]["pusher"].as_str()),
        (Some("build-error"), Some("agence"))
    );
    assert_eq!(
        (first["app_name"].as_str(), first["user"]["username"].as_str()),
        (Some("demarches-test"), Some("agence"))
    );
    assert!(!page.to_string().contains("hunter2"), "a value is in the timeline");
    let last = site.get("/v1/apps/demarches-test/events?page=2&per_page=4").await.1;
    assert_eq!(kinds(&last), ["new_app"]);
    site.call("DELETE", "/v1/apps/demarches-test?current_name=demarches-test", Value::Null).await;
    let mine = site.get("/v1/events").await.1;
    assert_eq!(kinds(&mine)[0], "delete_app");
    let (_, token) = site.paas.seed_user("other", "other@exemple.test");
    let other = site.exchange(&token).await;
    let url = format!("{}/v1/events", site.paas.urls().api);
    let theirs = super::read(site.ask(&other, reqwest::Method::GET, &url, None).await).await.1;
    assert_eq!(theirs["events"], json!([]));
}

#[tokio::test]
async fn a_dry_run_is_no_event() {
    let site = site().await;
    let url = format!("{}/v1/apps", site.paas.urls().api);
    let dry = site.http.post(url).bearer_auth(&site.bearer).header("X-Dry-Run", "true");
    assert_eq!(
        dry.json(&json!({"app": {"name": "demarches-test"}})).send().await.unwrap().status().as_u16(),
        201
    );
    assert_eq!(site.get("/v1/events").await.1["events"], json!([]));
}

#[tokio::test]
async fn a_child_apps_first_event_is_its_own() {
    let site = site().await;
    site.post("/v1/apps", json!({"app": {"name": "demarches-test"}})).await;
    let child = json!({"app": {"name": "demarches-child"}});
    assert_eq!(site.post("/v1/apps/demarches-test/child_apps", child).await.0, 201);
    assert_eq!(kinds(&site.get("/v1/apps/demarches-child/events").await.1), ["new_app"]);
    assert_eq!(kinds(&site.get("/v1/apps/demarches-test/events").await.1), ["new_app"]);
}
