//! A certificate for the name: told by the platform, then seen in a handshake.
//!
//! The handshake is made where the app is, by its default host: resolvers may remember for a day where the name led before, and what is
//! there may show a valid certificate, too.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Ctx, Result, StepError};
use crate::providers::probe::CertificateSummary;
use crate::providers::scalingo::domains::CertificateStatus;
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::{Made, SwitchedName};
use crate::recovery::step::{Site, Step};
use crate::store::SpanKind;

/// How long the platform may take to ask again for a certificate that it did not get, and servers to publish what was changed: after a switch,
/// and after somebody has mended what kept it.
const ASKED_AGAIN: Duration = Duration::from_mins(10);

/// What is known of the name's certificate.
struct Seen {
    told: Option<CertificateStatus>,
    /// At each address of the app.
    shown: Vec<CertificateSummary>,
    /// The platform may not have asked again yet: resolvers may still remember where the name led before, or what kept it was mended just now.
    early: bool,
}

pub(super) async fn run(ctx: &Ctx, site: &Site) -> Result<Made> {
    let switched: SwitchedName = ctx.outputs.get(&Step::Cname(site.clone()))?;
    // The platform asks resolvers, too, and is told the old answer for its whole time to live.
    let old_ttl = Duration::from_secs(switched.old_ttl_seconds);
    ctx.expect_silence("ttl", old_ttl);
    let forgotten = forgotten_at(ctx, site, ctx.tools.clock.scaled(old_ttl)).await?;
    let asked = asked_again_by(ctx).await?;
    let early = || {
        let now = ctx.tools.clock.now();
        now < forgotten || asked.is_some_and(|until| now < until)
    };
    let pace = Pace { waiting_for: SpanKind::Provider, ..Pace::PROVIDER };
    let decide = |seen: &Seen| decide(&site.domain, seen);
    drive(
        ctx,
        pace,
        false,
        || async {
            let (told, shown) = observe(ctx, site, &switched.target).await?;
            Ok(Seen { told, shown, early: early() })
        },
        decide,
        |(): ()| std::future::ready(Ok(())),
    )
    .await
}

/// `target`: the app's default host.
async fn observe(
    ctx: &Ctx,
    site: &Site,
    target: &str,
) -> Result<(Option<CertificateStatus>, Vec<CertificateSummary>)> {
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
    Ok((told, shown))
}

/// When no resolver remembers any more where the name led before, and the platform has asked again since: its record was seen to be changed by
/// then.
async fn forgotten_at(ctx: &Ctx, site: &Site, old_ttl: Duration) -> Result<DateTime<Utc>> {
    let ledger = ctx.tools.store.ledger(&ctx.run.request).await?;
    let switch = ledger.iter().rfind(|row| row.kind == "dns-record" && row.name == site.domain);
    let switched =
        switch.map_or_else(|| ctx.tools.clock.now(), |row| row.observed_at.unwrap_or(row.intended_at));
    let until = old_ttl + ctx.tools.clock.scaled(ASKED_AGAIN);
    Ok(TimeDelta::from_std(until).ok().and_then(|ttl| switched.checked_add_signed(ttl)).unwrap_or(switched))
}

/// Until when the platform is given to ask again, where somebody resumed the request: what it told before then is its old word. Nothing that
/// can be sent makes it ask. Once for each ask, however many attempts that takes.
async fn asked_again_by(ctx: &Ctx) -> Result<Option<DateTime<Utc>>> {
    let asked = ctx.tools.store.asked_again(&ctx.run.request, &ctx.step.to_string()).await?;
    if asked == 0 {
        return Ok(None);
    }
    let what = format!("asked again {asked}");
    ctx.expect_silence(&what, ASKED_AGAIN);
    let left =
        ctx.patience.granted(&format!("{}/until/{what}", ctx.step), ctx.tools.clock.scaled(ASKED_AGAIN));
    let until =
        TimeDelta::from_std(left).ok().and_then(|left| ctx.tools.clock.now().checked_add_signed(left));
    Ok(until)
}

fn decide(domain: &str, seen: &Seen) -> Result<Next<(), Made>> {
    match (&seen.told, seen.shown.as_slice()) {
        (_, [shown, ..]) if seen.shown.iter().all(|one| one.names_exactly(domain)) => {
            Ok(Next::Done(Made { id: shown.serial.clone() }))
        }
        // The authority may have been led to the old host: the platform asks it again.
        (Some(CertificateStatus::Error), _) if seen.early => Ok(Next::Wait(format!(
            "the platform could not get a certificate for {domain}, and asks again: resolvers may have remembered where it led before, or \
             what kept it was mended just now"
        ))),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::recovery::steps::bench::{Bench, vendors};
    use crate::store::{Reopen, StepPhase, a_done_step};

    /// The platform's word of before is all that there is until it has asked again.
    #[tokio::test]
    async fn who_resumes_gives_the_platform_time_to_ask_again_once() {
        let site = Site { app: "shop".to_owned(), domain: "shop.apilos.test".to_owned() };
        let bench = Bench::new(Step::Certificate(site), vendors(|_, _| Ok(json!({})))).await;
        let (ctx, key) = (&bench.ctx, bench.ctx.step.to_string());
        assert_eq!(asked_again_by(ctx).await.expect("read"), None);
        let (store, run) = (&ctx.tools.store, &ctx.run);
        store.begin_step(&run.request, run.epoch, &key, "dns-ok").await.expect("begun");
        let failed = crate::store::StepRow { phase: StepPhase::Failed, ..a_done_step(&key) };
        store.finish_step(&run.request, run.epoch, &failed).await.expect("failed");
        store.reopen_steps(&run.request, run.epoch, Reopen::All).await.expect("reopened");
        let until = asked_again_by(ctx).await.expect("read").expect("somebody asked");
        assert!(until > Utc::now());
        let again = asked_again_by(ctx).await.expect("read").expect("somebody asked");
        assert!(again - until < TimeDelta::seconds(1), "another attempt is given no more");
        bench.end().await;
    }

    #[test]
    fn a_refusal_while_the_old_answer_may_be_remembered_is_no_end() {
        let refused = |early| {
            let seen = Seen { told: Some(CertificateStatus::Error), shown: Vec::new(), early };
            decide("siap.apilos.test", &seen)
        };
        assert!(matches!(refused(true), Ok(Next::Wait(_))));
        assert!(refused(false).is_err());
    }
}
