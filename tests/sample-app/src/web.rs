//! The web process: a few pages that show what is there.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;

use crate::bucket::Bucket;
use crate::error::AppError;
use crate::settings::Settings;
use crate::{database, hosts, migrate, signals, worker};

const CONNECTIONS: u32 = 4;
const DATABASE_PATIENCE: Duration = Duration::from_secs(10);
/// Requests in flight get this long after SIGTERM; the platform kills after 30 s.
const DRAIN: Duration = Duration::from_secs(20);

/// What every page needs.
struct Site {
    settings: Settings,
    pool: PgPool,
    bucket: Bucket,
}

/// Serves until asked to stop, then lets requests in flight end.
pub(crate) async fn serve(mut settings: Settings) -> Result<(), AppError> {
    let port = settings.port.ok_or(AppError::Missing(vec!["PORT"]))?;
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(DATABASE_PATIENCE);
    let pool = pool.connect_lazy_with(settings.database.clone());
    let bucket = Bucket::new(std::mem::take(&mut settings.bucket));
    let router = router(Arc::new(Site { settings, pool, bucket }));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .await
        .map_err(AppError::system("listening on PORT"))?;
    let (stopping, stopped) = tokio::sync::watch::channel(false);
    let asked = async move {
        signals::asked_to_stop().await.ok();
        stopping.send_replace(true);
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(asked);
    tokio::select! {
        served = serving.into_future() => served.map_err(AppError::system("serving")),
        () = drained(stopped) => Ok(()),
    }
}

/// Resolves when requests had their time to end after the stop.
async fn drained(mut stopped: tokio::sync::watch::Receiver<bool>) {
    stopped.wait_for(|stopped| *stopped).await.map(drop).ok();
    tokio::time::sleep(DRAIN).await;
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(health))
        .route("/rows", get(rows))
        .route("/objects/{*key}", get(object))
        .route("/readonly", get(read_only))
        .route("/migrations", get(migrations))
        .layer(from_fn_with_state(Arc::clone(&site), known_host))
        .with_state(site)
}

/// Nothing is answered under a name that is not ours.
async fn known_host(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if hosts::is_allowed(host, &site.settings.allowed_hosts) {
        return next.run(request).await;
    }
    (StatusCode::BAD_REQUEST, Json(json!({"error": "this host is not in ALLOWED_HOSTS"}))).into_response()
}

async fn index(State(site): State<Arc<Site>>) -> Json<Value> {
    let Settings { app, environment, revision, .. } = &site.settings;
    Json(json!({"app": app, "environment": environment, "revision": revision}))
}

async fn health(State(site): State<Arc<Site>>) -> Result<Json<Value>, Failure> {
    worker::ping(&site.settings.redis).await?;
    sqlx::query("SELECT 1").execute(&site.pool).await.map_err(AppError::database("asking for life"))?;
    Ok(Json(json!({"database": true, "redis": true})))
}

async fn rows(State(site): State<Arc<Site>>) -> Result<Json<Value>, Failure> {
    Ok(Json(json!(database::count_rows(&site.pool).await?)))
}

async fn read_only(State(site): State<Arc<Site>>) -> Result<Json<Value>, Failure> {
    let rights = database::read_only_rights(&site.settings).await?;
    Ok(Json(json!({"can_read": rights.can_read, "can_write": rights.can_write})))
}

async fn migrations(State(site): State<Arc<Site>>) -> Result<Json<Value>, Failure> {
    Ok(Json(migrate::list(&site.pool).await?))
}

async fn object(State(site): State<Arc<Site>>, Path(key): Path<String>) -> Result<Response, Failure> {
    let Some(object) = site.bucket.get(&key).await? else {
        return Ok((StatusCode::NOT_FOUND, Json(json!({"error": "there is no such object"}))).into_response());
    };
    let kind = object.content_type.unwrap_or_else(|| "application/octet-stream".into());
    let length = object.content_length.map(|length| [(header::CONTENT_LENGTH, length.to_string())]);
    let body = Body::from_stream(ReaderStream::new(object.body.into_async_read()));
    let named = ([(header::CONTENT_TYPE, kind)], body);
    Ok(match length {
        Some(length) => (length, named).into_response(),
        None => named.into_response(),
    })
}

/// A page that could not be made: 503, since what is missing may come back.
struct Failure(AppError);

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": self.0.chain()}))).into_response()
    }
}
