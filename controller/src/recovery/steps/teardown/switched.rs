//! The variables of an app that lives on, put back to what they were; then the app is started anew.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::super::switch::{Switch, is_led_to, kept_as, read};
use super::super::{Ctx, Result, StepError, deploy};
use super::{Undone, not_ours};
use crate::providers::scalingo::variables::{Aliases, Variable};
use crate::store::{LedgerRow, Severity};

/// What is to be done with the variables of a row.
#[derive(Debug, Default)]
struct Back {
    /// What they were, of those that are as this request put them.
    put: BTreeMap<String, SecretString>,
    /// The ids of what kept that.
    drop: Vec<String>,
    /// Those that a person has changed since.
    theirs: Vec<String>,
    /// Of these, those that lead to the database that goes next.
    ours_still: Vec<String>,
}

pub(super) async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let Some(seen) = variables(ctx, &row.name).await? else { return Ok(Undone::Absent) };
    let Back { put, drop, theirs, ours_still } = back(row, &read(row)?, &seen);
    if !ours_still.is_empty() {
        return Err(StepError::refused(
            format!(
                "{} of {} is not as this request put it, and leads to the database that would be deleted next",
                ours_still.join(", "),
                row.name
            ),
            "lead it elsewhere, restart the app, and resume the request",
        ));
    }
    if put.is_empty() && drop.is_empty() {
        return if theirs.is_empty() { Ok(Undone::Absent) } else { not_ours(ctx, row).await };
    }
    let (platform, app) = (ctx.tools.target_platform(&ctx.run)?, row.name.as_str());
    let doing = || StepError::provider(format!("putting the variables of {app} back"));
    if !put.is_empty() {
        platform
            .set_variables(app, put.iter().map(|(name, value)| (name.as_str(), value)))
            .await
            .map_err(doing())?;
    }
    match deploy::restarted(ctx, app).await {
        // Its variables are as they were, and so may be what ails it.
        Err(StepError::Refused { what, .. }) => ctx.event(Severity::Warning, "NotRestarted", &what).await?,
        other => other?,
    }
    // Last of all: that they are there tells that something is left to do.
    for id in drop {
        platform.delete_variable(app, &id).await.map_err(doing())?;
    }
    if theirs.is_empty() { Ok(Undone::Settled) } else { not_ours(ctx, row).await }
}

/// Also where there is no such app any more.
pub(super) async fn is_undone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let Some(seen) = variables(ctx, &row.name).await? else { return Ok(true) };
    let Back { put, drop, .. } = back(row, &read(row)?, &seen);
    Ok(put.is_empty() && drop.is_empty())
}

async fn variables(ctx: &Ctx, app: &str) -> Result<Option<Vec<Variable>>> {
    match ctx.tools.target_platform(&ctx.run)?.variables(app, Aliases::Raw).await {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(StepError::provider(format!("reading the variables of {app}"))(error)),
    }
}

/// What a person has changed since is theirs, and what it was before stays beside it. Pure.
fn back(row: &LedgerRow, switch: &Switch, seen: &[Variable]) -> Back {
    let of = |name: &str| seen.iter().find(|variable| variable.name == name);
    let mut back = Back::default();
    for (name, computed) in &switch.names {
        let Some(kept) = of(&kept_as(row, name)) else { continue };
        let now = of(name).map(|variable| &variable.value);
        let is_back = now.is_some_and(|now| now.expose_secret() == kept.value.expose_secret());
        let is_as_put = now.is_some_and(|now| is_led_to(&switch.to, *computed, now));
        if is_as_put && !is_back {
            back.put.insert(name.clone(), kept.value.clone());
        }
        if is_as_put || is_back {
            back.drop.push(kept.id.clone());
            continue;
        }
        back.theirs.push(name.clone());
        if now.is_some_and(|now| now.expose_secret().contains(&switch.to.host)) {
            back.ours_still.push(name.clone());
        }
    }
    back
}

#[cfg(test)]
mod tests {
    use reprise_crds::plan::Computed;
    use serde_json::json;

    use super::super::super::switch::{Place, SWITCHED};
    use super::*;
    use crate::store::LedgerState;

    const NEW: &str = "postgresql://fresh:new@new.test:31001/fresh";
    const OLD: &str = "$SCALINGO_POSTGRESQL_URL";

    fn variable(name: &str, value: &str) -> Variable {
        Variable { id: format!("id of {name}"), name: name.to_owned(), value: value.to_owned().into() }
    }

    fn seen(url: &str) -> Back {
        let row = LedgerRow {
            nonce: uuid::Uuid::nil(),
            step: "switch/x".to_owned(),
            kind: SWITCHED.to_owned(),
            name: "x".to_owned(),
            parent: None,
            state: LedgerState::Present,
            external_id: None,
            detail: json!({}),
            intended_at: chrono::Utc::now(),
            observed_at: None,
            fresh: false,
        };
        let to = Place {
            host: "new.test".to_owned(),
            port: 31001,
            database: "fresh".to_owned(),
            user: "fresh".to_owned(),
            read_only_user: None,
        };
        let names = BTreeMap::from([("URL".to_owned(), Computed::DatabaseUrl)]);
        let kept = variable(&kept_as(&row, "URL"), OLD);
        back(&row, &Switch { names, to, ..Switch::default() }, &[variable("URL", url), kept])
    }

    #[test]
    fn what_this_request_put_goes_back_and_what_a_person_changed_since_stays() {
        let switched = seen(NEW);
        assert_eq!(switched.put["URL"].expose_secret(), OLD);
        assert_eq!((switched.drop.len(), switched.theirs.len()), (1, 0));
        let done_but_for_the_rest = seen(OLD);
        assert_eq!((done_but_for_the_rest.put.len(), done_but_for_the_rest.drop.len()), (0, 1));
        let theirs = seen("postgresql://them:x@theirs.test:5432/db");
        assert_eq!(
            (theirs.put.len(), theirs.drop.len(), theirs.theirs.len(), theirs.ours_still.len()),
            (0, 0, 1, 0)
        );
        let on_ours = seen("postgresql://other:x@new.test:31001/fresh");
        assert_eq!(on_ours.ours_still, ["URL"], "its database would be deleted under it");
    }
}
