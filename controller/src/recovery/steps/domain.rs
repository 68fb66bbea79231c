//! One domain, attached to its app. No DNS is needed for that.
//!
//! The platform routes a name to one app only, and the lost app may still hold it. It is taken from there only if the plan names
//! that very app as the one that is replaced, or the request the one whose place another takes; the ledger keeps where it was.

use super::{Ctx, Result, StepError};
use crate::providers::http::{ProviderError, StatusCode};
use crate::providers::scalingo::domains::Domain;
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::Made;
use crate::recovery::step::Site;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{LedgerRow, LedgerState, Severity};

/// What the ledger calls a name that was taken from an app that is replaced.
const DETACHED: &str = "detached-domain";
/// The member of the ledger's `detail` that tells that an app that was there before did not have the name.
const ABSENT: &str = "absent";

/// Who holds the name.
#[derive(Debug)]
struct Seen {
    ours: Option<Domain>,
    /// The app that ours stands in for and that has the name, and the name there.
    replaced: Option<(String, Domain)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Detach { from: String, id: String },
    Attach,
}

pub(super) async fn run(ctx: &Ctx, site: &Site) -> Result<Made> {
    let (app, name) = (site.app.as_str(), site.domain.as_str());
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let from = ctx.run.plan.app(app).map(|spec| ctx.run.cut.taken_from(spec)).unwrap_or_default();
    let standing = ctx.run.cut.is_standing(app);
    if standing && let Some(domain) = had(ctx, app, name).await? {
        return Ok(Made { id: domain.id });
    }
    // An app that was there has no mark: that it did not have the name tells whose doing it is that it has.
    let detail = if standing { serde_json::json!({ ABSENT: true }) } else { serde_json::json!({}) };
    let intent = ctx.intend("domain", name, Some(app), detail).await?;
    let observe = || async {
        let mut old = None;
        for holder in &from {
            let held = held_by(ctx, holder, name).await?;
            old = old.or_else(|| held.map(|domain| ((*holder).to_owned(), domain)));
        }
        Ok(Seen { ours: held_by(ctx, app, name).await?, replaced: old })
    };
    let act = |action: Action| async {
        let action = action;
        match action {
            Action::Detach { from, id } => detach(ctx, &from, name, &id).await,
            Action::Attach => {
                platform.add_domain(app, name).await.map(drop).map_err(|error| not_attached(app, name, error))
            }
        }
    };
    let doubt = !intent.fresh;
    let domain = match drive(ctx, Pace::PROVIDER, doubt, observe, |seen| Ok(decide(seen)), act).await {
        // Nothing came of it. Who attaches the name from here on is somebody else, and an intent would make it ours.
        Err(error) if standing && error.class() == Class::Terminal => {
            if held_by(ctx, app, name).await?.is_none() {
                ctx.gone(&intent).await?;
            }
            return Err(error);
        }
        driven => driven?,
    };
    ctx.saw(&intent, &domain.id).await?;
    for holder in &from {
        settle(ctx, holder, name).await?;
    }
    Ok(Made { id: domain.id })
}

fn decide(seen: &Seen) -> Next<Action, Domain> {
    match (&seen.ours, &seen.replaced) {
        (Some(domain), _) => Next::Done(domain.clone()),
        (None, Some((from, old))) => Next::Act(Action::Detach { from: from.clone(), id: old.id.clone() }),
        (None, None) => Next::Act(Action::Attach),
    }
}

/// The name on an app that was there before, where it had that before this request asked.
async fn had(ctx: &Ctx, app: &str, name: &str) -> Result<Option<Domain>> {
    let ledger = ctx.tools.store.ledger(&ctx.run.request).await?;
    let ours = |row: &LedgerRow| {
        row.kind == "domain"
            && row.name == name
            && row.parent.as_deref() == Some(app)
            && row.state != LedgerState::Deleted
    };
    if ledger.iter().any(ours) {
        return Ok(None);
    }
    look(ctx, Pace::PROVIDER, || held_by(ctx, app, name)).await
}

/// Whether the app of a row was there before and did not have the name then.
pub(super) fn was_absent(row: &LedgerRow) -> bool {
    row.detail[ABSENT].as_bool() == Some(true)
}

async fn held_by(ctx: &Ctx, app: &str, name: &str) -> Result<Option<Domain>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    match platform.domains(app).await {
        Ok(domains) => Ok(domains.into_iter().find(|domain| domain.name.eq_ignore_ascii_case(name))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(StepError::provider(format!("listing the domains of {app}"))(error)),
    }
}

/// Takes the name from the app that is replaced: a change of something that is not ours, by the plan's word, and remembered.
async fn detach(ctx: &Ctx, from: &str, name: &str, id: &str) -> Result<()> {
    let detail = serde_json::json!({ "from": from, "id": id });
    ctx.intend(DETACHED, name, Some(from), detail).await?;
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let gone = platform.delete_domain(from, id).await;
    gone.map(drop).map_err(StepError::provider(format!("detaching {name} from the lost app {from}")))
}

/// Records that the name is ours now, if we took it: the answer to that may have been lost. The platform routes a name to one app only.
async fn settle(ctx: &Ctx, from: &str, name: &str) -> Result<()> {
    let ledger = ctx.tools.store.ledger(&ctx.run.request).await?;
    let taken =
        |row: &&LedgerRow| row.kind == DETACHED && row.name == name && row.parent.as_deref() == Some(from);
    let Some(row) = ledger.iter().find(taken).filter(|row| row.state == LedgerState::Intended) else {
        return Ok(());
    };
    ctx.saw(row, row.detail["id"].as_str().unwrap_or_default()).await?;
    let told = format!("{name} was taken from {from}, which this recovery replaces");
    ctx.event(Severity::Normal, "DomainDetached", &told).await
}

fn not_attached(app: &str, name: &str, error: ProviderError) -> StepError {
    if error.status() != Some(StatusCode::UNPROCESSABLE_ENTITY) {
        // Also 409: the app is busy, and another try may find it idle.
        return StepError::provider(format!("attaching {name} to {app}"))(error);
    }
    let said = error.body().map(|body| body.message.clone()).unwrap_or_default();
    StepError::refused(
        format!("the platform does not attach {name} to {app} ({said})"),
        "most likely another app holds the name: detach it there, or name that app under `replaces` in the plan; then resume",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, vendors};

    fn domain(id: &str) -> Option<Domain> {
        serde_json::from_value(serde_json::json!({"id": id, "name": "www.example.org"})).ok()
    }

    /// What an app had before is not taken from it by a tear-down.
    #[tokio::test]
    async fn a_name_that_a_standing_app_had_before_is_no_change() {
        let held = serde_json::json!({ "domains": [{ "id": "d-1", "name": "www.example.org" }] });
        let platform = vendors(move |what, _| match what {
            "GET /v1/apps/shop/domains" => Ok(held.clone()),
            "GET /v1/users/self" => Ok(serde_json::json!({ "user": { "id": "us-1" } })),
            _ => Err(404),
        });
        let site = Site { app: "shop".to_owned(), domain: "www.example.org".to_owned() };
        let bench = Bench::new(Step::Domain(site.clone()), platform).await.standing(&["shop"]);
        assert_eq!(run(&bench.ctx, &site).await.expect("it has it").id, "d-1");
        assert!(bench.ctx.tools.store.ledger("bad-day").await.expect("read").is_empty());
        bench.end().await;
    }

    /// The person who mends it attaches the name: a tear-down must not take it.
    #[tokio::test]
    async fn a_name_that_the_platform_did_not_attach_is_not_taken_for_ours_later() {
        let mended = Arc::new(AtomicBool::new(false));
        let is_mended = Arc::clone(&mended);
        let platform = vendors(move |what, _| match what {
            "GET /v1/apps/shop/domains" if is_mended.load(Ordering::SeqCst) => {
                Ok(serde_json::json!({ "domains": [{ "id": "theirs", "name": "www.example.org" }] }))
            }
            "GET /v1/apps/shop/domains" => Ok(serde_json::json!({ "domains": [] })),
            "POST /v1/apps/shop/domains" => Err(422),
            "GET /v1/users/self" => Ok(serde_json::json!({ "user": { "id": "us-1" } })),
            _ => Err(404),
        });
        let site = Site { app: "shop".to_owned(), domain: "www.example.org".to_owned() };
        let bench = Bench::new(Step::Domain(site.clone()), platform).await.standing(&["shop"]);
        let told = run(&bench.ctx, &site).await.expect_err("another app has it").to_string();
        assert!(told.contains("does not attach www.example.org to shop"), "{told}");
        mended.store(true, Ordering::SeqCst);
        assert_eq!(run(&bench.ctx, &site).await.expect("it has it").id, "theirs");
        let ledger = bench.ctx.tools.store.ledger("bad-day").await.expect("read");
        assert!(ledger.iter().all(|row| row.state == LedgerState::Deleted), "{ledger:?}");
        bench.end().await;
    }

    #[test]
    fn a_name_is_taken_from_the_replaced_app_before_it_is_attached() {
        let seen = Seen { ours: None, replaced: domain("old").map(|old| ("lost".to_owned(), old)) };
        assert!(
            matches!(decide(&seen), Next::Act(Action::Detach { from, id }) if from == "lost" && id == "old")
        );
        assert!(matches!(decide(&Seen { ours: None, replaced: None }), Next::Act(Action::Attach)));
    }
}
