//! The variables of an app that lives on, put back to what they were; then the app is started anew.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::super::switch::{Switch, goes_with, is_led_to, kept_as, read};
use super::super::{Ctx, Result, StepError, deploy};
use super::{Undone, not_ours};
use crate::providers::scalingo::variables::{Aliases, Variable, alias_of};
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
    /// All that would still lead to the database that goes next.
    ours_still: Vec<String>,
    /// Of what would be put back, what leads to nothing that is there.
    nowhere: Vec<String>,
}

pub(super) async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let switch = read(row)?;
    let Some(seen) = variables(ctx, row, &switch).await? else { return Ok(Undone::Absent) };
    let gone = ctx.tools.store.databases_undone(&ctx.run.request).await?;
    let Back { put, drop, theirs, ours_still, nowhere } = back(row, &switch, &seen, &gone);
    possible(&row.name, &ours_still, &nowhere)?;
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

/// Refuses what would take the database from the app, or lead it to none.
fn possible(app: &str, ours_still: &[String], nowhere: &[String]) -> Result<()> {
    if !ours_still.is_empty() {
        return Err(StepError::refused(
            format!(
                "{} of {app} would still lead to the database that would be deleted next",
                ours_still.join(", ")
            ),
            "lead it elsewhere and restart the app (of what a later request kept, REPRISE_BEFORE_…, undo that request first), then resume the request",
        ));
    }
    if !nowhere.is_empty() {
        return Err(StepError::refused(
            format!("what {} of {app} was leads to a database that is gone", nowhere.join(", ")),
            "lead it to a database that is there and restart the app, then resume the request",
        ));
    }
    Ok(())
}

/// Also where there is no such app any more.
pub(super) async fn is_undone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let switch = read(row)?;
    let Some(seen) = variables(ctx, row, &switch).await? else { return Ok(true) };
    let Back { put, drop, .. } = back(row, &switch, &seen, &[]);
    Ok(put.is_empty() && drop.is_empty())
}

/// The variables of the app; `None` where it is no more. One that has another name by now lives on, with the new database.
async fn variables(ctx: &Ctx, row: &LedgerRow, switch: &Switch) -> Result<Option<Vec<Variable>>> {
    let (platform, app) = (ctx.tools.target_platform(&ctx.run)?, row.name.as_str());
    match platform.variables(app, Aliases::Raw).await {
        Ok(seen) => return Ok(Some(seen)),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(StepError::provider(format!("reading the variables of {app}"))(error)),
    }
    let apps = platform.apps().await.map_err(StepError::provider("listing the apps"))?;
    match apps.into_iter().find(|other| switch.app.as_ref() == Some(&other.id)) {
        // The two answers are not of one moment.
        Some(other) if other.name == app => Err(StepError::refused(
            format!("the platform lists {app} and does not show its variables"),
            "look at the app in the platform's dashboard, then resume the request",
        )),
        Some(other) => Err(StepError::refused(
            format!("the app {app}, which this request led to a new database, is called {} now", other.name),
            "give it its old name again, then resume the request",
        )),
        None => Ok(None),
    }
}

/// What a person has changed since is theirs, and what it was before stays beside it. `gone`: hosts of databases that were undone. Pure.
fn back(row: &LedgerRow, switch: &Switch, seen: &[Variable], gone: &[String]) -> Back {
    let of = |name: &str| seen.iter().find(|variable| variable.name == name);
    let text = |name: &str| of(name).map(|variable| variable.value.expose_secret());
    let kept = |name: &str| of(&kept_as(row, name));
    let is_back = |name: &str| kept(name).is_some_and(|kept| text(name) == Some(kept.value.expose_secret()));
    let is_led = |name: &str, computed| {
        kept(name).is_some() && of(name).is_some_and(|now| is_led_to(&switch.to, computed, &now.value))
    };
    let mut back = Back::default();
    for (name, computed) in &switch.names {
        let Some(kept) = kept(name) else { continue };
        let is_as_put = match goes_with(&switch.names, *computed) {
            // A password says nothing of where it leads: it goes back with what it belongs to.
            Some(with) => {
                with.iter().all(|(name, computed)| is_led(name, *computed))
                    && with.iter().any(|(name, _)| !is_back(name))
            }
            None => is_led(name, *computed),
        };
        if is_as_put && !is_back(name) {
            back.put.insert(name.clone(), kept.value.clone());
        }
        if is_as_put || is_back(name) {
            back.drop.push(kept.id.clone());
        } else {
            back.theirs.push(name.clone());
        }
    }
    back.ours_still = ours_still(switch, seen, &back);
    back.nowhere = nowhere(seen, &back.put, gone);
    back
}

/// The variables that lead to this request's database when `back` was done, whoever put them: the database must not go under them.
fn ours_still(switch: &Switch, seen: &[Variable], back: &Back) -> Vec<String> {
    let host = switch.to.host.as_str();
    let goes =
        |variable: &Variable| back.put.contains_key(&variable.name) || back.drop.contains(&variable.id);
    let stays = seen.iter().filter(|variable| !goes(variable));
    let after = stays.map(|variable| (&variable.name, &variable.value)).chain(&back.put);
    let leads = after.filter(|(_, value)| !host.is_empty() && value.expose_secret().contains(host));
    leads.map(|(name, _)| name.clone()).collect()
}

/// Those of `put` that are another variable which is not there any more, or lead to a database that another request has undone.
fn nowhere(seen: &[Variable], put: &BTreeMap<String, SecretString>, gone: &[String]) -> Vec<String> {
    let is_there = |name: &str| seen.iter().any(|variable| variable.name == name);
    let lost = |value: &SecretString| {
        let text = value.expose_secret();
        alias_of(text).is_some_and(|name| !is_there(name))
            || gone.iter().any(|host| !host.is_empty() && text.contains(host.as_str()))
    };
    put.iter().filter(|(_, value)| lost(value)).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests;
