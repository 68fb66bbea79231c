//! Certificates come after DNS: once a name is seen to point at its app, one is asked for, and only then.

use std::sync::Arc;
use std::time::Duration;

use crate::dns::Caa;
use crate::paas::Paas;
use crate::world::Fault;

/// World time between two looks at the DNS.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// At least this much wall time between two looks, however fast the world runs.
const PAUSE: Duration = Duration::from_millis(200);
/// World time that the issuer takes.
const ISSUING: Duration = Duration::from_secs(20);

/// Under which name the text of a wildcard is looked for.
pub(in crate::paas) const CHALLENGE: &str = "_acme-challenge";

/// Follows the domain `host` of `app` until it has its certificate or is gone.
pub(in crate::paas) async fn follow(paas: Arc<Paas>, app: String, host: String) {
    while let Some(pending) = is_pending(&paas, &app, &host) {
        if pending && is_proven(&paas, &app, &host).await {
            issue(&paas, &app, &host).await;
            continue;
        }
        pause(&paas).await;
    }
}

/// Whether the domain waits for a certificate; `None` once it is gone or has one.
fn is_pending(paas: &Paas, app: &str, host: &str) -> Option<bool> {
    let state = paas.state();
    let domain = state.app(app)?.domains.iter().find(|domain| domain.name == host)?;
    domain.issued_at.is_none().then_some(domain.letsencrypt_enabled && domain.own.is_none())
}

/// Whether the DNS says that the name is the app's: by leading to it, or, for a wildcard, by the text that was asked for.
async fn is_proven(paas: &Paas, app: &str, host: &str) -> bool {
    let Some(parent) = host.strip_prefix("*.") else {
        return paas.plane.dns.points_to(host, &target(paas, app)).await;
    };
    let asked = {
        let state = paas.state();
        let domains = state.app(app).into_iter().flat_map(|app| &app.domains);
        domains.filter(|domain| domain.name == host).find_map(|domain| domain.acme_value.clone())
    };
    match asked {
        Some(value) => paas.plane.dns.has_text(&format!("{CHALLENGE}.{parent}"), &value).await,
        None => false,
    }
}

fn target(paas: &Paas, app: &str) -> String {
    paas.state().app(app).map_or_else(String::new, super::super::state::App::default_host)
}

async fn issue(paas: &Paas, app: &str, host: &str) {
    set_status(paas, app, host, "new");
    paas.world.clock.sleep(ISSUING).await;
    let refused = match paas.world.faults.take("acme", "issue", host) {
        Some(Fault::Reject { reason }) => Some(reason),
        Some(Fault::Latency { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            None
        }
        // It stays in its status until the domain is removed or the world stops.
        Some(Fault::Stall) => std::future::pending().await,
        _ => None,
    };
    let issued = match (refused, paas.plane.dns.may_issue(host).await) {
        (Some(reason), _) => Err(reason),
        (None, Caa::Allowed) => match granted(paas, app, host) {
            Some(granted) => granted,
            // It is gone, or its owner has brought one or wants none.
            None => return,
        },
        (None, Caa::Forbidden) => Err("a CAA record forbids it".into()),
        // The platform asks again; a name server that is down for a moment is no verdict.
        (None, Caa::Unknown) => return pause(paas).await,
    };
    match issued {
        Ok(()) => {}
        Err(reason) => {
            tracing::info!(host, reason, "certificate refused");
            set_status(paas, app, host, "error");
            pause(paas).await;
        }
    }
}

/// Puts the certificate of a domain that still waits for it in place; `None` where none does.
fn granted(paas: &Paas, app: &str, host: &str) -> Option<Result<(), String>> {
    let now = paas.world.clock.wall();
    paas.with_app(app, |app| {
        let mut waiting = app.domains.iter_mut().filter(|one| one.name == host && one.issued_at.is_none());
        let domain = waiting.find(|one| one.letsencrypt_enabled && one.own.is_none())?;
        // Under the state's lock: nobody removes it, or brings another one, in between.
        let issued = paas.plane.ingress.issue_certificate(host).map_err(|error| error.to_string());
        if issued.is_ok() {
            "created".clone_into(&mut domain.letsencrypt_status);
            domain.issued_at = Some(now);
        }
        Some(issued)
    })
    .flatten()
}

/// Until the next look.
async fn pause(paas: &Paas) {
    paas.world.clock.sleep(LOOK_EVERY).await;
    tokio::time::sleep(PAUSE).await;
}

/// Marks the domain as certified, now.
pub(in crate::paas) fn created(paas: &Paas, app: &str, host: &str) {
    set_status(paas, app, host, "created");
    let now = paas.world.clock.wall();
    paas.with_app(app, |app| {
        for domain in app.domains.iter_mut().filter(|domain| domain.name == host) {
            domain.issued_at = Some(now);
        }
    });
}

fn set_status(paas: &Paas, app: &str, host: &str, status: &str) {
    paas.with_app(app, |app| {
        for domain in app.domains.iter_mut().filter(|domain| domain.name == host) {
            status.clone_into(&mut domain.letsencrypt_status);
        }
    });
}
