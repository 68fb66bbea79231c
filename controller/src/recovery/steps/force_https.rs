//! Plain HTTP redirects to HTTPS, for the whole app. On an app that was there before it is a change, and remembered.

use serde_json::json;

use super::{Ctx, Result, StepError};
use crate::recovery::drive::{Next, Pace, drive};
use crate::runtime::class::{Class, Classified as _};
use crate::store::{LedgerRow, LedgerState};

/// What the ledger calls it on an app that was there before and did not force HTTPS.
pub(super) const FORCED: &str = "force-https";

pub(super) async fn run(ctx: &Ctx, app: &str) -> Result<()> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        let found = platform.app(app).await.map_err(StepError::provider(format!("reading app {app}")))?;
        Ok(found.map(|found| found.force_https))
    };
    let standing = ctx.run.cut.is_standing(app);
    let act = |()| async {
        if standing {
            ctx.intend(FORCED, app, None, json!({})).await?;
        }
        let set = platform.set_force_https(app, true).await;
        set.map(drop).map_err(StepError::provider(format!("forcing HTTPS on {app}")))
    };
    let decide = |seen: &Option<bool>| match seen {
        Some(true) => Ok(Next::Done(())),
        Some(false) => Ok(Next::Act(())),
        None => {
            Err(StepError::refused(format!("app {app} is gone"), "somebody deleted it: file a new request"))
        }
    };
    let driven = drive(ctx, Pace::PROVIDER, false, &observe, decide, act).await;
    if let Err(error) = driven {
        // Nothing came of it. Who forces it from here on is somebody else, and an intent would make it ours.
        if standing
            && error.class() == Class::Terminal
            && observe().await? == Some(false)
            && let Some(row) = open(ctx, app).await?
        {
            ctx.gone(&row).await?;
        }
        return Err(error);
    }
    if standing { settle(ctx, app).await } else { Ok(()) }
}

/// Records that it was seen, if it is our doing.
async fn settle(ctx: &Ctx, app: &str) -> Result<()> {
    match open(ctx, app).await? {
        Some(row) => ctx.saw(&row, app).await,
        None => Ok(()),
    }
}

/// The intent of which it is not known whether anything came.
async fn open(ctx: &Ctx, app: &str) -> Result<Option<LedgerRow>> {
    let ledger = ctx.tools.store.ledger(&ctx.run.request).await?;
    let open = |row: &LedgerRow| row.kind == FORCED && row.name == app && row.state == LedgerState::Intended;
    Ok(ledger.into_iter().find(open))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, vendors};

    /// What was so before is no change, and is not taken back.
    #[tokio::test]
    async fn forcing_it_on_a_standing_app_is_remembered() {
        for (is_forced, rows) in [(true, 0), (false, 1)] {
            let platform = vendors(move |what, before| match what {
                "GET /v1/apps/shop" => Ok(
                    json!({ "app": { "id": "1", "name": "shop", "force_https": is_forced || before > 0 } }),
                ),
                "PUT /v1/apps/shop" => Ok(json!({ "app": { "id": "1", "name": "shop" } })),
                "GET /v1/users/self" => Ok(json!({ "user": { "id": "us-1" } })),
                _ => Err(404),
            });
            let bench = Bench::new(Step::ForceHttps("shop".to_owned()), platform).await.standing(&["shop"]);
            run(&bench.ctx, "shop").await.expect("it is forced");
            let ledger = bench.ctx.tools.store.ledger("bad-day").await.expect("read");
            let kept: Vec<_> = ledger.iter().map(|row| (row.kind.as_str(), row.state)).collect();
            assert_eq!(kept, vec![(FORCED, LedgerState::Present); rows], "{ledger:?}");
            bench.end().await;
        }
    }

    #[tokio::test]
    async fn what_the_platform_refused_is_not_taken_for_ours_when_a_person_does_it() {
        let mended = Arc::new(AtomicBool::new(false));
        let is_mended = Arc::clone(&mended);
        let platform = vendors(move |what, _| match what {
            "GET /v1/apps/shop" => {
                let is_forced = is_mended.load(Ordering::SeqCst);
                Ok(json!({ "app": { "id": "1", "name": "shop", "force_https": is_forced } }))
            }
            "PUT /v1/apps/shop" => Err(422),
            "GET /v1/users/self" => Ok(json!({ "user": { "id": "us-1" } })),
            _ => Err(404),
        });
        let bench = Bench::new(Step::ForceHttps("shop".to_owned()), platform).await.standing(&["shop"]);
        assert!(run(&bench.ctx, "shop").await.is_err(), "it is refused");
        mended.store(true, Ordering::SeqCst);
        run(&bench.ctx, "shop").await.expect("it is forced");
        let ledger = bench.ctx.tools.store.ledger("bad-day").await.expect("read");
        assert!(ledger.iter().all(|row| row.state == LedgerState::Deleted), "{ledger:?}");
        bench.end().await;
    }

    #[tokio::test]
    async fn an_app_that_is_not_found_once_was_not_deleted() {
        let platform = vendors(|what, before| match (what, before) {
            ("GET /v1/apps/shop", 1..) => {
                Ok(json!({ "app": { "id": "1", "name": "shop", "force_https": true } }))
            }
            _ => Err(404),
        });
        let bench = Bench::new(Step::ForceHttps("shop".to_owned()), platform).await;
        run(&bench.ctx, "shop").await.expect("it is there");
        let told = run(&bench.ctx, "shape").await.expect_err("it is not").to_string();
        assert!(told.contains("app shape is gone"), "{told}");
        bench.end().await;
    }
}
