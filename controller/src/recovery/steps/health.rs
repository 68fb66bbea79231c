//! The app answers on its default host, before any public name is touched.

use std::time::Duration;

use super::{Ctx, Result};
use crate::providers::probe::Seen;
use crate::recovery::drive::{Next, Pace, drive};
use crate::store::SpanKind;

/// How an app that was just deployed is watched.
const PACE: Pace =
    Pace { first: Duration::from_secs(1), longest: Duration::from_secs(5), waiting_for: SpanKind::Provider };

pub(super) async fn run(ctx: &Ctx, app: &str) -> Result<u16> {
    let made = ctx.known_app(app)?;
    let path = ctx.run.plan.app(app).map_or("/", |spec| spec.health_path.as_str());
    let observe = || ctx.tools.look(&made.default_host, path);
    let decide = |seen: &std::result::Result<Vec<Seen>, String>| {
        Ok(match seen {
            // The worst of what its addresses answer.
            Ok(seen) => match seen.iter().map(|one| one.status.as_u16()).max().unwrap_or(0) {
                status @ 1..400 => Next::Done(status),
                status => Next::Wait(format!("{app} answers {status} on its default host")),
            },
            Err(why) => Next::Wait(format!("{app} does not answer on its default host: {why}")),
        })
    };
    drive(ctx, PACE, false, observe, decide, |(): ()| std::future::ready(Ok(()))).await
}
