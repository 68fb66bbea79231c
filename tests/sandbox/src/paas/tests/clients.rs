//! What the vendor's own clients ask beside the ordinary, in the ways that they ask it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Site, read, site, tarball};

const APP: &str = "/v1/apps/demarches-test";
const REDIS: &str = "5cc45d330000000000000256";

async fn with_app() -> Site {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    site
}

#[tokio::test]
async fn a_link_to_a_code_host_is_named_by_its_kind_too() {
    let site = site().await;
    let seeded = site.get("auth:/v1/scm_integrations").await.1["scm_integrations"][0].clone();
    let github = "auth:/v1/scm_integrations/github";
    assert_eq!(site.get(github).await, (200, json!({"scm_integration": seeded})));
    assert_eq!(site.post(&format!("{github}/import_keys"), json!({})).await, (201, json!({"keys": []})));
    assert_eq!(site.call("DELETE", github, Value::Null).await.0, 204);
    assert_eq!(site.get(github).await.0, 404);
    let (_, token) = site.paas.seed_user("other", "other@exemple.test");
    let other = site.exchange(&token).await;
    let theirs = format!("{}/v1/scm_integrations/github", site.paas.urls().auth);
    let (_, theirs) = read(site.ask(&other, Method::GET, &theirs, None).await).await;
    assert_eq!(theirs["scm_integration"]["owner"]["email"], "other@exemple.test", "the account's own");
}

#[tokio::test]
async fn one_code_host_is_linked_once() {
    let site = site().await;
    let link = |url: &str| json!({"scm_integration": {"scm_type": "github-enterprise", "url": url, "access_token": "t"}});
    let path = "auth:/v1/scm_integrations";
    assert_eq!(site.post(path, link("https://ghe.exemple.test")).await.0, 201);
    let taken = json!({"errors": {"url": ["has already been taken"]}});
    assert_eq!(site.post(path, link("https://ghe.exemple.test")).await, (422, taken));
    assert_eq!(site.post(path, link("https://other.exemple.test")).await.0, 201);
}

#[tokio::test]
async fn what_the_auth_host_does_not_know_is_json_for_who_asks_for_json() {
    let site = site().await;
    let ask = async |accept: &str| {
        let url = format!("{}/v1/users/account", site.paas.urls().auth);
        let answer = site.http.get(url).bearer_auth(&site.bearer).header("accept", accept).send().await;
        let answer = answer.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind)
    };
    assert_eq!(ask("application/json").await, (404, "application/json".to_owned()));
    assert_eq!(ask("*/*").await, (404, "text/html; charset=utf-8".to_owned()));
}

#[tokio::test]
async fn an_archive_without_a_version_gets_one_that_is_made_of_the_time() {
    let site = with_app().await;
    let says = "postdeploy: echo version $CONTAINER_VERSION";
    let url = site.upload(tarball(&[("root/Procfile", &format!("worker: sleep 600\n{says}\n"))])).await;
    let deploy = async |git_ref: Value| {
        let body = json!({"deployment": {"git_ref": git_ref, "source_url": url}});
        let (status, made) = site.post(&format!("{APP}/deployments"), body).await;
        assert_eq!(status, 201, "{made}");
        made["deployment"].clone()
    };
    let first = deploy(Value::Null).await;
    let version = first["git_ref"].as_str().expect("it has a version").to_owned();
    assert!(version.len() == 14 && version.bytes().all(|byte| byte.is_ascii_digit()), "{version}");
    let (status, output) = site.deployed("demarches-test", first["id"].as_str().unwrap()).await;
    assert_eq!(status, "success", "{output}");
    assert!(output.contains(&format!("version {version}")), "{output}");
    assert_eq!(deploy(json!("v2")).await["previous_git_ref"], version.as_str());
}

#[tokio::test]
async fn what_a_hook_prints_is_in_the_apps_log_too() {
    let site = with_app().await;
    let url =
        site.upload(tarball(&[("root/Procfile", "worker: sleep 600\npostdeploy: echo migrated\n")])).await;
    let id = site.deploy("demarches-test", &url).await;
    let (status, output) = site.deployed("demarches-test", &id).await;
    assert_eq!(status, "success", "{output}");
    assert!(output.contains("migrated\n"), "{output}");
    let address = site.get(&format!("{APP}/logs")).await.1;
    let url = format!("{}&filter=postdeploy-1", address["logs_url"].as_str().unwrap());
    let text = site.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(text.ends_with(" [postdeploy-1] migrated\n") && text.lines().count() == 1, "{text}");
}

#[tokio::test]
async fn an_addon_is_found_again_by_the_id_that_it_was_bought_by() {
    let site = with_app().await;
    for provider in ["scalingo-redis", "redis"] {
        let addon = json!({"addon": {"addon_provider_id": provider, "plan_id": REDIS}});
        let (status, made) = site.post(&format!("{APP}/addons"), addon).await;
        assert_eq!((status, &made["addon"]["addon_provider"]["id"]), (201, &json!(provider)), "{made}");
        let one = format!("{APP}/addons/{}", made["addon"]["id"].as_str().unwrap());
        assert_eq!(site.get(&one).await.1["addon"]["addon_provider"]["id"], provider);
        assert_eq!(made["addon"]["addon_provider"]["name"], "Redis® OSS");
    }
    let listed = site.get(&format!("{APP}/addons")).await.1;
    let ids = listed["addons"].as_array().unwrap().iter().map(|one| one["addon_provider"]["id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), ["scalingo-redis", "redis"]);
    assert_eq!(
        site.paas.inventory()["addons"][0]["provider"],
        "redis",
        "one provider, whatever it is called"
    );
}

#[tokio::test]
async fn a_redis_saves_what_it_holds_unless_told_not_to() {
    let site = with_app().await;
    let (id, _) = site.seeded_addon("demarches-test", "redis", "redis-starter-256").await;
    let call = async |method: &str, rest: &str, body: Value| {
        site.database(method, "demarches-test", &id, &format!("/databases/{id}{rest}"), body).await
    };
    let shown = call("GET", "", Value::Null).await.1["database"]["features"].clone();
    assert_eq!(shown, json!([{"name": "redis-rdb", "status": "ACTIVATED"}]));
    let again = call("POST", "/features", json!({"feature": {"name": "redis-rdb"}})).await;
    let told = "feature 'redis-rdb' is already setup on this database";
    assert_eq!(again, (400, json!({"error": told, "code": "bad_request"})));
    assert_eq!(call("DELETE", "/features?feature=redis-rdb", Value::Null).await.0, 200);
    assert_eq!(call("POST", "/features", json!({"feature": {"name": "redis-rdb"}})).await.0, 200);
    let (id, _) = site.seeded_addon("demarches-test", "postgresql", "postgresql-starter-512").await;
    assert!(site.paas.state().addon(&id).unwrap().1.database.features.is_empty());
}

#[tokio::test]
async fn an_autoscaler_leaves_two_containers_and_counts_requests_of_the_web_only() {
    let site = with_app().await;
    let wanted = |kind: &str, metric: &str, least: u64| {
        json!({"autoscaler": {
            "container_type": kind, "metric": metric, "target": 1, "min_containers": least, "max_containers": 4,
        }})
    };
    let path = format!("{APP}/autoscalers");
    for (body, field) in [
        (wanted("web", "cpu", 1), "min_containers"),
        (wanted("web", "cpu", 0), "min_containers"),
        (wanted("worker", "rpm_per_container", 2), "metric"),
        (wanted("worker", "p95_response_time", 2), "metric"),
        (wanted("worker", "5XX", 2), "metric"),
    ] {
        let (status, refused) = site.post(&path, body).await;
        assert!(status == 422 && refused["errors"][field].is_array(), "{field}: {status} {refused}");
    }
    assert_eq!(site.post(&path, wanted("worker", "memory", 2)).await.0, 201);
    let (status, made) = site.post(&path, wanted("web", "rpm_per_container", 2)).await;
    assert_eq!(status, 201, "{made}");
    let one = format!("{path}/{}", made["autoscaler"]["id"].as_str().unwrap());
    assert_eq!(site.call("PATCH", &one, json!({"autoscaler": {"min_containers": 1}})).await.0, 422);
    assert_eq!(site.get(&one).await.1, made, "a refused change changes nothing");
    assert_eq!(site.call("PATCH", &one, json!({"autoscaler": {"min_containers": 3}})).await.0, 200);
}

#[tokio::test]
async fn a_new_app_tells_its_owner_by_mail_what_is_critical() {
    let site = site().await;
    assert_eq!(site.post("/v1/apps", json!({"app": {"name": "demarches-test"}})).await.0, 201);
    let listed = site.get(&format!("{APP}/notifiers")).await.1;
    let [one] = listed["notifiers"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&one["name"], &one["type"]), (&json!("Default 'demarches-test' notifier"), &json!("email")));
    assert_eq!(one["type_data"], json!({"user_ids": [site.user], "emails": []}));
    let switches = ["active", "send_all_events", "send_all_alerts"].map(|name| one[name].as_bool().unwrap());
    assert_eq!(switches, [true, false, false]);
    let types = site.get("/v1/event_types").await.1["event_types"].clone();
    let name_of =
        |id: &Value| types.as_array().unwrap().iter().find(|kind| kind["id"] == *id).unwrap()["name"].clone();
    let selected: Vec<Value> = one["selected_event_ids"].as_array().unwrap().iter().map(name_of).collect();
    assert!(selected.contains(&json!("app_crashed")), "{selected:?}");
    let path = format!("{APP}/notifiers/{}", one["id"].as_str().unwrap());
    assert_eq!(site.call("DELETE", &path, Value::Null).await.0, 204);
}

#[tokio::test]
async fn every_event_that_the_vendor_lists_can_be_selected() {
    let site = site().await;
    let types = site.get("/v1/event_types").await.1["event_types"].clone();
    let known: Vec<&str> =
        types.as_array().unwrap().iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    // User documentation "App notifiers", as of May 2026.
    let listed = "addon_db_upgraded addon_deleted addon_plan_changed addon_provisioned addon_resumed addon_suspended \
        addon_updated alert_added alert_deleted app_alert_triggered app_command_ran app_crashed app_crashed_repeated \
        app_deleted app_deployed app_edited app_project_updated app_region_migration_started app_renamed app_restarted \
        app_scaled app_stopped app_transferred collaborator_accepted collaborator_invited collaborator_removed \
        collaborator_role_changed database_backup_succeeded database_backup_failed database_maintenance_planned \
        database_maintenance_started database_maintenance_completed domain_added domain_edited domain_removed \
        github_link github_unlink notifier_added notifier_edited notifier_removed project_created project_deleted \
        project_edited variable_added variable_bulk_edited variable_edited variable_removed";
    let missing: Vec<&str> = listed.split_whitespace().filter(|name| !known.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn the_newest_sdk_asks_for_plans_and_for_providers_on_resources_of_their_own() {
    let site = with_app().await;
    let (status, plan) = site.get("/api/plans/redis-starter-512?type=redis").await;
    assert_eq!((status, &plan["plan"]["memory"], &plan["plan"]["backup"]), (200, &json!(512), &json!(false)));
    let plan = site.get("/api/plans/postgresql-business-1024?type=postgresql").await.1["plan"].clone();
    assert_eq!(plan["monthly_scheduled_backups"], 12);
    assert_eq!(site.get("/api/plans/redis-starter-512?type=postgresql").await.0, 404);
    let providers = |page: &(u16, Value)| page.1["addon_providers"].as_array().unwrap().len();
    assert_eq!(providers(&site.get("/v1/addon_providers").await), 2);
    assert_eq!(providers(&site.get("/v1/addon_providers?dedicated=true").await), 0);
}
