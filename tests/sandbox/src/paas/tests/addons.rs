//! Addons in world time, and the database API with a real server behind it.

use std::io::Read;

use serde_json::{Value, json};

use super::{Site, site, until};

async fn plan(site: &Site, provider: &str, name: &str) -> Value {
    let (_, plans) = site.get(&format!("/v1/addon_providers/{provider}/plans")).await;
    let plans = plans["plans"].as_array().unwrap().clone();
    plans.into_iter().find(|plan| plan["name"] == name).unwrap()
}

async fn buy(site: &Site, provider: &str, plan_id: &Value) -> (u16, Value) {
    let body = json!({"addon": {"addon_provider_id": provider, "plan_id": plan_id, "options": null}});
    site.post("/v1/apps/demarches-test/addons", body).await
}

async fn status(site: &Site, id: &str) -> String {
    let (_, shown) = site.get(&format!("/v1/apps/demarches-test/addons/{id}")).await;
    shown["addon"]["status"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_addon_runs_after_a_minute_and_only_then_has_variables() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let wanted = plan(&site, "postgresql", "postgresql-starter-512").await;
    let (code, bought) = buy(&site, "postgresql", &wanted["id"]).await;
    assert_eq!((code, bought["addon"]["status"].as_str()), (201, Some("provisioning")));
    let id = bought["addon"]["id"].as_str().unwrap().to_owned();
    site.advance(30);
    assert_eq!(status(&site, &id).await, "provisioning");
    assert_eq!(site.get("/v1/apps/demarches-test/variables").await.1["variables"], json!([]));
    site.advance(40);
    until("the addon runs", async || site.paas.state().addon(&id).unwrap().1.is_running()).await;
    assert_eq!(status(&site, &id).await, "running");
    let resource = bought["addon"]["resource_id"].as_str().unwrap();
    let (_, resolved) = site.get("/v1/apps/demarches-test/variables?aliases=false").await;
    let values: Vec<_> =
        resolved["variables"].as_array().unwrap().iter().map(|one| one["value"].as_str().unwrap()).collect();
    assert_eq!(values.len(), 2);
    let start = format!("postgresql://{resource}:");
    let host = format!("{}.postgresql.a.osc-fr1.scalingo-dbs.test", resource.replace('_', "-"));
    assert!(
        values.iter().all(|url| url.starts_with(&start) && url.contains(&host)),
        "an alias did not resolve"
    );
}

#[tokio::test]
async fn a_sandbox_plan_silently_becomes_the_smallest_paid_one() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let free = plan(&site, "postgresql", "postgresql-sandbox").await;
    assert_eq!(free["pricings"]["default"]["price"], "0.0");
    let (code, bought) = buy(&site, "postgresql", &free["id"]).await;
    assert_eq!((code, bought["addon"]["plan"]["name"].as_str()), (201, Some("postgresql-starter-512")));
}

#[tokio::test]
async fn a_plan_is_named_by_its_id_only() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let unknown = json!({"resource": "plan", "error": "not found"});
    assert_eq!(buy(&site, "postgresql", &json!("postgresql-starter-512")).await, (404, unknown));
    let none = json!({"addon": {"addon_provider_id": "postgresql"}});
    let refused = site.post("/v1/apps/demarches-test/addons", none).await;
    assert_eq!(refused, (400, json!({"error": "plan_id is required", "code": "bad_request"})));
}

#[tokio::test]
async fn the_token_of_another_database_is_unauthorized() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let wanted = plan(&site, "redis", "redis-starter-256").await;
    let first = buy(&site, "redis", &wanted["id"]).await.1["addon"]["id"].as_str().unwrap().to_owned();
    let second = buy(&site, "redis", &wanted["id"]).await.1["addon"]["id"].as_str().unwrap().to_owned();
    let answer =
        site.database("GET", "demarches-test", &first, &format!("/databases/{second}"), Value::Null).await;
    assert_eq!(answer, (400, json!({"error": "unauthorized"})));
    let user = format!("{}/api/databases/{first}", site.paas.urls().database);
    let answer = site.ask("", reqwest::Method::GET, &user, None).await;
    assert_eq!(answer.status().as_u16(), 401);
}

#[tokio::test]
async fn database_users_are_made_named_and_protected_as_documented() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (id, resource) = site.seeded_addon("demarches-test", "postgresql", "postgresql-starter-512").await;
    let users = format!("/databases/{id}/users");
    let call = |method: &'static str, path: String, body: Value| {
        let (site, id) = (&site, &id);
        async move { site.database(method, "demarches-test", id, &path, body).await }
    };
    let wanted = json!({"database_user": {"name": "lectureseule", "read_only": true}});
    let (status, made) = call("POST", users.clone(), wanted.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert!(made["database_user"]["password"].as_str().unwrap().len() >= 24);
    assert_eq!(call("POST", users.clone(), wanted).await.0, 422);
    assert_eq!(call("POST", users.clone(), json!({"database_user": {"name": "Nope"}})).await.0, 422);
    let (_, listed) = call("GET", users.clone(), Value::Null).await;
    let names: Vec<_> =
        listed["database-users"].as_array().unwrap().iter().map(|user| user["name"].clone()).collect();
    assert_eq!(names, [json!(resource), json!("lectureseule")]);
    assert_eq!(
        call("DELETE", format!("{users}/{resource}"), Value::Null).await.0,
        400,
        "the owner was deleted"
    );
    assert_eq!(call("DELETE", format!("{users}/lectureseule"), Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_backup_is_a_real_dump_that_downloads_whole_and_in_parts() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (id, resource) = site.seeded_addon("demarches-test", "postgresql", "postgresql-starter-512").await;
    site.paas.plane.databases.run_sql(&resource, "CREATE TABLE things (id int PRIMARY KEY)").await.unwrap();
    let (status, made) =
        site.database("POST", "demarches-test", &id, &format!("/databases/{id}/backups"), json!({})).await;
    assert_eq!((status, &made["database_backup"]["size"]), (201, &Value::Null), "{made}");
    assert_eq!(made["database_backup"]["status"], "scheduled");
    let backup = made["database_backup"]["id"].as_str().unwrap().to_owned();
    site.advance(5);
    until("the backup is done", async || site.paas.state().backup(&backup).unwrap().2.status == "done").await;
    let path = format!("/databases/{id}/backups/{backup}/archive");
    let url = site.database("GET", "demarches-test", &id, &path, Value::Null).await.1["download_url"]
        .as_str()
        .unwrap()
        .to_owned();
    let whole = site.http.get(&url).send().await.unwrap().bytes().await.unwrap();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&whole[..]));
    let mut entry = tar.entries().unwrap().next().unwrap().unwrap();
    let name = format!("{}.pgsql", made["database_backup"]["name"].as_str().unwrap());
    assert!(String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches('/') == name);
    let mut magic = [0; 5];
    entry.read_exact(&mut magic).unwrap();
    assert_eq!(&magic, b"PGDMP");
    let part = site.http.get(&url).header("range", "bytes=10-19").send().await.unwrap();
    assert_eq!(part.status().as_u16(), 206);
    assert_eq!(part.bytes().await.unwrap(), whole.slice(10..20));
    let forged = url.split_once("token=").unwrap().0.to_owned() + "token=guess";
    assert_eq!(site.http.get(forged).send().await.unwrap().status().as_u16(), 401);
    site.advance(3_601);
    assert_eq!(site.http.get(&url).send().await.unwrap().status().as_u16(), 401, "the address never ends");
}

#[tokio::test]
async fn an_addon_that_is_deleted_takes_its_variables_along() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (id, _) = site.seeded_addon("demarches-test", "postgresql", "postgresql-starter-512").await;
    assert_eq!(
        site.get("/v1/apps/demarches-test/variables").await.1["variables"].as_array().unwrap().len(),
        2
    );
    let path = format!("/v1/apps/demarches-test/addons/{id}");
    assert_eq!(site.call("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(site.get("/v1/apps/demarches-test/variables").await.1["variables"], json!([]));
    assert_eq!(site.call("DELETE", &path, Value::Null).await.0, 404);
}
