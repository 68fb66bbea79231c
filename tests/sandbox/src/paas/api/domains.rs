//! Custom domains. A certificate comes after DNS, by [`work::certificate`](crate::paas::work::certificate).

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::events;
use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::session::{Role, Session};
use crate::paas::state::{App, Domain, OwnTls, State};
use crate::paas::view::date;
use crate::paas::{Paas, work};
use crate::plane::ingress::{OwnCertificate, OwnCertificateError};

/// Domains of one app.
const LIMIT: usize = 20;
/// Private names of a page.
const NAMES: usize = 20;
/// Days that a certificate is valid.
const CERTIFICATE_DAYS: i64 = 45;

fn shown(app: &App, domain: &Domain) -> Value {
    let (issued, own) = (domain.issued_at, domain.own.as_ref());
    let ssl = domain.has_certificate();
    let ends =
        own.map(|own| own.not_after).or_else(|| issued.map(|at| at + TimeDelta::days(CERTIFICATE_DAYS)));
    let challenged = domain.acme_value.as_ref().filter(|_| domain.letsencrypt_status == "dns_required");
    let parent = domain.name.trim_start_matches("*.");
    json!({
        "id": domain.id, "app_id": app.id, "name": domain.name, "created_at": date(domain.created_at),
        "ssl": ssl, "tlscert": own.map(|own| &own.subject), "tlskey": own.map(|own| &own.key_kind),
        "validity": ends.map(date), "ssl_status": if ssl { "success" } else { "pending" }, "canonical": domain.canonical,
        "letsencrypt_enabled": domain.letsencrypt_enabled, "letsencrypt": issued.is_some() && own.is_none(),
        "letsencrypt_status": domain.letsencrypt_status,
        "acme_dns_fqdn": challenged.map(|_| format!("{}.{parent}", work::certificate::CHALLENGE)),
        "acme_dns_value": challenged, "acme_dns_error": {},
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

/// `GET …/private_network_domain_names`: this world has no private networks between apps. The vendor's client takes the page's
/// numbers beside `data`, where its other lists have them one deeper: both are there.
pub(super) async fn private(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    paas.state().app_for(&session.user, &key, Role::Limited)?;
    let mut meta = json!({"current_page": 1, "page_size": NAMES, "prev_page": 1, "next_page": 1, "total_pages": 1, "total_count": 0});
    meta["pagination"] = events::pagination(1, NAMES, 0)["pagination"].clone();
    Ok(Reply::ok(json!({"domain_names": {"data": [], "meta": meta}})))
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
    let name = text(wanted, "name").trim_end_matches('.').to_ascii_lowercase();
    let (body, app) = {
        let mut state = paas.state();
        check_name(&state, &name)?;
        let tls = own_certificate(&paas, &name, wanted)?;
        refuse_canonical_wildcard(&name, wanted)?;
        let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
        if app.domains.len() >= LIMIT {
            return Err(Refusal::invalid("name", "can't have more than 20 domains"));
        }
        let mut domain = paas.new_domain(&name);
        domain.letsencrypt_enabled = flag(wanted, "letsencrypt_enabled").unwrap_or(true);
        if let Tls::Brought(kept, read) = tls {
            domain.own = Some(*kept);
            paas.plane.ingress.install_certificate(&name, read);
        }
        app.domains.push(domain.clone());
        set_canonical(&paas, app, &domain.id, flag(wanted, "canonical"));
        let domain = app.domains.last().unwrap_or(&domain);
        (json!({"domain": shown(app, domain)}), app.name.clone())
    };
    paas.attach(&app, &name);
    Ok(Reply::created(body).about(format!("{app}/{name}")))
}

/// `PATCH …/domains/:id`: canonical, an own certificate, or whether one is wanted.
pub(super) async fn update(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("domain")?;
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    let app_name = app.name.clone();
    let domain = app.domains.iter_mut().find(|domain| domain.id == id).ok_or(Refusal::NotFound("domain"))?;
    let tls = own_certificate(&paas, &domain.name, wanted)?;
    refuse_canonical_wildcard(&domain.name, wanted)?;
    domain.letsencrypt_enabled = flag(wanted, "letsencrypt_enabled").unwrap_or(domain.letsencrypt_enabled);
    // The vendor's Go client sends a whole domain with a certificate: this `false` was said by nobody.
    let canonical = flag(wanted, "canonical").filter(|on| *on || !matches!(tls, Tls::Brought(..)));
    match tls {
        Tls::Unsaid => {}
        Tls::Brought(kept, read) => {
            domain.own = Some(*kept);
            paas.plane.ingress.install_certificate(&domain.name, read);
        }
        Tls::Removed => paas.remove_own_certificate(&app_name, domain),
    }
    let domain = domain.clone();
    set_canonical(&paas, app, &id, canonical);
    let domain = app.domains.iter().find(|one| one.id == id).unwrap_or(&domain);
    Ok(Reply::ok(json!({"domain": shown(app, domain)})).about(format!("{}/{}", app.name, domain.name)))
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

/// What a request says of an own certificate.
enum Tls {
    /// Nothing.
    Unsaid,
    /// It is to go: both were sent blank.
    Removed,
    Brought(Box<OwnTls>, OwnCertificate),
}

/// The own certificate in a request for `host`, checked.
fn own_certificate(paas: &Paas, host: &str, wanted: &Map<String, Value>) -> Result<Tls, Refusal> {
    let said = |key: &str| wanted.get(key).is_some_and(|value| !value.is_null());
    let (certificate, key) = (text(wanted, "tlscert"), text(wanted, "tlskey"));
    match (certificate, key) {
        ("", "") if said("tlscert") || said("tlskey") => return Ok(Tls::Removed),
        ("", "") => return Ok(Tls::Unsaid),
        (_, "") => return Err(Refusal::invalid("tlskey", "can't be blank")),
        ("", _) => return Err(Refusal::invalid("tlscert", "can't be blank")),
        _ => {}
    }
    let read = OwnCertificate::parse(host, certificate, key, paas.world.clock.wall()).map_err(|error| {
        let of_key = matches!(error, OwnCertificateError::Key | OwnCertificateError::Mismatch);
        Refusal::invalid(if of_key { "tlskey" } else { "tlscert" }, &error.to_string())
    })?;
    let kept = OwnTls {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        subject: read.subject.clone(),
        key_kind: read.key.clone(),
        not_after: read.not_after,
    };
    Ok(Tls::Brought(Box::new(kept), read))
}

fn check_name(state: &State, name: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '*');
    let well_formed = name.chars().all(allowed)
        && name.contains('.')
        && name.len() <= 253
        && !name.trim_start_matches("*.").contains('*')
        && !name.ends_with(&format!(".{}", crate::paas::DEFAULT_DOMAIN));
    let message = if name.is_empty() {
        "can't be blank"
    } else if !well_formed {
        "is invalid"
    } else if state.apps.iter().any(|app| app.domains.iter().any(|domain| domain.name == name)) {
        "has already been taken"
    } else {
        return Ok(());
    };
    Err(Refusal::invalid("name", message))
}

/// Nothing can be redirected to a name that is many.
fn refuse_canonical_wildcard(name: &str, wanted: &Map<String, Value>) -> Result<(), Refusal> {
    if name.starts_with("*.") && flag(wanted, "canonical") == Some(true) {
        return Err(Refusal::invalid("canonical", "a wildcard domain can't be canonical"));
    }
    Ok(())
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
            acme_value: wildcard.then(|| self.world.ids.secret(43)),
            own: None,
        }
    }

    /// The domain goes back to the platform's own certificate, for which it waits again.
    fn remove_own_certificate(self: &Arc<Self>, app: &str, domain: &mut Domain) {
        if domain.own.take().is_none() {
            return;
        }
        self.plane.ingress.forget_certificate(&domain.name);
        if domain.issued_at.take().is_some() {
            // Nobody follows a domain that had its certificate.
            "pending_dns".clone_into(&mut domain.letsencrypt_status);
            self.attach(app, &domain.name);
        }
    }

    /// Routes `host` to `app` and follows its DNS until it has a certificate.
    pub(in crate::paas) fn attach(self: &Arc<Self>, app: &str, host: &str) {
        self.plane.ingress.attach(host, app);
        let follow = work::certificate::follow(Arc::clone(self), app.to_owned(), host.to_owned());
        self.world.tasks.spawn("certificate", follow);
    }
}
