//! The containers of one app, as the plan wants them, seen after the platform's operation is done.

use reprise_crds::plan::Formation;

use super::{Ctx, Result, StepError};
use crate::providers::http::StatusCode;
use crate::providers::scalingo::apps::{App, AppStatus};
use crate::providers::scalingo::formation::ContainerType;
use crate::recovery::drive::{Next, Pace, drive};

#[derive(Debug)]
struct Seen {
    app: Option<App>,
    formation: Vec<ContainerType>,
}

pub(super) async fn run(ctx: &Ctx, app: &str) -> Result<()> {
    let spec = ctx.run.plan.app(app);
    let wanted = spec.map(|spec| spec.formation(&ctx.run.plan)).unwrap_or_default();
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        let found = platform.app(app).await.map_err(StepError::provider(format!("reading app {app}")))?;
        let formation = platform
            .formation(app)
            .await
            .map_err(StepError::provider(format!("reading the containers of {app}")))?;
        Ok(Seen { app: found, formation })
    };
    let act = |change: Vec<ContainerType>| async {
        let change = change;
        match platform.scale(app, &change).await {
            Ok(_) => Ok(()),
            // Busy: the next look says with what.
            Err(error) if error.status() == Some(StatusCode::CONFLICT) => Ok(()),
            Err(error) => Err(StepError::provider(format!("scaling {app}"))(error)),
        }
    };
    drive(ctx, Pace::PROVIDER, false, observe, |seen| decide(app, &wanted, seen), act).await
}

fn decide(app: &str, wanted: &Formation, seen: &Seen) -> Result<Next<Vec<ContainerType>, ()>> {
    let gone = || StepError::refused(format!("app {app} is gone"), "somebody deleted it: file a new request");
    let found = seen.app.as_ref().ok_or_else(gone)?;
    let change = difference(wanted, &seen.formation);
    match &found.status {
        AppStatus::Scaling | AppStatus::Restarting | AppStatus::Booting => {
            Ok(Next::Wait(format!("{app} is {}", found.status)))
        }
        _ if !change.is_empty() => Ok(Next::Act(change)),
        AppStatus::Running => Ok(Next::Done(())),
        AppStatus::Stopped if wanted.values().all(|containers| containers.amount == 0) => Ok(Next::Done(())),
        AppStatus::Crashed => Err(StepError::refused(
            format!("the containers of {app} crash"),
            "read its logs in the platform's dashboard; when the cause is mended, resume the request",
        )),
        status => Ok(Next::Wait(format!("{app} is {status}"))),
    }
}

/// What has to change. Types that the plan does not name are left as they are.
fn difference(wanted: &Formation, seen: &[ContainerType]) -> Vec<ContainerType> {
    let differs = |name: &str, amount: u32, size: &str| {
        let found = seen.iter().find(|known| known.name == name);
        found.map_or(amount > 0, |known| {
            known.amount != amount || (amount > 0 && known.size.as_deref().is_some_and(|known| known != size))
        })
    };
    let changed =
        wanted.iter().filter(|(name, containers)| differs(name, containers.amount, containers.size.as_str()));
    changed
        .map(|(name, containers)| ContainerType {
            name: name.clone(),
            amount: containers.amount,
            size: Some(containers.size.as_str().to_owned()),
            command: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, vendors};

    /// The platform starts a container again and again before it gives up.
    #[tokio::test]
    async fn a_container_that_crashed_once_may_come_up() {
        for (recovers, ends_well) in [(1, true), (usize::MAX, false)] {
            let platform = vendors(move |what, before| match what {
                "GET /v1/apps/shop" => {
                    let status = if before < recovers { "crashed" } else { "running" };
                    Ok(json!({ "app": { "id": "1", "name": "shop", "status": status } }))
                }
                "GET /v1/apps/shop/containers" => Ok(json!({ "containers": [] })),
                _ => Err(404),
            });
            let bench = Bench::new(Step::Formation("shop".to_owned()), platform).await;
            let end = run(&bench.ctx, "shop").await;
            assert_eq!(end.is_ok(), ends_well, "{end:?}");
            if let Err(error) = end {
                assert!(error.to_string().contains("the containers of shop crash"), "{error}");
            }
            bench.end().await;
        }
    }
}
