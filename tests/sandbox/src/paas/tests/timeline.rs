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
async fn an_event_keeps_the_name_that_its_app_had() {
    let site = site().await;
    site.post("/v1/apps", json!({"app": {"name": "demarches-test"}})).await;
    let rename = json!({"current_name": "demarches-test", "new_name": "demarches-new"});
    assert_eq!(site.post("/v1/apps/demarches-test/rename", rename).await.0, 200);
    let page = site.get("/v1/apps/demarches-new/events").await.1;
    assert_eq!(kinds(&page), ["rename_app", "new_app"]);
    assert_eq!(page["events"][1]["app_name"], "demarches-test");
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

/// The app's newest event of `kind`.
async fn told(site: &super::Site, kind: &str) -> Value {
    let page = site.get("/v1/apps/demarches-test/events?per_page=100").await.1;
    let found = page["events"].as_array().unwrap().iter().find(|event| event["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {:?}", kinds(&page))).clone()
}

#[tokio::test]
async fn the_switches_drains_and_backups_of_a_database_are_told() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (id, resource) = site.seeded_addon("demarches-test", "redis", "redis-starter-256").await;
    let call = async |method: &str, rest: &str, body: Value| {
        site.database(method, "demarches-test", &id, &format!("/databases/{id}{rest}"), body).await
    };
    // On the database API's own host with a token of the addon, and on the region's with the user's.
    assert_eq!(
        call("POST", "/features", json!({"feature": {"name": "redis-aof", "status": ""}})).await.0,
        200
    );
    let event = told(&site, "database/add_feature").await;
    let data = &event["type_data"];
    assert_eq!((&data["feature"], &data["addon_uuid"]), (&json!("redis-aof"), &json!(id)));
    assert_eq!(
        (&data["addon_provider_id"], &data["addon_provider_name"]),
        (&json!("redis"), &json!("Redis® OSS"))
    );
    assert_eq!(
        (&event["user"]["username"], &event["app_name"]),
        (&json!("agence"), &json!("demarches-test"))
    );
    let off = format!("/v1/databases/{id}/features?feature=redis-rdb");
    assert_eq!(site.call("DELETE", &off, Value::Null).await.0, 200);
    assert_eq!(told(&site, "database/remove_feature").await["type_data"]["feature"], "redis-rdb");

    let drains = format!("/v1/apps/demarches-test/addons/{id}/log_drains");
    let drain = json!({"drain": {"type": "syslog", "host": "logs.test", "port": "1"}});
    assert_eq!(site.post(&drains, drain.clone()).await.0, 201);
    let url = "tcp+tls://logs.test:1";
    let expected = json!({"url": url, "addon_uuid": id, "addon_name": "Redis® OSS"});
    assert_eq!(told(&site, "new_addon_log_drain").await["type_data"], expected);
    assert_eq!(
        site.call("DELETE", &format!("{drains}?url={}", "tcp%2Btls%3A%2F%2Flogs.test%3A1"), Value::Null)
            .await
            .0,
        204
    );
    assert_eq!(told(&site, "delete_addon_log_drain").await["type_data"], expected);
    let own = "/v1/apps/demarches-test/log_drains";
    assert_eq!(site.post(own, drain).await.0, 201);
    assert_eq!(site.call("DELETE", own, json!({"url": url})).await.0, 204);
    assert_eq!(told(&site, "delete_log_drain").await["type_data"], json!({"url": url}));

    assert_eq!(call("POST", "/backups", json!({})).await.0, 201);
    site.advance(5);
    super::until("the backup ends", async || {
        site.paas.state().addon(&id).unwrap().1.database.backups.iter().all(|one| one.status == "done")
    })
    .await;
    let event = told(&site, "database_backup_succeeded").await;
    let data = &event["type_data"];
    assert_eq!((&data["backup_method"], &data["resource_id"]), (&json!("manual"), &json!(resource)));
    assert_eq!((&event["user"]["username"], &data["addon_name"]), (&json!("agence"), &json!("Redis® OSS")));
}

#[tokio::test]
async fn the_night_backs_up_as_the_platform_and_a_backup_that_fails_is_told() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (id, resource) = site.seeded_addon("demarches-test", "postgresql", "postgresql-starter-512").await;
    site.paas.plane.databases.destroy(&resource).await.unwrap();
    site.advance(24 * 3_600);
    let ended = async || {
        let state = site.paas.state();
        let backups = &state.addon(&id).unwrap().1.database.backups;
        !backups.is_empty() && backups.iter().all(|one| one.status == "error")
    };
    super::until("the night's backup ends", async || {
        site.advance(3);
        ended().await
    })
    .await;
    let event = told(&site, "database_backup_failed").await;
    assert_eq!(event["user"]["email"], "deploy@scalingo.com", "how the vendor's client knows the platform");
    let data = &event["type_data"];
    assert_eq!((&data["backup_method"], &data["backup_status"]), (&json!("periodic"), &json!("error")));
}

#[tokio::test]
async fn links_to_code_hosts_and_projects_are_told_by_name() {
    let site = site().await;
    let body = json!({"scm_type": "github-enterprise", "url": "https://ghe.exemple.test", "access_token": "hunter2hunter2"});
    let (_, made) = site.post("auth:/v1/scm_integrations", json!({"scm_integration": body})).await;
    let id = made["scm_integration"]["id"].clone();
    assert_eq!(site.call("DELETE", "auth:/v1/scm_integrations/github-enterprise", Value::Null).await.0, 204);
    let page = site.get("/v1/events").await.1;
    assert_eq!(kinds(&page), ["delete_integration", "new_integration"]);
    for event in page["events"].as_array().unwrap() {
        let data = &event["type_data"];
        assert_eq!((&data["integration_id"], &data["integration_type"]), (&id, &json!("github-enterprise")));
        assert_eq!(data["data"]["url"], "https://ghe.exemple.test");
    }
    assert!(!page.to_string().contains("hunter2"), "the token is told");

    let (_, made) = site.post("/v1/projects", json!({"project": {"name": "commun"}})).await;
    let project = format!("/v1/projects/{}", made["project"]["id"].as_str().unwrap());
    let app = json!({"app": {"name": "demarches-test", "project_id": made["project"]["id"]}});
    assert_eq!(site.post("/v1/apps", app).await.0, 201);
    let (status, page) = site.get(&format!("{project}/events?page=1&per_page=20")).await;
    assert_eq!((status, kinds(&page)), (200, vec!["new_app", "new_project"]));
    assert_eq!(page["events"][1]["project_name"], "commun");
    assert_eq!(page["meta"]["pagination"]["total_count"], 2);
    assert_eq!(site.get("/v1/projects/prj-none/events").await.0, 404);
    site.call("DELETE", "/v1/apps/demarches-test?current_name=demarches-test", Value::Null).await;
    assert_eq!(site.call("DELETE", &project, Value::Null).await.0, 204);
    let newest = site.get("/v1/events?per_page=1").await.1["events"][0].clone();
    assert_eq!((&newest["type"], &newest["project_name"]), (&json!("delete_project"), &json!("commun")));
}

#[tokio::test]
async fn an_own_certificate_that_goes_was_there() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let host = "www.exemple.test".to_owned();
    let pair = rcgen::generate_simple_self_signed([host.clone()]).unwrap();
    let own = json!({"tlscert": pair.cert.pem(), "tlskey": pair.signing_key.serialize_pem()});
    let path = "/v1/apps/demarches-test/domains";
    let made = site.post(path, json!({"domain": {"name": host}})).await.1;
    let one = format!("{path}/{}", made["domain"]["id"].as_str().unwrap());
    let ssl = async |change: Value| {
        let (status, shown) = site.call("PATCH", &one, json!({"domain": change})).await;
        assert_eq!(status, 200, "{shown}");
        let data = told(&site, "edit_domain").await["type_data"].clone();
        (data["old_ssl"].as_bool().unwrap(), data["ssl"].as_bool().unwrap())
    };
    assert_eq!(ssl(own.clone()).await, (false, true), "added");
    assert_eq!(ssl(own).await, (true, true), "changed");
    assert_eq!(ssl(json!({"tlscert": "", "tlskey": ""})).await, (true, false), "removed");
}
