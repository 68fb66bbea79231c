//! Apps: names, roles, variables, formation.

use std::time::Duration;

use serde_json::{Value, json};

use super::{read, site, until};
use crate::world::Limits;

fn named(name: &str) -> Value {
    json!({"app": {"name": name}})
}

#[tokio::test]
async fn names_are_refused_in_the_vendors_words() {
    let site = site().await;
    assert_eq!(site.post("/v1/apps", named("demarches-test")).await.0, 201);
    let taken = json!({"errors": {"name": ["has already been taken"]}});
    assert_eq!(site.post("/v1/apps", named("demarches-test")).await, (422, taken));
    let hyphens = json!({"errors": {"name": ["can't contain 2 consecutive hyphens"]}});
    assert_eq!(site.post("/v1/apps", named("demarches--test")).await, (422, hyphens));
    assert_eq!(site.post("/v1/apps", json!({})).await, (422, json!({"errors": {"app": ["missing field"]}})));
    let stack = json!({"app": {"name": "another-app", "stack_id": "st-none"}});
    assert_eq!(site.post("/v1/apps", stack).await, (404, json!({"resource": "stack", "error": "not found"})));
    assert_eq!(site.get("/v1/apps/nobody").await, (404, json!({"resource": "app", "error": "not found"})));
}

#[tokio::test]
async fn a_dry_run_validates_and_creates_nothing() {
    let site = site().await;
    let url = format!("{}/v1/apps", site.paas.urls().api);
    let dry = |name: &str| {
        site.http.post(&url).bearer_auth(&site.bearer).header("X-Dry-Run", "true").json(&named(name))
    };
    let (status, body) = read(dry("demarches-test").send().await.unwrap()).await;
    assert_eq!((status, body["app"]["name"].as_str()), (201, Some("demarches-test")));
    assert_eq!(read(dry("short").send().await.unwrap()).await.0, 422);
    assert_eq!(site.get("/v1/apps").await, (200, json!({"apps": []})));
}

#[tokio::test]
async fn an_app_is_deleted_by_its_owner_who_names_it() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (other, token) = site.paas.seed_user("other", "other@exemple.test");
    let bearer = site.exchange(&token).await;
    let app = format!("{}/v1/apps/demarches-test", site.paas.urls().api);
    assert_eq!(
        site.ask(&bearer, reqwest::Method::GET, &app, None).await.status().as_u16(),
        404,
        "seen by {other}"
    );
    let invited = json!({"collaborator": {"email": "other@exemple.test", "is_limited": false}});
    assert_eq!(site.post("/v1/apps/demarches-test/collaborators", invited).await.0, 201);
    assert!(site.paas.accept_invitation("demarches-test", "other@exemple.test"));
    let delete = format!("{app}?current_name=demarches-test");
    let refused = site.ask(&bearer, reqwest::Method::DELETE, &delete, None).await;
    assert_eq!(refused.status().as_u16(), 401, "a collaborator deleted the app");
    let wrong = site.call("DELETE", "/v1/apps/demarches-test?current_name=other", Value::Null).await;
    let message = json!({"errors": {"current_name": ["Provided name does not match app name"]}});
    assert_eq!(wrong, (422, message));
    assert_eq!(
        site.call("DELETE", "/v1/apps/demarches-test?current_name=demarches-test", Value::Null).await.0,
        204
    );
    assert_eq!(
        site.call("DELETE", "/v1/apps/demarches-test?current_name=demarches-test", Value::Null).await.0,
        404
    );
}

#[tokio::test]
async fn both_clients_ways_to_force_https_work() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let put = site.call("PUT", "/v1/apps/demarches-test", json!({"force_https": true})).await;
    assert_eq!((put.0, &put.1["app"]["force_https"]), (200, &json!(true)));
    let patch = site.call("PATCH", "/v1/apps/demarches-test", json!({"app": {"force_https": false}})).await;
    assert_eq!((patch.0, &patch.1["app"]["force_https"]), (200, &json!(false)));
}

#[tokio::test]
async fn variables_are_put_together_resolved_on_request_and_never_blank() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let path = "/v1/apps/demarches-test/variables";
    let many = json!({"variables": [{"id": "", "name": "URL", "value": "$TARGET"}, {"name": "TARGET", "value": "text"}]});
    assert_eq!(site.call("PUT", path, many).await.0, 200);
    let blank = json!({"variables": [{"name": "GOOD", "value": "x"}, {"name": "BAD", "value": ""}]});
    assert_eq!(site.call("PUT", path, blank).await, (422, json!({"errors": {"value": ["can't be blank"]}})));
    let value = |list: &Value, name: &str| {
        let all = list["variables"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).map(|one| one["value"].as_str().unwrap().to_owned())
    };
    let raw = site.get(&format!("{path}?aliases=true")).await.1;
    let resolved = site.get(&format!("{path}?aliases=false")).await.1;
    assert_eq!(
        (value(&raw, "URL").as_deref(), value(&resolved, "URL").as_deref()),
        (Some("$TARGET"), Some("text"))
    );
    assert_eq!(value(&raw, "GOOD"), None, "half of a refused call was kept");
    let id = raw["variables"][0]["id"].as_str().unwrap();
    assert_eq!(site.call("DELETE", &format!("{path}/{id}"), Value::Null).await.0, 204);
    assert_eq!(site.call("DELETE", &format!("{path}/{id}"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn null_is_a_list_without_elements_where_the_go_client_sends_it() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let path = "/v1/apps/demarches-test/variables";
    let put = site.call("PUT", path, json!({"variables": null})).await;
    assert_eq!(put, (200, json!({"variables": []})));
    assert_eq!(site.call("PUT", path, json!({})).await.0, 422, "a list that is not there at all");
    assert_eq!(site.call("DELETE", path, json!({"variable_ids": null})).await.0, 204);
    site.paas.with_app("demarches-test", |app| app.last_deployment = Some("d".into()));
    let restart = site.post("/v1/apps/demarches-test/restart", json!({"scope": null})).await;
    assert_eq!(restart.0, 202, "a restart of everything: {}", restart.1);
}

#[tokio::test]
async fn scaling_is_an_operation_only_once_something_was_deployed() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let url = format!("{}/v1/apps/demarches-test/scale", site.paas.urls().api);
    let body = json!({"containers": [{"name": "web", "amount": 0, "size": "M"}]});
    let scale = || site.ask(&site.bearer, reqwest::Method::POST, &url, Some(body.clone()));
    let before = scale().await;
    assert_eq!((before.status().as_u16(), before.headers().get("location")), (200, None));
    site.paas.with_app("demarches-test", |app| app.last_deployment = Some("d".into()));
    let after = scale().await;
    assert_eq!(after.status().as_u16(), 202);
    let location = after.headers()["location"].to_str().unwrap().to_owned();
    let busy = scale().await;
    assert_eq!(busy.status().as_u16(), 409, "a busy app was scaled");
    site.advance(60);
    until("the operation is done", async || {
        site.paas.state().app("demarches-test").unwrap().operations[0].finished_at.is_some()
    })
    .await;
    let answer = site.ask(&site.bearer, reqwest::Method::GET, &location, None).await;
    assert_eq!(read(answer).await.1["operation"]["status"], "done");
    assert_eq!(site.get("/v1/apps/demarches-test").await.1["app"]["status"], "stopped");
}

#[tokio::test]
async fn too_many_containers_and_unknown_types_are_refused() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let eleven = json!({"containers": [{"name": "web", "amount": 11}]});
    let (status, body) = site.post("/v1/apps/demarches-test/scale", eleven).await;
    assert_eq!(status, 422);
    let message = body["errors"]["container-web-amount"][0].as_str().unwrap();
    assert!(message.starts_with("can't scale over 10 containers"), "{message}");
    for wrong in [json!(-1), json!("2"), json!(1.5)] {
        let body = json!({"containers": [{"name": "web", "amount": wrong}]});
        assert_eq!(site.post("/v1/apps/demarches-test/scale", body).await.0, 422, "{wrong}");
    }
    let wrong = site.post("/v1/apps/demarches-test/restart", json!({"scope": ["wrong"]})).await;
    assert_eq!(wrong, (422, json!({"errors": {"scope": ["'wrong' → no such process type"]}})));
}

#[tokio::test]
async fn sizes_are_priced_in_whole_cents() {
    let (status, body) = site().await.get("/v1/features/container_sizes").await;
    assert_eq!(status, 200);
    for size in body["container_sizes"].as_array().unwrap() {
        let cents = |price: &str| size[price].as_u64().unwrap_or_else(|| panic!("{price} of {size}"));
        assert_eq!(cents("thirtydays_price"), cents("hourly_price") * 24 * 30);
        assert_eq!(size["pricings"]["hourly"]["price"], json!(cents("hourly_price").to_string()));
    }
}

#[tokio::test]
async fn a_project_with_apps_cannot_be_deleted() {
    let site = site().await;
    let (status, made) = site.post("/v1/projects", json!({"project": {"name": "recovered"}})).await;
    assert_eq!(status, 201);
    let id = made["project"]["id"].as_str().unwrap().to_owned();
    let app = json!({"app": {"name": "demarches-test", "project_id": id}});
    assert_eq!(site.post("/v1/apps", app).await.1["app"]["project"]["name"], "recovered");
    let path = format!("/v1/projects/{id}");
    let refused = json!({"error": "Cannot delete project with existing apps"});
    assert_eq!(site.call("DELETE", &path, Value::Null).await, (409, refused));
    site.call("DELETE", "/v1/apps/demarches-test?current_name=demarches-test", Value::Null).await;
    assert_eq!(site.call("DELETE", &path, Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_deployed_app_keeps_everything_but_its_name() {
    let site = site().await;
    site.idle_app().await;
    let scale = json!({"containers": [{"name": "worker", "amount": 1}]});
    assert_eq!(site.post("/v1/apps/demarches-test/scale", scale).await.0, 202);
    let rename = |from: &str, to: &str| json!({"current_name": from, "new_name": to});
    assert_eq!(
        site.post("/v1/apps/demarches-test/rename", rename("demarches-test", "autre-nom")).await.0,
        409,
        "while it scales"
    );
    site.advance(30);
    until("the worker runs", async || {
        site.paas
            .state()
            .app("demarches-test")
            .unwrap()
            .operations
            .iter()
            .all(|one| one.finished_at.is_some())
    })
    .await;
    let wrong = site.post("/v1/apps/demarches-test/rename", rename("another", "autre-nom")).await;
    assert_eq!(wrong.0, 422);
    let (status, renamed) =
        site.post("/v1/apps/demarches-test/rename", rename("demarches-test", "autre-nom")).await;
    assert_eq!(status, 200, "{renamed}");
    let app = &renamed["app"];
    assert_eq!(app["url"], "https://autre-nom.osc-fr1.scalingo.test");
    assert!(app["git_url"].as_str().unwrap().ends_with("/autre-nom.git"));
    assert_eq!(site.get("/v1/apps/demarches-test").await.0, 404);
    let running = site.get("/v1/apps/autre-nom/ps").await.1;
    assert_eq!(running["containers"][0]["label"], "worker-1");
    // The freed name is anybody's, and a deployment there does not touch the renamed app.
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let archive = super::tarball(&[("root/Procfile", "worker: sleep 601\n")]);
    let url = site.upload(archive).await;
    let id = site.deploy("demarches-test", &url).await;
    assert_eq!(site.deployed("demarches-test", &id).await.0, "success");
    let restart = site.post("/v1/apps/autre-nom/restart", json!({"scope": ["worker-1"]})).await;
    assert_eq!(restart.0, 202);
    site.advance(30);
    until("the worker was restarted", async || {
        site.paas.state().app("autre-nom").unwrap().operations.iter().all(|one| one.status == "done")
    })
    .await;
    assert_eq!(
        site.call("DELETE", "/v1/apps/demarches-test?current_name=demarches-test", Value::Null).await.0,
        204
    );
    assert_eq!(site.get("/v1/apps/autre-nom/ps").await.1["containers"][0]["state"], "running");
}

#[tokio::test]
async fn a_web_that_never_listens_times_out_and_the_old_version_stays() {
    let site = site().await;
    site.idle_app().await;
    let url = site.upload(super::tarball(&[("root/Procfile", "web: sleep 600\n")])).await;
    let scale = json!({"containers": [{"name": "worker", "amount": 1}]});
    assert_eq!(site.post("/v1/apps/demarches-test/scale", scale).await.0, 202);
    site.advance(30);
    until("the worker runs", async || site.paas.plane.runner.containers("demarches-test").len() == 1).await;
    until("the app is at rest", async || {
        site.paas.state().app("demarches-test").unwrap().busy_with().is_none()
    })
    .await;
    // Its new type is scaled by hand: only a first deployment starts one by itself.
    site.paas.with_app("demarches-test", |app| {
        let mut web = crate::paas::api::new_type("w".into(), "web");
        web.amount = 1;
        app.formation.push(web);
    });
    site.world.limit(Limits { boot: Duration::from_secs(2), ..Limits::default() });
    let id = site.deploy("demarches-test", &url).await;
    site.advance(60);
    until("the deployment times out", async || {
        site.advance(61);
        site.paas.state().app("demarches-test").unwrap().deployments.last().unwrap().is_finished()
    })
    .await;
    let shown = site.get(&format!("/v1/apps/demarches-test/deployments/{id}")).await.1;
    assert_eq!(shown["deployment"]["status"], "timeout-error");
    let running = site.paas.plane.runner.containers("demarches-test");
    assert_eq!((running.len(), running[0].kind.as_str()), (1, "worker"));
}

#[tokio::test]
async fn who_comes_by_the_vendors_name_is_told_the_ssh_servers_name_where_it_leads_here() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let asked = async |host: &str| {
        let urls = site.paas.urls();
        let get = async |url: String| {
            let answer = site.http.get(url).bearer_auth(&site.bearer).header("host", host).send().await;
            answer.unwrap().json::<Value>().await.unwrap()
        };
        let app = get(format!("{}/v1/apps/demarches-test", urls.api)).await;
        let regions = get(format!("{}/v1/regions", urls.auth)).await;
        let region = &regions["regions"][0];
        [app["app"]["git_url"].clone(), region["ssh"].clone(), region["api"].clone()]
    };
    let by_address = asked("127.0.0.1").await;
    assert_eq!(by_address[0], "ssh://git@127.0.0.1:22/demarches-test.git");
    let doorless = asked("api.osc-fr1.scalingo.com").await;
    assert_eq!(doorless[..2], by_address[..2], "without a door of that number");
    let api = "https://api.osc-fr1.scalingo.com";
    assert_eq!((&doorless[2], &by_address[2]), (&json!(api), &json!(site.paas.urls().api)));
    site.paas.announce_ssh_door();
    let named = ["git@ssh.osc-fr1.scalingo.com:demarches-test.git", "ssh.osc-fr1.scalingo.com:22", api];
    assert_eq!(asked("api.osc-fr1.scalingo.com").await, named);
    assert_eq!(asked("127.0.0.1").await, by_address);
}
