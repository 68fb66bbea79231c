//! Single cases against a small server; behaviour over time is tested against the sandbox.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, Request, Uri},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use base64::Engine as _;
use serde_json::{Value, json};

use super::*;
use crate::providers::http::call::tests::{fast, serve};

mod recorded;

/// A small auth service: counts exchanges, and hands out tokens that live as long as told.
struct World {
    exchanges: AtomicUsize,
    life_s: i64,
    seen: Mutex<Vec<String>>,
}

fn jwt(life_s: i64, serial: usize) -> String {
    let claims = json!({ "exp": chrono::Utc::now().timestamp() + life_s, "rnd": serial }).to_string();
    format!("h.{}.s", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims))
}

async fn exchange(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    // Empty user, the API token as password.
    if headers["authorization"] != "Basic OnRrLXVzLTE=" {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "Invalid credentials"}))).into_response();
    }
    let serial = world.exchanges.fetch_add(1, Ordering::SeqCst) + 1;
    Json(json!({ "token": jwt(world.life_s, serial) })).into_response()
}

async fn client(life_s: i64, routes: Router<Arc<World>>) -> (Scalingo, Arc<World>, tokio::task::JoinSet<()>) {
    let world = Arc::new(World { exchanges: AtomicUsize::new(0), life_s, seen: Mutex::default() });
    let routes = routes.route("/v1/tokens/exchange", post(exchange)).with_state(Arc::clone(&world));
    let (base, server) = serve(routes).await;
    let base = base.trim_end_matches("/v1").to_owned();
    let config = ScalingoConfig {
        auth_url: base.clone(),
        api_url: Some(base.clone()),
        db_url: Some(base),
        region: "osc-fr1".into(),
        token: SecretString::from("tk-us-1"),
    };
    (Scalingo::new(config, fast(), HttpShared::default()).unwrap(), world, server)
}

fn answer(value: Value) -> axum::routing::MethodRouter<Arc<World>> {
    any(move || async move { Json(value) })
}

#[tokio::test]
async fn a_token_is_used_again_until_shortly_before_its_end() {
    let routes = || Router::new().route("/v1/apps", answer(json!({"apps": []})));
    let (long, world, _server) = client(3600, routes()).await;
    for _ in 0..3 {
        assert!(long.apps().await.unwrap().is_empty());
    }
    assert_eq!(world.exchanges.load(Ordering::SeqCst), 1);
    let (short, world, _server) = client(299, routes()).await;
    for _ in 0..3 {
        short.apps().await.unwrap();
    }
    assert_eq!(world.exchanges.load(Ordering::SeqCst), 3, "under five minutes are not enough");
}

#[tokio::test]
async fn callers_at_once_share_one_exchange() {
    let (scalingo, world, _server) =
        client(3600, Router::new().route("/v1/apps", answer(json!({"apps": []})))).await;
    futures::future::try_join_all((0..8).map(|_| scalingo.apps())).await.unwrap();
    assert_eq!(world.exchanges.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_token_is_exchanged_once_and_the_second_401_is_the_answer() {
    let denied = any(|State(world): State<Arc<World>>| async move {
        world.seen.lock().unwrap().push("delete".into());
        (StatusCode::UNAUTHORIZED, Json(json!({"error": "not authorized"})))
    });
    let routes = Router::new().route("/v1/apps", answer(json!({"apps": []}))).route("/v1/apps/{app}", denied);
    let (scalingo, world, _server) = client(3600, routes).await;
    scalingo.apps().await.unwrap();
    let error = scalingo.delete_app("somebody-elses").await.unwrap_err();
    assert!(error.is_denied() && !error.outcome_unknown(), "{error}");
    assert_eq!(world.exchanges.load(Ordering::SeqCst), 2);
    assert_eq!(world.seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_expired_token_heals_by_itself() {
    let picky = get(|State(world): State<Arc<World>>, headers: HeaderMap| async move {
        let token = headers["authorization"].to_str().unwrap().to_owned();
        let mut seen = world.seen.lock().unwrap();
        if seen.is_empty() {
            seen.push(token);
            return Json(json!({"apps": []})).into_response();
        }
        if seen.contains(&token) {
            return (StatusCode::UNAUTHORIZED, Json(json!({"error": "expired"}))).into_response();
        }
        Json(json!({"apps": []})).into_response()
    });
    let (scalingo, _world, _server) = client(3600, Router::new().route("/v1/apps", picky)).await;
    scalingo.apps().await.unwrap();
    scalingo.apps().await.unwrap();
}

#[tokio::test]
async fn addon_tokens_are_kept_for_the_database_api() {
    let enter = post(|State(world): State<Arc<World>>| async move {
        world.seen.lock().unwrap().push("enter".into());
        Json(json!({"addon": {"id": "ad-1", "token": jwt(3600, 99)}}))
    });
    let backups = get(|headers: HeaderMap| async move {
        assert_ne!(headers["authorization"].len(), 0);
        Json(json!({"database_backups": [
            {"id": "b2", "database_id": "d", "name": "n", "size": null, "status": "weird", "method": "periodic",
             "created_at": "2026-08-29T02:02:14.120+02:00", "started_at": null}]}))
    });
    let routes = Router::new()
        .route("/v1/apps/{app}/addons/{id}/token", enter)
        .route("/api/databases/{id}/backups", backups);
    let (scalingo, world, _server) = client(3600, routes).await;
    let addon = AddonRef { app: "app".into(), addon: "ad-1".into() };
    for _ in 0..2 {
        let list = scalingo.backups(&addon).await.unwrap();
        assert_eq!(list[0].status.as_str(), "weird");
        assert_eq!(list[0].created_at.unwrap().to_rfc3339(), "2026-08-29T00:02:14.120+00:00");
    }
    assert_eq!(*world.seen.lock().unwrap(), ["enter"]);
}

#[tokio::test]
async fn a_backup_is_downloaded_without_credentials() {
    let routes = Router::new()
        .route(
            "/v1/apps/{app}/addons/{id}/token",
            post(|| async { Json(json!({"addon": {"token": jwt(3600, 1)}})) }),
        )
        .route(
            "/api/databases/{id}/backups/{b}/archive",
            get(|headers: HeaderMap| async move {
                let host = headers["host"].to_str().unwrap();
                Json(json!({ "download_url": format!("http://{host}/blob?token=opaque") }))
            }),
        )
        .route(
            "/blob",
            get(|request: Request<axum::body::Body>| async move {
                assert!(!request.headers().contains_key("authorization"));
                request.uri().to_string()
            }),
        );
    let (scalingo, _world, _server) = client(3600, routes).await;
    let addon = AddonRef { app: "app".into(), addon: "ad-1".into() };
    let download = scalingo.download_backup(&addon, "b1").await.unwrap().unwrap();
    assert_eq!(download.bytes(100).await.unwrap(), "/blob?token=opaque");
}

#[tokio::test]
async fn absent_things_are_none_and_deleting_them_is_no_error() {
    let gone =
        any(|| async { (StatusCode::NOT_FOUND, Json(json!({"resource": "app", "error": "not found"}))) });
    let (scalingo, _world, _server) = client(3600, Router::new().route("/v1/apps/{app}", gone)).await;
    assert!(scalingo.app("nobody").await.unwrap().is_none());
    assert!(!scalingo.delete_app("nobody").await.unwrap());
}

#[tokio::test]
async fn a_taken_name_is_recognised() {
    let taken = any(|| async {
        (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"errors": {"name": ["has already been taken"]}})))
    });
    let (scalingo, _world, _server) = client(3600, Router::new().route("/v1/apps", taken)).await;
    let new = apps::NewApp { name: "taken-name", project_id: None, stack_id: None };
    assert!(apps::name_is_taken(&scalingo.create_app(&new).await.unwrap_err()));
}

#[tokio::test]
async fn scaling_gives_an_operation_only_when_something_runs() {
    let body = json!({"containers": [{"id": "c", "app_id": "a", "name": "web", "amount": 2, "size": "M", "command": "x"}]});
    let (running, new) = (body.clone(), body);
    let routes = Router::new()
        .route(
            "/v1/apps/running/scale",
            post(move || async move {
                (
                    StatusCode::ACCEPTED,
                    [("location", "https://api.x/v1/apps/1/operations/op42")],
                    Json(running),
                )
            }),
        )
        .route("/v1/apps/new/scale", post(move || async move { Json(new) }));
    let (scalingo, _world, _server) = client(3600, routes).await;
    let web =
        formation::ContainerType { name: "web".into(), amount: 2, size: Some("M".into()), command: None };
    let scaled = scalingo.scale("running", std::slice::from_ref(&web)).await.unwrap();
    assert_eq!((scaled.operation.as_deref(), scaled.formation[0].amount), (Some("op42"), 2));
    assert_eq!(scalingo.scale("new", &[web]).await.unwrap().operation, None);
}

#[tokio::test]
async fn every_page_of_deployments_is_read() {
    let page = get(|uri: Uri| async move {
        let page = if uri.query().unwrap().contains("page=2") { 2 } else { 1 };
        let next = (page == 1).then_some(2);
        Json(json!({
            "deployments": [{"id": format!("d{page}"), "status": "success", "git_ref": null, "duration": null}],
            "meta": {"pagination": {"current_page": page, "next_page": next}},
        }))
    });
    let (scalingo, _world, _server) =
        client(3600, Router::new().route("/v1/apps/{app}/deployments", page)).await;
    let ids = |list: Vec<deployments::Deployment>| list.into_iter().map(|d| d.id).collect::<Vec<_>>();
    assert_eq!(ids(scalingo.deployments("app", 100).await.unwrap()), ["d1", "d2"]);
    assert_eq!(ids(scalingo.deployments("app", 1).await.unwrap()), ["d1"]);
}

#[tokio::test]
async fn addresses_come_from_the_region_when_none_are_configured() {
    let routes = Router::new()
        .route("/v1/regions", get(|headers: HeaderMap| async move {
            let base = format!("http://{}", headers["host"].to_str().unwrap());
            Json(json!({"regions": [{"name": "osc-fr1", "ssh": "ssh:22", "api": base, "database_api": base}]}))
        }))
        .route("/v1/apps", answer(json!({"apps": []})));
    let (known, _world, _server) = client(3600, routes).await;
    let config = ScalingoConfig { api_url: None, db_url: None, ..known.shared.config.clone() };
    let scalingo = Scalingo::new(config.clone(), fast(), HttpShared::default()).unwrap();
    assert!(scalingo.apps().await.unwrap().is_empty());
    let elsewhere = ScalingoConfig { region: "osc-nowhere".into(), ..config };
    let scalingo = Scalingo::new(elsewhere, fast(), HttpShared::default()).unwrap();
    assert!(matches!(scalingo.apps().await.unwrap_err(), ProviderError::Incomplete { .. }));
}

/// The samples of the vendor's reference, shortened to what is read.
#[test]
fn documented_samples_are_read() {
    let domain: domains::Domain = serde_json::from_value(json!({
        "id":"1","app_id":"2","name":"www.exemple.fr","created_at":"2026-08-28T08:00:00.000Z","ssl":false,"tlscert":null,
        "tlskey":null,"validity":null,"ssl_status":"pending","canonical":false,"letsencrypt_enabled":true,
        "letsencrypt":false,"letsencrypt_status":"pending_dns","acme_dns_fqdn":null,"acme_dns_error":{}}))
    .unwrap();
    assert_eq!(domain.letsencrypt_status, Some(domains::CertificateStatus::PendingDns));
}

#[tokio::test]
async fn an_app_whose_code_was_pushed_is_linked_to_nothing() {
    let link =
        json!({"scm_repo_link": {"id": "1", "source": "https://github.com/owner/code", "branch": "main"}});
    let routes = Router::new()
        .route("/v1/apps/linked/scm_repo_link", answer(link))
        .route("/v1/apps/empty/scm_repo_link", answer(json!({"scm_repo_link": null})));
    let (scalingo, _world, _server) = client(3600, routes).await;
    let linked = scalingo.scm_link("linked").await.unwrap().unwrap();
    assert_eq!(
        (linked.source.as_deref(), linked.branch.as_deref()),
        (Some("https://github.com/owner/code"), Some("main"))
    );
    for pushed in ["empty", "unknown"] {
        assert!(scalingo.scm_link(pushed).await.unwrap().is_none(), "{pushed}");
    }
}
