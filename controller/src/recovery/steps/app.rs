//! One application, marked as ours by its first variable before anything else is done with it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Ctx, Result, StepError};
use crate::providers::scalingo::apps::{App, NewApp, Owner, name_is_taken};
use crate::providers::scalingo::variables::Aliases;
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::{Made, MadeApp};
use crate::recovery::step::Step;
use crate::store::LedgerRow;

/// The variable that marks an app as this request's.
pub(super) const MARKER: &str = "REPRISE_REQUEST";

/// How far the platform's clock may lag behind the store's for an unmarked app to count as born after the intent.
const SKEW: TimeDelta = TimeDelta::seconds(60);

/// What the platform says of the app.
#[derive(Debug)]
struct Seen {
    app: Option<App>,
    marker: Option<String>,
    me: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Create,
    Mark,
}

pub(super) async fn run(ctx: &Ctx, name: &str) -> Result<MadeApp> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let project: Made = ctx.outputs.get(&Step::Project)?;
    let stack = look(ctx, Pace::PROVIDER, || stack_id(ctx)).await?;
    let intent = ctx.intend("app", name, None, serde_json::json!({})).await?;
    let mark = SecretString::from(marker(ctx, &intent));
    let me = ctx.tools.account(&ctx.run).await?;
    let observe = || async {
        let app = platform.app(name).await.map_err(StepError::provider(format!("looking for app {name}")))?;
        let marker = match &app {
            Some(_) => read_marker(ctx, name).await?,
            None => None,
        };
        Ok(Seen { app, marker, me: me.clone() })
    };
    let refused = AtomicBool::new(false);
    let act = |action: Action| async {
        let action = action;
        match action {
            Action::Create => {
                let new = NewApp { name, project_id: Some(&project.id), stack_id: stack.as_deref() };
                match platform.create_app(&new).await {
                    Ok(_) => Ok(()),
                    Err(error) if name_is_taken(&error) => {
                        refused.store(true, Ordering::Relaxed);
                        Err(taken(name))
                    }
                    Err(error) => Err(StepError::provider(format!("creating app {name}"))(error)),
                }
            }
            Action::Mark => {
                let made = platform.set_variables(name, [(MARKER, &mark)]).await;
                made.map(drop).map_err(StepError::provider(format!("marking app {name} as ours")))
            }
        }
    };
    let doubt = !intent.fresh;
    let decide = |seen: &Seen| decide(&intent, mark.expose_secret(), seen);
    let driven = drive(ctx, Pace::PROVIDER, doubt, observe, decide, act).await;
    if matches!(driven, Err(StepError::Refused { .. })) && refused.load(Ordering::Relaxed) {
        // Nothing came of the intent, and nothing can: the plan will name another app.
        ctx.gone(&intent).await?;
    }
    let app = driven?;
    ctx.saw(&intent, &app.id).await?;
    Ok(MadeApp {
        default_host: default_host(&app, &ctx.run.plan.target.region),
        git_url: app.git_url.unwrap_or_default(),
        id: app.id,
    })
}

fn decide(intent: &LedgerRow, mark: &str, seen: &Seen) -> Result<Next<Action, App>> {
    let Some(app) = &seen.app else { return Ok(Next::Act(Action::Create)) };
    match seen.marker.as_deref() {
        Some(found) if found == mark => Ok(Next::Done(app.clone())),
        Some(found) => Err(StepError::refused(
            format!("an app called {} exists and belongs to another recovery ({found})", app.name),
            "tear that recovery down (reprise cancel --clean), or choose another name in the plan",
        )),
        None if is_of_intent(intent, app, &seen.me) => Ok(Next::Act(Action::Mark)),
        None => Err(StepError::refused(
            format!("an app called {} exists already and is not this recovery's", app.name),
            "delete or rename it if nobody needs it, or choose another name in the plan; nothing was changed in it",
        )),
    }
}

/// Whether an app without a mark came of this intent: created since by us, and nobody else makes apps of this name in our account.
pub(super) fn is_of_intent(intent: &LedgerRow, app: &App, me: &str) -> bool {
    is_of(intent, app.created_at, app.owner.as_ref(), me)
}

/// Whether what has no mark and was `created` then by `owner` came of this intent.
pub(super) fn is_of(
    intent: &LedgerRow,
    created: Option<DateTime<Utc>>,
    owner: Option<&Owner>,
    me: &str,
) -> bool {
    created.is_some_and(|created| created >= intent.intended_at - SKEW)
        && owner.is_some_and(|owner| owner.id == me)
}

fn taken(name: &str) -> StepError {
    StepError::refused(
        format!("the app name {name} is taken by another customer of the platform"),
        "choose another name under apps in the plan, apply it, and resume the request: what is done stays done",
    )
}

/// The marker of this request: its name for people, the intent's nonce as proof.
pub(super) fn marker(ctx: &Ctx, intent: &LedgerRow) -> String {
    format!("{}/{}", ctx.run.request, intent.nonce.simple())
}

pub(super) async fn read_marker(ctx: &Ctx, app: &str) -> Result<Option<String>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let listed = platform.variables(app, Aliases::Raw).await;
    let variables = listed.map_err(StepError::provider(format!("reading the marker of app {app}")))?;
    let by_name: BTreeMap<&str, &str> =
        variables.iter().map(|variable| (variable.name.as_str(), variable.value.expose_secret())).collect();
    Ok(by_name.get(MARKER).map(|value| (*value).to_owned()))
}

async fn stack_id(ctx: &Ctx) -> Result<Option<String>> {
    let Some(wanted) = &ctx.run.plan.target.stack else { return Ok(None) };
    let stacks = ctx
        .tools
        .target_platform(&ctx.run)?
        .stacks()
        .await
        .map_err(StepError::provider("listing the platform's stacks"))?;
    match stacks.into_iter().find(|stack| stack.name == *wanted) {
        Some(stack) => Ok(Some(stack.id)),
        None => Err(StepError::refused(
            format!("the platform does not offer the stack {wanted}"),
            "correct target.stack in the plan, or leave it out for the platform's default",
        )),
    }
}

pub(super) fn default_host(app: &App, region: &str) -> String {
    let url = app.url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let host = url.as_ref().and_then(url::Url::host_str).map(str::to_owned);
    host.unwrap_or_else(|| format!("{}.{region}.scalingo.io", app.name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::LedgerState;

    const MARK: &str = "bad-day/1234";

    fn intent() -> LedgerRow {
        LedgerRow {
            nonce: uuid::Uuid::nil(),
            step: "app/x".to_owned(),
            kind: "app".to_owned(),
            name: "apilos-pra".to_owned(),
            parent: None,
            state: LedgerState::Intended,
            external_id: None,
            detail: json!({}),
            intended_at: DateTime::<Utc>::from_timestamp(1_000_000, 0).expect("a date"),
            observed_at: None,
            fresh: false,
        }
    }

    fn app(created: i64, owner: &str) -> App {
        let created = DateTime::<Utc>::from_timestamp(created, 0).expect("a date").to_rfc3339();
        serde_json::from_value(
            json!({"id": "1", "name": "apilos-pra", "owner": {"id": owner}, "created_at": created}),
        )
        .expect("an app")
    }

    fn seen(app: Option<App>, marker: Option<&str>) -> Seen {
        Seen { app, marker: marker.map(str::to_owned), me: "us-1".to_owned() }
    }

    #[test]
    fn an_absent_app_is_created() {
        assert!(matches!(decide(&intent(), MARK, &seen(None, None)), Ok(Next::Act(Action::Create))));
    }

    #[test]
    fn an_unmarked_app_of_ours_born_after_the_intent_is_adopted() {
        let lost_answer = seen(Some(app(1_000_010, "us-1")), None);
        assert!(matches!(decide(&intent(), MARK, &lost_answer), Ok(Next::Act(Action::Mark))));
    }

    #[test]
    fn an_older_a_foreign_or_another_recoverys_app_is_refused() {
        for seen in [
            seen(Some(app(900_000, "us-1")), None),
            seen(Some(app(1_000_010, "us-2")), None),
            seen(Some(app(1_000_010, "us-1")), Some("other/99")),
        ] {
            assert!(decide(&intent(), MARK, &seen).is_err(), "{seen:?}");
        }
    }
}
