//! Alerts, autoscalers, notifiers, log drains and repository links are kept as they were set.

use serde_json::{Value, json};

use super::site;

const APP: &str = "/v1/apps/demarches-test";

#[tokio::test]
async fn each_list_is_created_changed_and_deleted_in_both_shapes() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let platforms = site.get("/v1/notification_platforms/search?name=webhook").await.1;
    let platform = platforms["notification_platforms"][0]["id"].clone();
    let cases = [
        (
            "alerts",
            "alert",
            json!({"container_type": "web", "metric": "cpu", "limit": 0.8}),
            json!({"disabled": true}),
        ),
        (
            "autoscalers",
            "autoscaler",
            json!({"container_type": "web", "metric": "cpu", "target": 0.5, "min_containers": 2, "max_containers": 4}),
            json!({"max_containers": 6}),
        ),
        (
            "notifiers",
            "notifier",
            json!({"name": "astreinte", "platform_id": platform, "type_data": {"webhook_url": "https://hook.test"}}),
            json!({"active": false}),
        ),
    ];
    for (list, item, body, change) in cases {
        let path = format!("{APP}/{list}");
        let before = site.get(&path).await;
        assert_eq!((before.0, before.1[list].is_array()), (200, true));
        assert_eq!(site.post(&path, json!({item: {}})).await.0, 422, "an empty {item} was taken");
        let (status, made) = site.post(&path, json!({item: body})).await;
        assert_eq!(status, 201, "{made}");
        let one = format!("{path}/{}", made[item]["id"].as_str().unwrap());
        // The vendor's Go client sends the change bare, the JavaScript one wrapped.
        assert_eq!(site.call("PATCH", &one, change.clone()).await.0, 200);
        let (status, changed) = site.call("PATCH", &one, json!({item: change})).await;
        let (name, value) = change.as_object().unwrap().iter().next().unwrap();
        assert_eq!((status, &changed[item][name]), (200, value));
        assert_eq!(site.get(&one).await.1, changed);
        assert_eq!(site.call("DELETE", &one, Value::Null).await.0, 204);
        assert_eq!(site.get(&one).await, (404, json!({"resource": item, "error": "not found"})));
        assert_eq!(site.get(&path).await, before);
    }
}

#[tokio::test]
async fn a_duration_that_the_go_client_sends_in_nanoseconds_is_read_as_a_text() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let alert = json!({"alert": {"container_type": "web", "metric": "cpu", "limit": 0.8}});
    let made = site.post(&format!("{APP}/alerts"), alert).await.1;
    let one = format!("{APP}/alerts/{}", made["alert"]["id"].as_str().unwrap());
    for (sent, read) in
        [(300_000_000_000_u64, "5m0s"), (3_661_000_000_000, "1h1m1s"), (45_000_000_000, "45s"), (0, "")]
    {
        let change = json!({"remind_every": sent, "duration_before_trigger": 60_000_000_000_u64});
        let changed = site.call("PATCH", &one, change).await.1;
        assert_eq!(changed["alert"]["remind_every"], read);
        assert_eq!(changed["alert"]["duration_before_trigger"], 60_000_000_000_u64);
    }
}

#[tokio::test]
async fn a_drain_of_each_kind_has_the_address_of_its_service_and_an_addon_has_its_own() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    // The vendor's Go client sends every field.
    let drain = |kind: &str, url: &str, host: &str, port: &str, token: &str| json!({"drain": {"type": kind, "url": url, "host": host, "port": port, "token": token, "drain_region": ""}});
    let cases = [
        (drain("datadog", "", "", "", "t1"), "datadog://t1?region=eu"),
        (drain("datadog", "", "", "", "t2"), "datadog://t2?region=eu"),
        (drain("ovh-graylog", "", "gra1.logs.ovh.test", "", "t"), "ovh://:t@gra1.logs.ovh.test:6514"),
        (drain("logentries", "", "", "", "t"), "https://webhook.logentries.com/noformat/logs/t"),
        (drain("papertrail", "", "logs.test", "1234", ""), "tcp+tls://logs.test:1234"),
        (drain("syslog", "", "logs.test", "6514", "t"), "syslog://:t@logs.test:6514"),
        (drain("elk", "https://u:p@elk.test/x", "", "", ""), "https://u:p@elk.test/x"),
        (drain("appsignal", "", "", "", "t"), "appsignal://t"),
        (drain("logtail", "", "", "", "t"), "logtail://t"),
        (drain("betterstack", "", "b.logs.test", "", "t"), "betterstack://:t@b.logs.test"),
    ];
    for (sent, url) in cases {
        let (status, made) = site.post(&format!("{APP}/log_drains"), sent.clone()).await;
        assert_eq!((status, made["drain"]["url"].as_str()), (201, Some(url)), "{sent}: {made}");
    }
    for wrong in [
        drain("carrier-pigeon", "", "h", "1", ""),
        drain("syslog", "", "h", "", ""),
        drain("datadog", "", "", "", ""),
        drain("betterstack", "", "", "", "t"),
        drain("betterstack", "", "b.logs.test", "", ""),
    ] {
        assert_eq!(site.post(&format!("{APP}/log_drains"), wrong).await.0, 422);
    }
    let (id, _) = site.seeded_addon("demarches-test", "postgresql", "postgresql-starter-512").await;
    let path = format!("{APP}/addons/{id}/log_drains");
    assert_eq!(site.get(&path).await, (200, json!({"drains": []})));
    assert_eq!(site.post(&path, drain("datadog", "", "", "", "t1")).await.0, 201);
    assert_eq!(site.get(&path).await.1["drains"][0]["url"], "datadog://t1?region=eu");
    let gone = format!("{path}?url=datadog%3A%2F%2Ft1%3Fregion%3Deu");
    assert_eq!(site.call("DELETE", &gone, Value::Null).await.0, 204);
    assert_eq!(site.get(&path).await.1, json!({"drains": []}));
    assert_eq!(site.get(&format!("{APP}/log_drains")).await.1["drains"].as_array().unwrap().len(), 10);
    assert_eq!(site.get(&format!("{APP}/addons/unknown/log_drains")).await.0, 404);
}

#[tokio::test]
async fn a_log_drain_is_named_by_its_address() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let path = format!("{APP}/log_drains");
    let drain = json!({"drain": {"type": "syslog", "host": "logs.exemple.test", "port": "6514"}});
    let (status, made) = site.post(&path, drain.clone()).await;
    assert_eq!((status, made["drain"]["url"].as_str()), (201, Some("tcp+tls://logs.exemple.test:6514")));
    assert_eq!(site.post(&path, drain).await.0, 422);
    assert_eq!(site.get(&path).await.1["drains"][0]["url"], made["drain"]["url"]);
    let gone = format!("{path}?url=tcp%2Btls%3A%2F%2Flogs.exemple.test%3A6514");
    assert_eq!(site.call("DELETE", &gone, Value::Null).await.0, 204);
    assert_eq!(site.call("DELETE", &gone, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_repository_link_lives_and_dies() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let path = format!("{APP}/scm_repo_link");
    assert_eq!(site.get(&path).await, (404, json!({"resource": "scm_repo_link", "error": "not found"})));
    let body = json!({"scm_repo_link": {"source": "https://github.com/agence/site", "branch": "main", "auto_deploy_enabled": true}});
    let (status, made) = site.post(&path, body).await;
    assert_eq!((status, made["scm_repo_link"]["repo"].as_str()), (201, Some("site")));
    // The vendor's Terraform provider puts owner and name behind the address, and compares that with its source.
    assert_eq!(made["scm_repo_link"]["url"], "https://github.com");
    let change = json!({"scm_repo_link": {"branch": "release"}});
    assert_eq!(site.call("PATCH", &path, change).await.1["scm_repo_link"]["branch"], "release");
    assert_eq!(site.post(&format!("{path}/manual_deploy"), json!({"branch": "main"})).await.0, 400);
    let all = site.get("/v1/scm_repo_links").await.1;
    assert_eq!(
        (&all["scm_repo_links"][0]["repo"], &all["meta"]["pagination"]["total_count"]),
        (&json!("site"), &json!(1))
    );
    let unknown = json!({"resource": "pull_request", "error": "not found"});
    assert_eq!(site.get(&format!("{path}/pulls/7")).await, (404, unknown));
    assert_eq!(site.call("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(site.get(&path).await.0, 404);
}

#[tokio::test]
async fn lists_that_are_empty_in_this_world_have_the_vendors_shape() {
    let site = site().await;
    site.idle_app().await;
    assert_eq!(
        site.get(&format!("{APP}/logs_archives")).await.1,
        json!({"archives": [], "next_cursor": "", "has_more": false})
    );
    assert_eq!(site.get(&format!("{APP}/stats")).await.1, json!({"stats": []}));
    let tasks = site.get(&format!("{APP}/cron_tasks")).await.1;
    let deployment = site.paas.state().app("demarches-test").unwrap().last_deployment.clone();
    assert_eq!(tasks, json!({"jobs": [], "deployment_id": deployment}));
    let private = site.get(&format!("{APP}/private_network_domain_names")).await.1["domain_names"].clone();
    assert_eq!((&private["data"], &private["meta"]["total_count"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn event_types_are_those_that_notifiers_select_each_in_its_category() {
    let site = site().await;
    let types = site.get("/v1/event_types").await.1;
    let categories = site.get("/v1/event_categories").await.1;
    let category_of = |name: &str| {
        let all = types["event_types"].as_array().unwrap();
        let one = all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        let all = categories["event_categories"].as_array().unwrap();
        all.iter().find(|category| category["id"] == one["category_id"]).unwrap()["name"].clone()
    };
    for (name, category) in [
        ("app_deployed", "app_operations"),
        ("app_crashed_repeated", "app_operations"),
        ("addon_updated", "addons"),
        ("collaborator_accepted", "collaborators"),
        ("domain_removed", "domains"),
        ("notifier_edited", "notifiers"),
        ("variable_bulk_edited", "variables"),
        ("github_unlink", "github"),
        ("alert_added", "app_operations"),
        ("database_maintenance_planned", "addons"),
        ("collaborator_role_changed", "collaborators"),
        ("project_edited", "projects"),
    ] {
        assert_eq!(category_of(name), category, "{name}");
    }
    assert!(!types.to_string().contains("new_app"), "a word of the timeline is among the types");
    let positions = categories["event_categories"].as_array().unwrap().iter().map(|one| &one["position"]);
    assert!(positions.eq(&[1, 2, 3, 4, 5, 6, 7, 8]), "{categories}");
}

#[tokio::test]
async fn an_alerts_notifiers_are_emptied_by_null() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let alert =
        json!({"alert": {"container_type": "web", "metric": "cpu", "limit": 0.8, "notifiers": ["n1"]}});
    let made = site.post(&format!("{APP}/alerts"), alert).await.1;
    assert_eq!(made["alert"]["notifiers"], json!(["n1"]));
    let one = format!("{APP}/alerts/{}", made["alert"]["id"].as_str().unwrap());
    // As the vendor's Go client writes an empty list; what it leaves out of the rest is null, too.
    let change = json!({"alert": {"notifiers": null, "limit": 0.9, "metric": null}});
    let changed = site.call("PATCH", &one, change).await.1;
    assert_eq!((&changed["alert"]["notifiers"], &changed["alert"]["metric"]), (&json!([]), &json!("cpu")));
}

#[tokio::test]
async fn a_notifier_keeps_what_the_go_client_cannot_leave_out_of_a_change() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let platform = async |name: &str| {
        let found = site.get(&format!("/v1/notification_platforms/search?name={name}")).await.1;
        found["notification_platforms"][0]["id"].clone()
    };
    let webhook = json!({"name": "astreinte", "platform_id": platform("webhook").await, "type_data": {"webhook_url": "https://hook.test"}});
    let made = site.post(&format!("{APP}/notifiers"), json!({"notifier": webhook})).await.1;
    assert_eq!(made["notifier"]["app"], "demarches-test");
    let one = format!("{APP}/notifiers/{}", made["notifier"]["id"].as_str().unwrap());
    let change = json!({"notifier": {
        "id": "", "app_id": "", "name": "nuit", "type": "", "platform_id": "", "type_data": {},
        "created_at": "0001-01-01T00:00:00Z", "updated_at": "0001-01-01T00:00:00Z",
    }});
    let changed = site.call("PATCH", &one, change).await.1;
    assert_eq!(changed["notifier"]["name"], "nuit");
    for field in ["id", "app_id", "type", "platform_id", "type_data", "created_at"] {
        assert_eq!(changed["notifier"][field], made["notifier"][field], "{field}");
    }
    let email = json!({"notifier": {"name": "courriel", "platform_id": platform("email").await}});
    let made = site.post(&format!("{APP}/notifiers"), email).await.1;
    assert_eq!(made["notifier"]["type_data"], json!({"user_ids": [], "emails": []}));
    assert!(!platform("rocket_chat").await.is_null());
}
