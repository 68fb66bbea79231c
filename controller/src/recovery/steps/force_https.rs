//! Plain HTTP redirects to HTTPS, for the whole app.

use super::{Ctx, Result, StepError};
use crate::recovery::drive::{Next, Pace, drive};

pub(super) async fn run(ctx: &Ctx, app: &str) -> Result<()> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        let found = platform.app(app).await.map_err(StepError::provider(format!("reading app {app}")))?;
        Ok(found.map(|found| found.force_https))
    };
    let act = |()| async {
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
    drive(ctx, Pace::PROVIDER, false, observe, decide, act).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, vendors};

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
