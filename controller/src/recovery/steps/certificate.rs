//! A certificate for the name: told by the platform, then seen in a handshake.
//!
//! The handshake is made where the app is, by its default host: resolvers may remember for a day where the name led before, and what is
//! there may show a valid certificate, too.

use std::time::Duration;

use super::{Ctx, Result, StepError};
use crate::providers::probe::CertificateSummary;
use crate::providers::scalingo::domains::CertificateStatus;
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::{Made, SwitchedName};
use crate::recovery::step::{Site, Step};
use crate::store::SpanKind;

/// What is known of the name's certificate.
struct Seen {
    told: Option<CertificateStatus>,
    /// At each address of the app.
    shown: Vec<CertificateSummary>,
}

pub(super) async fn run(ctx: &Ctx, site: &Site) -> Result<Made> {
    let switched: SwitchedName = ctx.outputs.get(&Step::Cname(site.clone()))?;
    // The platform asks resolvers, too, and is told the old answer for its whole time to live.
    ctx.expect_silence("ttl", Duration::from_secs(switched.old_ttl_seconds));
    let pace = Pace { waiting_for: SpanKind::Provider, ..Pace::PROVIDER };
    let decide = |seen: &Seen| decide(&site.domain, seen);
    drive(
        ctx,
        pace,
        false,
        || observe(ctx, site, &switched.target),
        decide,
        |(): ()| std::future::ready(Ok(())),
    )
    .await
}

/// `target`: the app's default host.
async fn observe(ctx: &Ctx, site: &Site, target: &str) -> Result<Seen> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let listed = platform.domains(&site.app).await;
    let domains = listed.map_err(StepError::provider(format!("listing the domains of {}", site.app)))?;
    let told = domains
        .into_iter()
        .find(|domain| domain.name.eq_ignore_ascii_case(&site.domain))
        .and_then(|domain| domain.letsencrypt_status);
    let ready = told == Some(CertificateStatus::Created);
    let shown = if ready {
        let looked = ctx.tools.look_through(&site.domain, target, "/").await?.unwrap_or_default();
        looked.into_iter().filter_map(|seen| seen.certificate).collect()
    } else {
        Vec::new()
    };
    Ok(Seen { told, shown })
}

fn decide(domain: &str, seen: &Seen) -> Result<Next<(), Made>> {
    match (&seen.told, seen.shown.as_slice()) {
        (_, [shown, ..]) if seen.shown.iter().all(|one| one.names_exactly(domain)) => {
            Ok(Next::Done(Made { id: shown.serial.clone() }))
        }
        (Some(CertificateStatus::Error), _) => Err(StepError::refused(
            format!("the platform could not get a certificate for {domain}"),
            "look at the domain in the platform's dashboard (CAA records? the authority's weekly quota?), then resume the request",
        )),
        (Some(CertificateStatus::Created), _) => {
            Ok(Next::Wait(format!("the certificate for {domain} exists and is not shown yet")))
        }
        (Some(told), _) => Ok(Next::Wait(format!("the certificate for {domain} is {told}"))),
        (None, _) => Ok(Next::Wait(format!("the platform says nothing of a certificate for {domain}"))),
    }
}
