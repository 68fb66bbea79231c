//! The attach server of one-off containers: a port of its own, spoken to with Basic auth (the bearer as password).
//!
//! `CONNECT /c/ID` answers 200 and the connection is then the container's terminal; files, the terminal's size and the exit code
//! have addresses below.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Multipart, Path, Request, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::Paas;
use super::one_offs::Known;
use super::reply::{Input, Refusal};
use super::session::{self, Role};
use crate::http::{Caller, Resource};
use crate::plane::runner::oneoff::Exit;

/// One file, as documented; a little more for the form around it.
const LARGEST: usize = 100 * 1024 * 1024;
const FORM: usize = LARGEST + 64 * 1024;

/// All routes.
pub(super) fn router(paas: &Arc<Paas>) -> Router {
    Router::new()
        .route("/c/{id}", any(container))
        .route("/c/{id}/files", post(files).layer(DefaultBodyLimit::max(FORM)))
        .route("/c/{id}/wait", get(wait))
        .fallback(async || Refusal::NotFound("container"))
        .with_state(Arc::clone(paas))
}

/// `CONNECT`: becomes the container's terminal. `PUT`: the terminal's size.
async fn container(
    Shared(paas): Shared<Arc<Paas>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (known, user) = paas.attached(request.headers(), &id)?;
    let response = match *request.method() {
        Method::CONNECT => connect(&paas, &known, request)?,
        Method::PUT => resize(&known, request).await?,
        _ => return Err(Refusal::NotFound("container")),
    };
    Ok((axum::Extension(Caller(user)), axum::Extension(Resource(known.label())), response).into_response())
}

fn connect(paas: &Arc<Paas>, known: &Known, mut request: Request) -> Result<Response, Refusal> {
    if known.detached || !known.real.claim() {
        return Err(Refusal::Conflict("the container is not waiting for a connection".into()));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let real = Arc::clone(&known.real);
    paas.world.tasks.spawn("attached one-off", async move {
        match upgrade.await {
            Ok(stream) => real.attach(TokioIo::new(stream)).await,
            Err(error) => {
                tracing::debug!(%error, "a connection to a one-off container broke");
                real.abandon();
            }
        }
    });
    Ok(StatusCode::OK.into_response())
}

/// Width and height are texts from the command line, numbers in the documentation.
async fn resize(known: &Known, request: Request) -> Result<Response, Refusal> {
    let input = <Input as axum::extract::FromRequest<()>>::from_request(request, &()).await?;
    let side = |key: &str| {
        let value = input.0.get(key);
        let number = value.and_then(Value::as_u64).or_else(|| value?.as_str()?.parse().ok());
        number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0)
    };
    let invalid = |key: &str| Refusal::invalid(key, "is not a number");
    let width = side("width").ok_or_else(|| invalid("width"))?;
    let height = side("height").ok_or_else(|| invalid("height"))?;
    known.real.resize(width, height).await;
    Ok(StatusCode::OK.into_response())
}

/// `POST …/files`: the form's field `file`, to be found in `/tmp/uploads` by a container that has not started.
async fn files(
    Shared(paas): Shared<Arc<Paas>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Result<Response, Response> {
    let (known, user) = paas.attached(&headers, &id).map_err(IntoResponse::into_response)?;
    if known.detached {
        let refusal = Refusal::BadRequest("files cannot be sent to a detached container".into());
        return Err(refusal.into_response());
    }
    let unreadable =
        |error: axum::extract::multipart::MultipartError| (error.status(), error.body_text()).into_response();
    let mut stored = 0;
    while let Some(mut field) = form.next_field().await.map_err(unreadable)? {
        let name = field.file_name().and_then(file_name).map(str::to_owned);
        let (Some("file"), Some(name)) = (field.name(), name) else { continue };
        let target = known.real.uploads().join(name);
        let broken = |error: std::io::Error| {
            tracing::warn!(%error, "a file for a one-off container was not stored");
            Refusal::Broken.into_response()
        };
        let mut file = create(&target).await.map_err(broken)?;
        let mut size = 0;
        while let Some(chunk) = field.chunk().await.map_err(unreadable)? {
            size += chunk.len();
            if size > LARGEST {
                return Err(
                    (StatusCode::PAYLOAD_TOO_LARGE, "file too large (maximum is 100 MiB)\n").into_response()
                );
            }
            file.write_all(&chunk).await.map_err(broken)?;
        }
        file.flush().await.map_err(broken)?;
        stored += 1;
    }
    if stored == 0 {
        return Err(Refusal::BadRequest("file is required".into()).into_response());
    }
    let about = (axum::Extension(Caller(user)), axum::Extension(Resource(known.label())));
    Ok((about, StatusCode::OK).into_response())
}

/// The last part of what a client calls its file, if it can be one's name.
fn file_name(said: &str) -> Option<&str> {
    let name = said.rsplit(['/', '\\']).next()?;
    (!matches!(name, "" | "." | "..") && !name.contains('\0')).then_some(name)
}

async fn create(path: &FilePath) -> std::io::Result<tokio::fs::File> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    tokio::fs::File::create(path).await
}

/// `GET …/wait`: answers when the container has ended; 408 if it was killed because nothing happened.
async fn wait(
    Shared(paas): Shared<Arc<Paas>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (known, _) = paas.attached(&headers, &id)?;
    Ok(match known.real.ended().await {
        Exit::Code(code) => axum::Json(json!({"exit_code": code})).into_response(),
        Exit::Idle => {
            let told = json!({"error": "the container was stopped after a time without activity"});
            (StatusCode::REQUEST_TIMEOUT, axum::Json(told)).into_response()
        }
    })
}

impl Paas {
    /// The container that the bearer in the Basic header may use, and whose it is.
    fn attached(&self, headers: &HeaderMap, id: &str) -> Result<(Known, String), Refusal> {
        let refused = || Refusal::Unauthorized("invalid access token".into());
        let (_, token) = session::basic(headers).ok_or_else(refused)?;
        let user = self.claims_of(&token)?.uuid;
        let known = self.one_offs.get(id).ok_or(Refusal::NotFound("container"))?;
        self.state().app_for(&user, &known.app_id, Role::Collaborator)?;
        Ok((known, user))
    }
}
