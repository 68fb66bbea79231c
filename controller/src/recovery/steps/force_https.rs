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
