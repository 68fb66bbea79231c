//! The database API with a real server behind it: features, hours, actions, restorations, plan changes.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Site, read, site, until};

const APP: &str = "demarches-test";

/// A platform with one running `PostgreSQL`.
struct Base {
    site: Site,
    id: String,
    resource: String,
}

async fn base() -> Base {
    let site = site().await;
    site.paas.seed_app(&site.user, APP).unwrap();
    let (id, resource) = site.seeded_addon(APP, "postgresql", "postgresql-starter-512").await;
    Base { site, id, resource }
}

impl Base {
    async fn call(&self, method: &str, rest: &str, body: Value) -> (u16, Value) {
        self.site.database(method, APP, &self.id, &format!("/databases/{}{rest}", self.id), body).await
    }

    async fn get(&self, rest: &str) -> Value {
        self.call("GET", rest, Value::Null).await.1
    }

    async fn features(&self) -> Value {
        self.get("").await["database"]["features"].clone()
    }

    async fn enable(&self, name: &str) -> (u16, Value) {
        self.call("POST", "/features", json!({"feature": {"name": name, "status": ""}})).await
    }

    /// A session of the owner, by the tunnels' door.
    async fn session(&self) -> PgConnection {
        let url = self.site.paas.variable(APP, "DATABASE_URL").unwrap();
        let url = url::Url::parse(&url).unwrap();
        let databases = &self.site.paas.plane.databases;
        let socket = databases.socket_of(url.host_str().unwrap(), url.port().unwrap()).unwrap();
        let options = PgConnectOptions::new_without_pgpass()
            .socket(socket.parent().unwrap())
            .username(url.username())
            .password(url.password().unwrap())
            .database(&self.resource);
        PgConnection::connect_with(&options).await.unwrap()
    }
}

#[tokio::test]
async fn features_are_pending_then_active_and_need_each_other() {
    let base = base().await;
    assert_eq!(base.enable("publicly-available").await.0, 400);
    for unknown in ["redis-aof", "flying", ""] {
        let (status, answer) = base.enable(unknown).await;
        assert_eq!((status, &answer["resource"]), (404, &json!("feature")), "{unknown}");
    }
    let pending = json!({"name": "force-ssl", "status": "PENDING", "message": ""});
    assert_eq!(base.enable("force-ssl").await, (200, pending));
    let again =
        json!({"code": "bad_request", "error": "feature 'force-ssl' is already setup on this database"});
    assert_eq!(base.enable("force-ssl").await, (400, again));
    assert_eq!(base.features().await, json!([{"name": "force-ssl", "status": "PENDING"}]));
    let active = json!([{"name": "force-ssl", "status": "ACTIVATED"}]);
    base.site.advance(6);
    until("force-ssl", async || base.features().await == active).await;
    assert_eq!(base.enable("publicly-available").await.0, 200);
    assert_eq!(base.call("DELETE", "/features?feature=force-ssl", Value::Null).await.0, 400);
    base.site.advance(6);
    until("it is public", async || base.features().await[1]["status"] == "ACTIVATED").await;

    // We are no process of an app: only what is public lets us in, and only by TLS.
    let url = base.site.paas.variable(APP, "DATABASE_URL").unwrap().replace("sslmode=prefer", "sslmode=MODE");
    let host = url::Url::parse(&url).unwrap().host_str().unwrap().to_owned();
    let reach = |mode: &str| url.replace(&host, "127.0.0.1").replace("MODE", mode);
    let mut session = PgConnection::connect(&reach("require")).await.unwrap();
    sqlx::query("SELECT 1").execute(&mut session).await.unwrap();
    let refused = PgConnection::connect(&reach("disable")).await.unwrap_err().to_string();
    assert!(refused.contains("no pg_hba.conf entry") && refused.contains("no encryption"), "{refused}");
    assert_eq!(base.call("DELETE", "/features?feature=publicly-available", Value::Null).await.0, 200);
    assert!(PgConnection::connect(&reach("require")).await.is_err(), "still public");
    assert!(base.call("DELETE", "/features?feature=force-ssl", Value::Null).await.1["message"].is_string());
    assert_eq!(base.features().await, json!([]));

    let ca =
        base.site.http.get(format!("{}/api/ca_certificate", base.site.paas.urls().database)).send().await;
    let pem = ca.unwrap().text().await.unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
}

#[tokio::test]
async fn hours_and_windows_are_set_in_both_shapes_and_answered_in_one() {
    let base = base().await;
    let set = async |method: &str, change: Value| {
        let (status, answer) = base.call(method, "", json!({"database": change})).await;
        (status, answer["database"]["periodic_backups_scheduled_at"].clone())
    };
    assert_eq!(set("PATCH", json!({"periodic_backups_scheduled_at": 3})).await, (200, json!([3])));
    assert_eq!(set("PUT", json!({"periodic_backups_scheduled_at": [1, 13]})).await, (200, json!([1, 13])));
    for wrong in [json!(24), json!("soon"), json!([3, 99]), json!([])] {
        let refused = json!({"periodic_backups_scheduled_at": wrong});
        assert_eq!(set("PATCH", refused).await.0, 422, "{wrong}");
    }
    assert_eq!(set("PATCH", json!({"maintenance_window": {"weekday_utc": 7}})).await.0, 422);
    let window = json!({"maintenance_window": {"weekday_utc": 5, "starting_hour_utc": 4}});
    assert_eq!(set("PATCH", window).await, (200, json!([1, 13])));
    let shown = &base.get("").await["database"];
    let window = json!({"weekday_utc": 5, "starting_hour_utc": 4, "duration_in_hour": 8});
    assert_eq!(shown["maintenance_window"], window);
    assert_eq!((&shown["next_version_id"], &shown["current_operation_id"]), (&Value::Null, &Value::Null));

    let version = format!("/database_type_versions/{}", shown["version_id"].as_str().unwrap());
    let (_, version) = base.site.database("GET", APP, &base.id, &version, Value::Null).await;
    let part = |name: &str| version["database_type_version"][name].to_string();
    let readable = format!("{}.{}.{}-{}", part("major"), part("minor"), part("patch"), part("build"));
    assert_eq!(shown["readable_version"], readable);
    assert!(base.get("/instances_status").await.is_array());
    assert_eq!(base.get("/maintenance").await["maintenance"], json!([]));
    assert_eq!(base.call("POST", "/upgrade", json!({})).await.0, 400);
    let window = json!({"earliest_recoverable_at": null, "latest_recoverable_at": null});
    assert_eq!(base.get("/pitr/recovery_window").await["recovery_window"], window);
    assert_eq!(
        base.call("POST", "/pitr/restore", json!({"restore_time": "2026-01-01T00:00:00Z"})).await.0,
        400
    );
    let logs = base.get("/logs").await["url"].as_str().unwrap().to_owned();
    assert_eq!(base.site.http.get(logs + "&n=5").send().await.unwrap().status().as_u16(), 200);
    assert!(base.get("/metrics").await["database_size"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn the_newest_sdk_reaches_the_same_by_the_regional_host() {
    let base = base().await;
    let path = format!("/v1/databases/{}", base.id);
    let (status, made) = base.site.post(&format!("{path}/backups"), json!({})).await;
    assert_eq!(status, 201, "{made}");
    let id = &made["database_backup"]["id"];
    assert_eq!(&base.site.get(&format!("{path}/backups")).await.1["database_backups"][0]["id"], id);
    let one = base.site.get(&format!("/v1/backups/{}", id.as_str().unwrap())).await;
    assert_eq!((one.0, &one.1["database_backup"]["id"]), (200, id));
    assert!(base.site.get(&format!("{path}/logs")).await.1["url"].is_string());
    let (status, shown) = base.site.get(&format!("/api/databases/{}", base.id)).await;
    assert_eq!((status, &shown["database"]["resource_id"]), (200, &json!(base.resource)), "{shown}");
    assert_eq!(shown["database"]["status"], "running");
    let types = base.site.get("/api/database_types").await.1["database_types"].clone();
    assert_eq!(types[0]["id"], shown["database"]["type_id"]);
    let plan = base.site.get(&format!("/api/databases/{}/plan", base.id)).await.1["plan"].clone();
    assert_eq!((&plan["memory"], &plan["manual_backups_count"]), (&json!(512), &json!(10)));
    assert_eq!(
        base.site.post(&format!("/api/databases/{}/ping", base.id), json!({})).await.1,
        json!({"ok": 1})
    );
    let by_its_own = format!("{}/api/databases/{}", base.site.paas.urls().api, base.id);
    let (_, token) = base.site.paas.seed_user("etranger", "etranger@exemple.test");
    let stranger = base.site.exchange(&token).await;
    assert_eq!(read(base.site.ask(&stranger, Method::GET, &by_its_own, None).await).await.0, 404);
}

#[tokio::test]
async fn later_go_clients_need_no_token_of_the_addon() {
    let base = base().await;
    let at = |rest: &str| format!("/v1/databases/{}{rest}", base.id);
    let (status, shown) = base.site.get(&at("")).await;
    assert_eq!((status, &shown["database"]["resource_id"]), (200, &json!(base.resource)), "{shown}");
    let version = shown["database"]["version_id"].as_str().unwrap();
    assert_eq!(base.site.get(&format!("/v1/database_type_versions/{version}")).await.0, 200);
    let change = json!({"database": {"periodic_backups_scheduled_at": 3, "periodic_backups_enabled": true}});
    let (status, changed) = base.site.call("PATCH", &at(""), change).await;
    assert_eq!((status, &changed["database"]["periodic_backups_scheduled_at"]), (200, &json!([3])));

    let feature = json!({"feature": {"name": "force-ssl", "status": ""}});
    let (status, begun) = base.site.post(&at("/features"), feature).await;
    assert_eq!((status, &begun["status"]), (200, &json!("PENDING")), "{begun}");
    assert_eq!(base.site.call("DELETE", &at("/features?feature=force-ssl"), Value::Null).await.0, 200);

    let user = json!({"database_id": base.id, "name": "lectureseule", "read_only": true});
    assert_eq!(base.site.post(&at("/users"), json!({"database_user": user})).await.0, 201);
    let listed = base.site.get(&at("/users")).await.1["database-users"].clone();
    assert!(listed.as_array().unwrap().iter().any(|one| one["name"] == "lectureseule"), "{listed}");
    let (status, reset) = base.site.post(&at("/users/lectureseule/reset_password"), json!({})).await;
    assert_eq!((status, reset["database_user"]["password"].is_string()), (200, true), "{reset}");
    assert_eq!(base.site.call("DELETE", &at("/users/lectureseule"), Value::Null).await.0, 204);

    assert_eq!(base.site.get(&at("/maintenance?page=1")).await.1["maintenance"], json!([]));
    let time = json!({"restore_time": "2026-01-01T00:00:00Z"});
    assert_eq!(base.site.post(&at("/pitr/restore"), time).await.0, 400);
    let (_, token) = base.site.paas.seed_user("etranger", "etranger@exemple.test");
    let stranger = base.site.exchange(&token).await;
    let url = format!("{}{}", base.site.paas.urls().api, at(""));
    assert_eq!(read(base.site.ask(&stranger, Method::GET, &url, None).await).await.0, 404);
}

#[tokio::test]
async fn actions_look_into_the_database_and_tell_failures_in_the_body() {
    let base = base().await;
    let act = async |name: &str, params: Value| {
        let (status, answer) =
            base.call("POST", "/action", json!({"action_name": name, "params": params})).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let extensions = act("list-extensions", Value::Null).await;
    let names: BTreeSet<&str> =
        extensions["result"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains("pg_trgm") && !names.contains("adminpack"), "{names:?}");
    let mut session = base.session().await;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut session).await.unwrap();
    let queries = act("pg-list-queries", json!({})).await;
    assert!(queries["result"].as_array().unwrap().iter().any(|one| one["pid"] == pid), "{queries}");
    assert_eq!(act("pg-terminate-query", json!({"pid": pid})).await["ok"], 1);
    assert!(sqlx::query("SELECT 1").execute(&mut session).await.is_err(), "the session lives on");
    for (name, params) in
        [("pg-terminate-query", json!({"pid": pid})), ("pg-cancel-query", json!({})), ("fly", json!({}))]
    {
        let answer = act(name, params).await;
        assert!(answer["ok"] == 0 && answer["error"].is_string(), "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_backup_is_made_at_its_hour_and_put_back() {
    let base = base().await;
    let list = async || base.get("/backups").await["database_backups"].as_array().unwrap().clone();
    base.call("PATCH", "", json!({"database": {"periodic_backups_enabled": false}})).await;
    base.site.advance(24 * 3_600);
    let databases = &base.site.paas.plane.databases;
    databases.run_sql(&base.resource, "CREATE TABLE things AS SELECT 7 AS n").await.unwrap();
    base.call("PATCH", "", json!({"database": {"periodic_backups_enabled": true}})).await;
    assert_eq!(list().await, Vec::<Value>::new(), "made although switched off");
    base.site.advance(24 * 3_600);
    until("a periodic backup", async || !list().await.is_empty()).await;
    base.site.advance(3);
    until("it is done", async || list().await[0]["status"] == "done").await;
    let backup = list().await[0].clone();
    assert_eq!((list().await.len(), &backup["method"]), (1, &json!("periodic")));
    // As when a snapshot of the first day is brought back: its night comes again.
    base.site.world.clock.set_elapsed(Duration::from_hours(1));
    assert_eq!(list().await.len(), 1, "made on the way to another time");
    base.site.advance(24 * 3_600);
    let statuses = || {
        let state = base.site.paas.state();
        let (_, addon) = state.addon(&base.resource).unwrap();
        addon.database.backups.iter().map(|backup| backup.status.clone()).collect::<Vec<_>>()
    };
    until("another night's backup", async || statuses().len() > 1).await;
    base.site.advance(3);
    until("it is done", async || statuses() == ["done", "done"]).await;

    databases.wipe(&base.resource).await.unwrap();
    let rest = format!("/backups/{}/restore", backup["id"].as_str().unwrap());
    let (status, restoration) = base.call("POST", &rest, json!({})).await;
    assert_eq!((status, &restoration["status"]), (201, &json!("scheduled")), "{restoration}");
    assert_eq!(restoration["source_backup_id"], backup["id"]);
    assert_eq!(restoration["backup_restoration"]["id"], restoration["id"]);
    let rest = format!("/backup_restorations/{}", restoration["id"].as_str().unwrap());
    base.site.advance(3);
    until("it is put back", async || base.get(&rest).await["backup_restoration"]["status"] == "done").await;
    let mut session = base.session().await;
    let seven: i32 = sqlx::query_scalar("SELECT n FROM things").fetch_one(&mut session).await.unwrap();
    assert_eq!(seven, 7);
}

#[tokio::test]
async fn a_plan_change_provisions_again_and_cuts_connections() {
    let base = base().await;
    let mut session = base.session().await;
    let path = format!("/v1/apps/{APP}/addons/{}", base.id);
    let (_, plans) = base.site.get("/v1/addon_providers/scalingo-postgresql/plans?show_all=true").await;
    let plans = plans["plans"].as_array().unwrap();
    assert!(
        plans.iter().all(|plan| plan["disabled_alternative_plan_id"].is_null()),
        "the client wants a boolean"
    );
    let wanted = plans.iter().find(|plan| plan["name"] == "postgresql-starter-1024").unwrap();
    let change = json!({"addon": {"plan_id": wanted["id"]}});
    let (status, changed) = base.site.call("PATCH", &path, change.clone()).await;
    assert_eq!((status, &changed["addon"]["status"]), (200, &json!("provisioning")), "{changed}");
    assert_eq!(
        (&changed["addon"]["plan"]["name"], &changed["message"]),
        (&wanted["name"], &changed["addon"]["message"])
    );
    assert_eq!(base.get("").await["database"]["status"], "updating");
    assert_eq!(base.site.call("PATCH", &path, change).await.0, 400, "changed while it is changed");
    assert_eq!(base.call("POST", "/backups", json!({})).await.0, 400, "backed up while it is changed");
    base.site.advance(31);
    until("it runs", async || base.site.get(&path).await.1["addon"]["status"] == "running").await;
    assert!(sqlx::query("SELECT 1").execute(&mut session).await.is_err(), "the session lives on");
    let unknown = json!({"addon": {"plan_id": "000000000000000000000000"}});
    assert_eq!(
        base.site.call("PATCH", &path, unknown).await.1,
        json!({"resource": "plan", "error": "not found"})
    );
    assert_eq!(base.site.call("PATCH", &path, json!({"addon": {}})).await.0, 400);
}

#[tokio::test]
async fn a_version_that_is_not_here_is_refused() {
    let base = base().await;
    let add = async |version: &str| {
        let addon = json!({"addon_provider_id": "postgresql", "plan_id": "5cc45d220000000000000512", "options": {"version": version}});
        base.site.post(&format!("/v1/apps/{APP}/addons"), json!({"addon": addon})).await
    };
    assert_eq!(add("9").await.0, 422);
    let major = base.site.paas.plane.databases.version().split('.').next().unwrap().to_owned();
    let (status, second) = add(&major).await;
    assert_eq!(status, 201);
    assert_ne!(second["addon"]["resource_id"], base.resource, "a second database has a name of its own");
}

#[tokio::test]
async fn a_redis_is_backed_up_as_it_writes_itself() {
    let site = site().await;
    site.paas.seed_app(&site.user, APP).unwrap();
    let (id, resource) = site.seeded_addon(APP, "redis", "redis-starter-256").await;
    let (host, port) = site.paas.state().addon(&id).unwrap().1.endpoint.clone().unwrap();
    let url = url::Url::parse(&site.paas.variable(APP, "REDIS_URL").unwrap()).unwrap();
    let endpoint = site.paas.plane.redis.endpoint_of(&host, port).unwrap();
    let mut line = tokio::net::TcpStream::connect(endpoint).await.unwrap();
    let words = format!("AUTH {}\r\nSET greeting bonjour\r\nQUIT\r\n", url.password().unwrap());
    line.write_all(words.as_bytes()).await.unwrap();
    let mut said = String::new();
    line.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "+OK\r\n+OK\r\n+OK\r\n");

    let call = async |method: &str, rest: &str| {
        site.database(method, APP, &id, &format!("/databases/{id}/backups{rest}"), Value::Null).await
    };
    let (status, made) = call("POST", "").await;
    assert_eq!(status, 201, "{made}");
    let backup = format!("/{}", made["database_backup"]["id"].as_str().unwrap());
    site.advance(5);
    until("it is made", async || call("GET", &backup).await.1["database_backup"]["status"] == "done").await;
    let (_, link) = call("GET", &format!("{backup}/archive")).await;
    let archive =
        site.http.get(link["download_url"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&archive[..]));
    let mut member = tar.entries().unwrap().next().unwrap().unwrap();
    let name = member.path().unwrap().to_string_lossy().into_owned();
    assert!(name.ends_with(&format!("_{resource}.rdb")), "{name}");
    let mut dump = Vec::new();
    std::io::Read::read_to_end(&mut member, &mut dump).unwrap();
    let holds = |text: &[u8]| dump.windows(text.len()).any(|part| part == text);
    assert!(dump.starts_with(b"REDIS") && holds(b"greeting") && holds(b"bonjour"), "{dump:?}");
    let (status, _) = call("POST", &format!("{backup}/restore")).await;
    assert_eq!(status, 400, "the platform puts back PostgreSQL only, here");
}
