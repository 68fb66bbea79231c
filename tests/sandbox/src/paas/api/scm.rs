//! The link of an app to a repository at GitHub or GitLab: kept as it is set. There is no such repository in reach here, so nothing
//! is deployed from it: what would, says so.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State as Shared};
use axum::routing::{MethodFilter, MethodRouter, get, on, post};
use serde_json::{Map, Value, json};

use super::events;
use crate::paas::Paas;
use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::session::{Role, Session, role};
use crate::paas::view::{self, date};

/// Settings of a link that a client may set, with what they are at first.
const SETTINGS: &[(&str, bool)] = &[
    ("auto_deploy_enabled", false),
    ("deploy_review_apps_enabled", false),
    ("delete_on_close_enabled", true),
    ("delete_stale_enabled", false),
    ("automatic_creation_from_forks_allowed", false),
];
/// Links of a page, at most.
const MOST: usize = 100;
const HOURS: &[&str] = &["hours_before_delete_on_close", "hours_before_delete_stale"];

/// All routes.
pub(super) fn routes() -> Router<Arc<Paas>> {
    let link: MethodRouter<Arc<Paas>> =
        on(MethodFilter::PATCH.or(MethodFilter::PUT), update).get(show).post(create).delete(remove);
    Router::new()
        .route("/v1/apps/{app}/scm_repo_link", link)
        .route("/v1/apps/{app}/scm_repo_link/manual_deploy", post(unreachable_repository))
        .route("/v1/apps/{app}/scm_repo_link/manual_review_app", post(unreachable_repository))
        .route("/v1/apps/{app}/scm_repo_link/deployments", get(deployments))
        .route("/v1/apps/{app}/scm_repo_link/review_apps", get(review_apps))
        .route("/v1/apps/{app}/scm_repo_link/branches", get(branches))
        .route("/v1/apps/{app}/scm_repo_link/pulls", get(pulls))
        .route("/v1/apps/{app}/scm_repo_link/pulls/{number}", get(pull))
        .route("/v1/scm_repo_links", get(list))
}

fn missing() -> Refusal {
    Refusal::NotFound("scm_repo_link")
}

/// `GET /v1/scm_repo_links`: those of all apps that the user sees.
async fn list(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Query(query): Query<HashMap<String, String>>,
) -> Reply {
    let state = paas.state();
    let mine = state.apps.iter().filter(|app| role(app, &session.user).is_some());
    let links: Vec<&Value> = mine.filter_map(|app| app.scm_link.as_ref()).collect();
    let (page, size) = events::paging(&query, MOST);
    let shown = links.iter().skip((page - 1).saturating_mul(size)).take(size);
    let meta = events::pagination(page, size, links.len());
    Reply::ok(json!({"scm_repo_links": shown.collect::<Vec<_>>(), "meta": meta}))
}

async fn show(Shared(paas): Shared<Arc<Paas>>, session: Session, Path(key): Path<String>) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    Ok(Reply::ok(json!({"scm_repo_link": app.scm_link.as_ref().ok_or_else(missing)?})))
}

/// `POST …/scm_repo_link {"scm_repo_link":{"source":"https://github.com/owner/repo","branch":…}}`.
async fn create(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("scm_repo_link")?;
    let source = text(wanted, "source");
    let (kind, owner, repository) = parsed(source).ok_or_else(|| Refusal::invalid("source", "is invalid"))?;
    let mut state = paas.state();
    let linker = view::somebody(state.user(&session.user));
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    if app.scm_link.is_some() {
        return Err(Refusal::invalid("app", "is already linked to a repository"));
    }
    let now = date(paas.world.clock.wall());
    let integration = text(wanted, "auth_integration_uuid");
    let mut link = json!({
        "id": paas.world.ids.uuid().to_string(), "app_id": app.id, "linker": linker, "owner": owner, "repo": repository,
        "source": source, "scm_type": kind, "branch": "", "url": host(source), "created_at": now, "updated_at": now,
        "auth_integration_uuid": integration, "scm_integration_uuid": integration, "last_auto_deploy_at": null,
    });
    for (name, first) in SETTINGS {
        link[*name] = json!(first);
    }
    for name in HOURS {
        link[*name] = json!(0);
    }
    apply(&mut link, wanted);
    app.scm_link = Some(link.clone());
    Ok(Reply::created(json!({"scm_repo_link": link})).about(format!("{}/scm_repo_link", app.name)))
}

async fn update(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let change = input.maybe_wrapped("scm_repo_link").as_object().cloned().unwrap_or_default();
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    let name = app.name.clone();
    let link = app.scm_link.as_mut().ok_or_else(missing)?;
    apply(link, &change);
    link["updated_at"] = json!(date(paas.world.clock.wall()));
    Ok(Reply::ok(json!({"scm_repo_link": link})).about(format!("{name}/scm_repo_link")))
}

async fn remove(Shared(paas): Shared<Arc<Paas>>, session: Session, Path(key): Path<String>) -> Answer {
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    app.scm_link.take().ok_or_else(missing)?;
    Ok(Reply::no_content().about(format!("{}/scm_repo_link", app.name)))
}

fn apply(link: &mut Value, change: &Map<String, Value>) {
    if let Some(branch) = change.get("branch").and_then(Value::as_str) {
        link["branch"] = json!(branch);
    }
    for (name, _) in SETTINGS {
        if let Some(on) = change.get(*name).and_then(Value::as_bool) {
            link[*name] = json!(on);
        }
    }
    for name in HOURS {
        if let Some(hours) = change.get(*name).and_then(Value::as_u64) {
            link[*name] = json!(hours);
        }
    }
}

/// `https://github.com/owner/repo` in its parts.
fn parsed(source: &str) -> Option<(&'static str, String, String)> {
    let url = url::Url::parse(source).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let kind = match url.host_str()? {
        "github.com" => "github",
        "gitlab.com" => "gitlab",
        host if host.contains("gitlab") => "gitlab-self-hosted",
        _ => "github-enterprise",
    };
    let mut path = url.path().trim_matches('/').trim_end_matches(".git").rsplitn(2, '/');
    let (repository, owner) = (path.next()?, path.next()?);
    (!repository.is_empty() && !owner.is_empty()).then(|| (kind, owner.to_owned(), repository.to_owned()))
}

/// Where the repository's service is: what the vendor's clients put owner and name behind.
fn host(source: &str) -> String {
    url::Url::parse(source).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

/// A deployment from elsewhere needs the elsewhere.
async fn unreachable_repository(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    app.scm_link.as_ref().ok_or_else(missing)?;
    Err(Refusal::BadRequest(
        "the linked repository cannot be reached from this sandbox: push, or deploy an archive".into(),
    ))
}

async fn deployments(s: Shared<Arc<Paas>>, session: Session, key: Path<String>) -> Answer {
    nothing(&s, &session, &key, "deployments")
}

async fn review_apps(s: Shared<Arc<Paas>>, session: Session, key: Path<String>) -> Answer {
    nothing(&s, &session, &key, "review_apps")
}

async fn branches(s: Shared<Arc<Paas>>, session: Session, key: Path<String>) -> Answer {
    nothing(&s, &session, &key, "branches")
}

async fn pulls(s: Shared<Arc<Paas>>, session: Session, key: Path<String>) -> Answer {
    nothing(&s, &session, &key, "pulls")
}

/// A repository that cannot be reached has no pull request.
async fn pull(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, _)): Path<(String, String)>,
) -> Answer {
    nothing(&paas, &session, &key, "pulls")?;
    Err(Refusal::NotFound("pull_request"))
}

fn nothing(paas: &Paas, session: &Session, key: &str, list: &str) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, key, Role::Limited)?;
    app.scm_link.as_ref().ok_or_else(missing)?;
    Ok(Reply::ok(json!({list: []})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_read_from_its_address() {
        let parts = |source: &str| parsed(source).map(|(kind, owner, name)| format!("{kind} {owner} {name}"));
        assert_eq!(parts("https://github.com/agence/site.git").as_deref(), Some("github agence site"));
        assert_eq!(parts("https://gitlab.com/group/sub/site").as_deref(), Some("gitlab group/sub site"));
        assert_eq!(parts("https://github.com/agence"), None);
        assert_eq!(parts("git@github.com:agence/site.git"), None);
    }
}
