//! The variables by which an app that lives on finds its database, led to the new one; then the app is started anew.
//!
//! What they were stays on the app itself, under names of this request: a secret is nowhere but where it was, and can be put back.

use std::collections::BTreeMap;

use reprise_crds::plan::{AppSpec, Computed};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::given::of_database;
use super::read_only_user::{self, is_read_only, read_only};
use super::variables::{Dsn, database_dsn, listed};
use super::{Ctx, Result, StepError, deploy, target};
use crate::providers::scalingo::variables::{Aliases, Variable, alias_of};
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::SwitchedApp;
use crate::store::{LedgerRow, LedgerState, Severity};

/// What the ledger calls it.
pub(super) const SWITCHED: &str = "variables";

/// What the ledger keeps of a switch: never a value that is a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Switch {
    /// The variables, each with what is put there.
    pub(super) names: BTreeMap<String, Computed>,
    /// What each was: an alias, or a value.
    pub(super) were: BTreeMap<String, Was>,
    /// Where they are led.
    pub(super) to: Place,
    /// The id of the app, which stays where its name is changed.
    #[serde(default)]
    pub(super) app: Option<String>,
}

/// Of what kind a variable was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Was {
    /// `$NAME`, another variable.
    Alias,
    /// A value of its own.
    Value,
}

/// A database, without what opens it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
    #[serde(default)]
    pub(super) read_only_user: Option<String>,
}

pub(super) async fn run(ctx: &Ctx, app: &str) -> Result<SwitchedApp> {
    let gone = || StepError::refused(format!("the plan has no app for {app} any more"), "file a new request");
    let spec = ctx.run.plan.app(app).ok_or_else(gone)?;
    let (wanted, to) = wanted(ctx, spec).await?;
    if !is_begun(ctx, app).await? {
        target::usable(ctx, app).await?;
    }
    let before = listed(ctx, app, Aliases::Raw).await?;
    let wanted = there(app, wanted, &before)?;
    let row = intent(ctx, app, &wanted, &before, &to).await?;
    let known = read(&row)?;
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        let seen = platform.variables(app, Aliases::Raw).await;
        seen.map_err(StepError::provider(format!("reading the variables of {app}")))
    };
    let decide = |seen: &Vec<Variable>| decide(app, &row, &known, &wanted, seen);
    let act = |put: BTreeMap<String, Put>| async {
        let put = put;
        let pairs = put.iter().map(|(name, put)| (name.as_str(), &put.0));
        let done = platform.set_variables(app, pairs).await;
        done.map(drop).map_err(StepError::provider(format!("putting the variables of {app}")))
    };
    drive(ctx, Pace::PROVIDER, false, observe, decide, act).await?;
    if row.state != LedgerState::Present {
        deploy::restarted(ctx, app).await?;
    }
    ctx.saw(&row, app).await?;
    let old = old_databases(ctx, app).await?;
    if !old.is_empty() {
        let told = format!("{} stays as it is, and is billed until somebody deletes it", old.join(", "));
        ctx.event(Severity::Warning, "OldDatabaseStays", &told).await?;
    }
    Ok(SwitchedApp { names: wanted.into_keys().collect(), host: to.host, old })
}

/// Whether something of the app was put already: what it kept is there.
async fn is_begun(ctx: &Ctx, app: &str) -> Result<bool> {
    let ledger = ctx.tools.store.ledger(&ctx.run.request).await?;
    let ours =
        |row: &&LedgerRow| row.kind == SWITCHED && row.name == app && row.state != LedgerState::Deleted;
    let Some(row) = ledger.iter().find(ours) else { return Ok(false) };
    let kept = kept_as(row, "");
    Ok(listed(ctx, app, Aliases::Raw).await?.iter().any(|variable| variable.name.starts_with(&kept)))
}

/// A value that is put; two are the same where their texts are.
#[derive(Debug, Clone)]
struct Put(SecretString);

impl PartialEq for Put {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

/// What each of them is to be.
type Wanted = BTreeMap<String, (Computed, SecretString)>;

async fn wanted(ctx: &Ctx, app: &AppSpec) -> Result<(Wanted, Place)> {
    let dsn = database_dsn(ctx).await?;
    let names = of_database(&ctx.run.plan, app);
    let reader = match &ctx.run.plan.target.read_only_user {
        Some(user) if names.values().any(|computed| is_read_only(*computed)) => {
            Some(read_only_user::as_reader(ctx, &dsn, user).await?)
        }
        _ => None,
    };
    let value = |computed: Computed| {
        reader.as_ref().and_then(|dsn| read_only(computed, dsn)).or_else(|| of_dsn(computed, &dsn))
    };
    let values = names.into_iter().filter_map(|(name, computed)| Some((name, (computed, value(computed)?))));
    let to = Place {
        host: dsn.host.clone(),
        port: dsn.port,
        database: dsn.database.clone(),
        user: dsn.user.clone(),
        read_only_user: reader.as_ref().map(|dsn| dsn.user.clone()),
    };
    Ok((values.collect(), to))
}

fn of_dsn(computed: Computed, dsn: &Dsn) -> Option<SecretString> {
    Some(match computed {
        Computed::DatabaseUrl => dsn.url(),
        Computed::DatabaseHost => dsn.host.clone().into(),
        Computed::DatabasePort => dsn.port.to_string().into(),
        Computed::DatabaseUser => dsn.user.clone().into(),
        Computed::DatabasePassword => dsn.password.clone(),
        Computed::DatabaseName => dsn.database.clone().into(),
        _ => return None,
    })
}

/// Those of them that the app has: what it did without it does without.
fn there(app: &str, mut wanted: Wanted, before: &[Variable]) -> Result<Wanted> {
    let names: Vec<String> = wanted.keys().cloned().collect();
    wanted.retain(|name, _| before.iter().any(|variable| variable.name == *name));
    if wanted.is_empty() {
        return Err(StepError::refused(
            format!(
                "{app} has none of the variables that lead to the database by the plan's word: {}",
                names.join(", ")
            ),
            "say in the plan which variable of the app does (computed: database.url), apply it, and resume the request",
        ));
    }
    Ok(wanted)
}

/// The intent, with what each variable was; the first word stays, whatever happens later.
async fn intent(ctx: &Ctx, app: &str, wanted: &Wanted, before: &[Variable], to: &Place) -> Result<LedgerRow> {
    let of = |name: &String| before.iter().find(|variable| variable.name == *name);
    let was = |name: &String| {
        let alias = of(name).is_some_and(|variable| alias_of(variable.value.expose_secret()).is_some());
        (name.clone(), if alias { Was::Alias } else { Was::Value })
    };
    let fresh = Switch {
        names: wanted.iter().map(|(name, (computed, _))| (name.clone(), *computed)).collect(),
        were: wanted.keys().map(was).collect(),
        to: to.clone(),
        app: Some(ctx.known_app(app)?.id),
    };
    let row = ctx.intend(SWITCHED, app, None, json!(fresh)).await?;
    let mut known = read(&row)?;
    let stored = known.clone();
    for (name, was) in fresh.were {
        known.were.entry(name).or_insert(was);
    }
    known.names.extend(fresh.names);
    if known == stored { Ok(row) } else { ctx.amend(&row, &json!(known)).await }
}

/// What the ledger's row of a switch says.
pub(super) fn read(row: &LedgerRow) -> Result<Switch> {
    let read = Switch::deserialize(&row.detail);
    read.map_err(|_| StepError::Output { step: row.step.clone() })
}

/// The name under which an app keeps what a variable was. It is this request's own: another one may have switched before.
pub(super) fn kept_as(row: &LedgerRow, name: &str) -> String {
    format!("REPRISE_BEFORE_{}_{name}", &row.nonce.simple().to_string()[..8])
}

fn decide(
    app: &str,
    row: &LedgerRow,
    known: &Switch,
    wanted: &Wanted,
    seen: &[Variable],
) -> Result<Next<BTreeMap<String, Put>, ()>> {
    let of = |name: &str| seen.iter().find(|variable| variable.name == name).map(|variable| &variable.value);
    let names: BTreeMap<String, Computed> =
        wanted.iter().map(|(name, (computed, _))| (name.clone(), *computed)).collect();
    let is_led = |name: &str, computed| of(name).is_some_and(|now| is_led_to(&known.to, computed, now));
    let mut put = BTreeMap::new();
    for (name, (computed, value)) in wanted {
        let (now, kept) = (of(name), of(&kept_as(row, name)));
        if now.is_some_and(|now| now.expose_secret() == value.expose_secret()) && kept.is_some() {
            continue;
        }
        if let Some(kept) = kept {
            let is =
                |value: &SecretString| now.is_some_and(|now| now.expose_secret() == value.expose_secret());
            let is_as_put = match goes_with(&names, *computed) {
                Some(with) => !with.is_empty() && with.iter().all(|(name, computed)| is_led(name, *computed)),
                None => is_led(name, *computed),
            };
            if !(is(kept) || is(value) || is_as_put) {
                return Err(StepError::refused(
                    format!("somebody has changed {name} of {app} since this request switched it"),
                    format!(
                        "put {name} back to what {} has, or cancel this request; then resume it",
                        kept_as(row, name)
                    ),
                ));
            }
        } else if let Some(now) = now {
            put.insert(kept_as(row, name), Put(now.clone()));
        }
        put.insert(name.clone(), Put(value.clone()));
    }
    Ok(if put.is_empty() { Next::Done(()) } else { Next::Act(put) })
}

/// What a password goes with: the host and the user that are told beside it, else the URL. `None` for what is no password. Pure.
pub(super) fn goes_with(
    names: &BTreeMap<String, Computed>,
    password: Computed,
) -> Option<Vec<(&str, Computed)>> {
    use Computed::{
        DatabaseHost, DatabasePassword, DatabaseUrl, DatabaseUser, ReadOnlyHost, ReadOnlyPassword,
        ReadOnlyUrl, ReadOnlyUser,
    };
    // The read-only user's database is the other's: where nothing is told of that user, its host is.
    let beside: &[&[Computed]] = match password {
        DatabasePassword => &[&[DatabaseHost, DatabaseUser], &[DatabaseUrl]],
        ReadOnlyPassword => &[&[ReadOnlyHost, ReadOnlyUser], &[ReadOnlyUrl], &[DatabaseHost], &[DatabaseUrl]],
        _ => return None,
    };
    let told = |kinds: &&[Computed]| -> Vec<(&str, Computed)> {
        let of = names.iter().filter(|(_, computed)| kinds.contains(computed));
        of.map(|(name, computed)| (name.as_str(), *computed)).collect()
    };
    Some(beside.iter().map(told).find(|told| !told.is_empty()).unwrap_or_default())
}

/// Whether a value leads to that database. A password says nothing of that: see [`goes_with`].
pub(super) fn is_led_to(to: &Place, computed: Computed, value: &SecretString) -> bool {
    let text = value.expose_secret();
    let url = |user: &str| {
        Dsn::parse(value).is_some_and(|dsn| {
            (dsn.host.as_str(), dsn.port, dsn.database.as_str(), dsn.user.as_str())
                == (to.host.as_str(), to.port, to.database.as_str(), user)
        })
    };
    let reader = to.read_only_user.as_deref().unwrap_or_default();
    match computed {
        Computed::DatabaseUrl => url(&to.user),
        Computed::ReadOnlyUrl => url(reader),
        Computed::DatabaseHost | Computed::ReadOnlyHost => text == to.host,
        Computed::DatabasePort | Computed::ReadOnlyPort => text == to.port.to_string(),
        Computed::DatabaseName | Computed::ReadOnlyName => text == to.database,
        Computed::DatabaseUser => text == to.user,
        Computed::ReadOnlyUser => text == reader,
        _ => false,
    }
}

/// The databases that the app has itself: they are not touched.
async fn old_databases(ctx: &Ctx, app: &str) -> Result<Vec<String>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        let listed = platform.addons(app).await;
        listed.map_err(StepError::provider(format!("listing the addons of {app}")))
    };
    let addons = look(ctx, Pace::PROVIDER, observe).await?;
    let old = addons.into_iter().filter(|addon| addon.addon_provider.id == super::addon::POSTGRESQL);
    Ok(old.map(|addon| format!("addon {} ({}) of {app}", addon.id, addon.plan.name)).collect())
}

/// The variables of an app that lead to its database and that nobody would switch: it would use two at once. By names. Pure.
pub(super) fn overlooked(names: &BTreeMap<String, Computed>, resolved: &[Variable]) -> Vec<String> {
    let hosts: Vec<String> = resolved
        .iter()
        .filter_map(|variable| match names.get(&variable.name)? {
            Computed::DatabaseUrl | Computed::ReadOnlyUrl => Dsn::parse(&variable.value).map(|dsn| dsn.host),
            Computed::DatabaseHost | Computed::ReadOnlyHost => {
                Some(variable.value.expose_secret().to_owned())
            }
            _ => None,
        })
        .filter(|host| !host.is_empty())
        .collect();
    let by_itself = |name: &str| ["SCALINGO_", "REPRISE_"].iter().any(|start| name.starts_with(start));
    let leads = |variable: &&Variable| hosts.iter().any(|host| variable.value.expose_secret().contains(host));
    let others =
        resolved.iter().filter(|one| !names.contains_key(&one.name) && !by_itself(&one.name)).filter(leads);
    others.map(|variable| variable.name.clone()).collect()
}

#[cfg(test)]
mod tests;
