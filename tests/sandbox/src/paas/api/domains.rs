//! Custom domains. A certificate comes after DNS, by [`work::certificate`](crate::paas::work::certificate).

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::session::{Role, Session};
use crate::paas::state::{App, Domain, State};
use crate::paas::view::date;
use crate::paas::{Paas, work};

/// Domains of one app.
const LIMIT: usize = 20;
/// Days that a certificate is valid.
const CERTIFICATE_DAYS: i64 = 45;

fn shown(app: &App, domain: &Domain) -> Value {
    let issued = domain.issued_at;
    json!({
        "id": domain.id, "app_id": app.id, "name": domain.name, "created_at": date(domain.created_at),
        "ssl": issued.is_some(), "tlscert": null, "tlskey": null,
        "validity": issued.map(|at| date(at + TimeDelta::days(CERTIFICATE_DAYS))),
        "ssl_status": if issued.is_some() { "success" } else { "pending" }, "canonical": domain.canonical,
        "letsencrypt_enabled": domain.letsencrypt_enabled, "letsencrypt": issued.is_some(),
        "letsencrypt_status": domain.letsencrypt_status, "acme_dns_fqdn": null, "acme_dns_value": null,
        "acme_dns_error": {},
    })
}

/// `GET …/domains`.
pub(super) async fn list(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Collaborator)?;
    Ok(Reply::ok(json!({"domains": app.domains.iter().map(|domain| shown(app, domain)).collect::<Value>()})))
}

/// `GET …/domains/:id`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Collaborator)?;
    let domain = app.domains.iter().find(|domain| domain.id == id).ok_or(Refusal::NotFound("domain"))?;
    Ok(Reply::ok(json!({"domain": shown(app, domain)})))
}

/// `POST …/domains`. No proof of ownership is asked.
pub(super) async fn create(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("domain")?;
    refuse_own_certificate(wanted)?;
    let name = text(wanted, "name").trim_end_matches('.').to_ascii_lowercase();
    let (body, app) = {
        let mut state = paas.state();
        check_name(&state, &name)?;
        let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
        if app.domains.len() >= LIMIT {
            return Err(Refusal::invalid("name", "can't have more than 20 domains"));
        }
        let mut domain = paas.new_domain(&name);
        domain.letsencrypt_enabled = flag(wanted, "letsencrypt_enabled").unwrap_or(true);
        app.domains.push(domain.clone());
        set_canonical(&paas, app, &domain.id, flag(wanted, "canonical"));
        let domain = app.domains.last().unwrap_or(&domain);
        (json!({"domain": shown(app, domain)}), app.name.clone())
    };
    paas.attach(&app, &name);
    Ok(Reply::created(body).about(format!("{app}/{name}")))
}

/// `PATCH …/domains/:id`: canonical, or whether a certificate is wanted.
pub(super) async fn update(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("domain")?;
    refuse_own_certificate(wanted)?;
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    set_canonical(&paas, app, &id, flag(wanted, "canonical"));
    let domain = app.domains.iter_mut().find(|domain| domain.id == id).ok_or(Refusal::NotFound("domain"))?;
    domain.letsencrypt_enabled = flag(wanted, "letsencrypt_enabled").unwrap_or(domain.letsencrypt_enabled);
    let domain = domain.clone();
    Ok(Reply::ok(json!({"domain": shown(app, &domain)})).about(format!("{}/{}", app.name, domain.name)))
}

/// `DELETE …/domains/:id`: at once; a name that still points here gets 404.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    let place = app.domains.iter().position(|domain| domain.id == id).ok_or(Refusal::NotFound("domain"))?;
    let domain = app.domains.remove(place);
    if domain.canonical {
        paas.plane.ingress.set_canonical(&app.name, None);
    }
    paas.plane.ingress.detach(&domain.name);
    paas.plane.ingress.forget_certificate(&domain.name);
    Ok(Reply::no_content().about(format!("{}/{}", app.name, domain.name)))
}

fn flag(wanted: &Map<String, Value>, key: &str) -> Option<bool> {
    wanted.get(key).and_then(Value::as_bool)
}

/// The sandbox's ingress shows its own certificates only; taking one and not showing it would be a lie.
fn refuse_own_certificate(wanted: &Map<String, Value>) -> Result<(), Refusal> {
    match (text(wanted, "tlscert"), text(wanted, "tlskey")) {
        ("", "") => Ok(()),
        (_, "") => Err(Refusal::invalid("tlskey", "can't be blank")),
        _ => Err(Refusal::invalid("tlscert", "own certificates are not offered by this sandbox")),
    }
}

fn check_name(state: &State, name: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '*');
    let message = if name.is_empty() {
        "can't be blank"
    } else if !name.chars().all(allowed) || !name.contains('.') || name.len() > 253 {
        "is invalid"
    } else if state.apps.iter().any(|app| app.domains.iter().any(|domain| domain.name == name)) {
        "has already been taken"
    } else {
        return Ok(());
    };
    Err(Refusal::invalid("name", message))
}

/// One domain is canonical at most; the others then redirect to it.
fn set_canonical(paas: &Paas, app: &mut App, id: &str, canonical: Option<bool>) {
    let Some(on) = canonical else { return };
    for domain in &mut app.domains {
        domain.canonical = if domain.id == id { on } else { domain.canonical && !on };
    }
    let host = app.domains.iter().find(|domain| domain.canonical).map(|domain| domain.name.as_str());
    paas.plane.ingress.set_canonical(&app.name, host);
}

impl Paas {
    /// A domain that waits for its DNS.
    pub(in crate::paas) fn new_domain(&self, name: &str) -> Domain {
        let wildcard = name.starts_with("*.");
        Domain {
            id: self.world.ids.hex(24),
            name: name.into(),
            created_at: self.world.clock.wall(),
            canonical: false,
            letsencrypt_enabled: true,
            letsencrypt_status: if wildcard { "dns_required" } else { "pending_dns" }.into(),
            issued_at: None,
        }
    }

    /// Routes `host` to `app` and follows its DNS until it has a certificate.
    pub(in crate::paas) fn attach(self: &Arc<Self>, app: &str, host: &str) {
        self.plane.ingress.attach(host, app);
        let follow = work::certificate::follow(Arc::clone(self), app.to_owned(), host.to_owned());
        self.world.tasks.spawn("certificate", follow);
    }
}
