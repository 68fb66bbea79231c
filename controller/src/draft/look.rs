//! Reading a live estate from the platform. Nothing is changed there.

use std::collections::BTreeSet;

use super::account::Account;
use super::places::Places;
use super::seen::{AddonSeen, Estate, Seen};
use crate::providers::http::{HttpSetupError, ProviderError};
use crate::providers::scalingo::addons::Addon;
use crate::providers::scalingo::apps::App;
use crate::providers::scalingo::collaborators::CollaboratorStatus;
use crate::providers::scalingo::regions::Stack;
use crate::providers::scalingo::variables::Aliases;
use crate::providers::scalingo::{AddonRef, Scalingo};

/// So many other apps are asked whether they share something: each costs a request.
const OTHERS: usize = 25;

/// Why an estate could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The platform does not answer as it should.
    #[error("{doing}")]
    Platform {
        /// What was asked.
        doing: String,
        /// Why.
        #[source]
        source: Box<ProviderError>,
    },
    /// Its address is not usable.
    #[error("the platform's address cannot be used")]
    Address(#[source] Box<HttpSetupError>),
    /// No region of the account has such an app.
    #[error("there is no app called {app}")]
    Absent {
        /// The name that was given.
        app: String,
        /// Those that there are.
        names: Vec<String>,
    },
}

fn failed(doing: impl Into<String>) -> impl FnOnce(ProviderError) -> LookError {
    move |source| LookError::Platform { doing: doing.into(), source: Box::new(source) }
}

type Result<T> = std::result::Result<T, LookError>;

/// A look at the platform.
struct Look {
    platform: Scalingo,
    stacks: Vec<Stack>,
}

/// Reads the apps called `names`, and those that share their database or bucket. Without `region`, the first region of the account that
/// has the first of them is theirs.
pub async fn estate(account: &Account, region: Option<&str>, names: &[String]) -> Result<Estate> {
    let (first, wanted) = distinct(names);
    let (platform, listed) = home(account, region, first).await?;
    let region = listed.iter().find(|app| app.name == first).and_then(|app| app.region.clone());
    let region = region.unwrap_or_else(|| platform.region_name().to_owned());
    let stacks = platform.stacks().await.map_err(failed("listing the platform's stacks"))?;
    let look = Look { platform, stacks };
    let mut estate = Estate { region, ..Estate::default() };
    for name in &wanted {
        let app = listed.iter().find(|app| app.name == *name).ok_or_else(|| absent(name, &listed))?;
        estate.apps.push(look.at(app).await?);
    }
    look.others(&mut estate, &listed).await?;
    // The first one owns the database, and with it the backups.
    estate.apps.sort_by_key(|app| app.postgresql.is_none());
    estate.taken = listed.into_iter().map(|app| app.name).collect();
    Ok(estate)
}

/// The names without repetitions, in the order in which they were given.
fn distinct(names: &[String]) -> (&str, Vec<&str>) {
    let mut seen = BTreeSet::new();
    let wanted: Vec<&str> = names.iter().map(String::as_str).filter(|name| seen.insert(*name)).collect();
    (wanted.first().copied().unwrap_or_default(), wanted)
}

fn absent(app: &str, listed: &[App]) -> LookError {
    LookError::Absent { app: app.to_owned(), names: listed.iter().map(|app| app.name.clone()).collect() }
}

/// The region of `app`, and all apps of the account there.
async fn home(account: &Account, region: Option<&str>, app: &str) -> Result<(Scalingo, Vec<App>)> {
    let enter = |region: &str| account.region(region).map_err(|error| LookError::Address(Box::new(error)));
    let regions = if let Some(region) = region {
        vec![region.to_owned()]
    } else {
        let all = enter("")?.regions().await.map_err(failed("listing the account's regions"))?;
        all.into_iter().map(|region| region.name).collect()
    };
    let mut seen = Vec::new();
    for region in regions {
        let platform = enter(&region)?;
        let listed = platform.apps().await.map_err(failed(format!("listing the apps in {region}")))?;
        if listed.iter().any(|known| known.name == app) {
            return Ok((platform, listed));
        }
        seen.extend(listed);
    }
    Err(absent(app, &seen))
}

impl Look {
    /// Everything of one app that a plan is made of.
    async fn at(&self, app: &App) -> Result<Seen> {
        let (name, platform) = (app.name.as_str(), &self.platform);
        let doing = |what: &str| failed(format!("reading the {what} of {name}"));
        let addons = platform.addons(name).await.map_err(doing("addons"))?;
        let mut domains = platform.domains(name).await.map_err(doing("domains"))?;
        domains.sort_by_key(|domain| !domain.canonical);
        let link = platform.scm_link(name).await.map_err(doing("repository"))?;
        let mut seen = Seen {
            name: name.to_owned(),
            project: app.project.as_ref().and_then(|project| project.name.clone()),
            default_host: default_host(app),
            stack: self.stack(app),
            postgresql: self.database(name, &addons).await?,
            redis: addons.iter().find(|addon| addon.addon_provider.id == "redis").map(addon_seen),
            domains: domains.into_iter().map(|domain| domain.name).collect(),
            collaborators: self.collaborators(name).await?,
            formation: platform.formation(name).await.map_err(doing("containers"))?,
            code: link.and_then(|link| Some((link.source?, link.branch))),
            ..Seen::default()
        };
        let known = ["postgresql", "redis"];
        let others = addons.into_iter().map(|addon| addon.addon_provider.id);
        seen.other_addons = others.filter(|provider| !known.contains(&provider.as_str())).collect();
        self.read_variables(&mut seen).await?;
        Ok(seen)
    }

    async fn read_variables(&self, seen: &mut Seen) -> Result<()> {
        let listed = self.platform.variables(&seen.name, Aliases::Raw).await;
        let listed = listed.map_err(failed(format!("reading the variables of {}", seen.name)))?;
        seen.variables = listed.into_iter().map(|variable| (variable.name, variable.value)).collect();
        Ok(())
    }

    async fn database(&self, app: &str, addons: &[Addon]) -> Result<Option<AddonSeen>> {
        let Some(addon) = addons.iter().find(|addon| addon.addon_provider.id == "postgresql") else {
            return Ok(None);
        };
        let at = AddonRef { app: app.to_owned(), addon: addon.id.clone() };
        let database =
            self.platform.database(&at).await.map_err(failed(format!("reading the database of {app}")))?;
        let version =
            database.and_then(|database| database.readable_version).and_then(|version| major(&version));
        Ok(Some(AddonSeen { version, ..addon_seen(addon) }))
    }

    fn stack(&self, app: &App) -> Option<String> {
        let id = app.stack_id.as_ref()?;
        self.stacks.iter().find(|stack| stack.id == *id).map(|stack| stack.name.clone())
    }

    /// Those who may see everything: a plan invites nobody else.
    async fn collaborators(&self, app: &str) -> Result<Vec<String>> {
        let listed = self.platform.collaborators(app).await;
        let listed = listed.map_err(failed(format!("reading the collaborators of {app}")))?;
        let full = listed.into_iter().filter(|one| one.is_limited != Some(true));
        Ok(full.filter(|one| one.status != CollaboratorStatus::Deleted).filter_map(|one| one.email).collect())
    }

    /// Apps that nobody named and that share the database or the bucket.
    async fn others(&self, estate: &mut Estate, listed: &[App]) -> Result<()> {
        let places = Places::of(&estate.apps);
        let named: BTreeSet<String> = estate.apps.iter().map(|app| app.name.clone()).collect();
        let project = estate.apps.first().and_then(|app| app.project.clone());
        let mut others: Vec<&App> = listed.iter().filter(|app| !named.contains(&app.name)).collect();
        let elsewhere = |app: &App| app.project.as_ref().and_then(|project| project.name.clone()) != project;
        others.sort_by_key(|app| (elsewhere(app), app.name.clone()));
        if others.len() > OTHERS {
            estate.remarks.push(format!(
                "only {OTHERS} of {} other apps were asked whether they share the database or the bucket: name those that do, with --from-app",
                others.len()
            ));
        }
        for app in others.into_iter().take(OTHERS) {
            let mut glance = Seen { name: app.name.clone(), ..Seen::default() };
            if self.read_variables(&mut glance).await.is_err() {
                let why = "its variables cannot be read: name it with --from-app if it does";
                estate.remarks.push(format!(
                    "whether {} shares the database or the bucket is not known; {why}",
                    app.name
                ));
                continue;
            }
            if let Some(because) = places.shared_with(&glance) {
                estate.apps.push(Seen { because: Some(because), ..self.at(app).await? });
            }
        }
        Ok(())
    }
}

fn addon_seen(addon: &Addon) -> AddonSeen {
    AddonSeen { plan: addon.plan.name.clone(), free: addon.plan.is_free() == Some(true), version: None }
}

fn default_host(app: &App) -> Option<String> {
    let url = url::Url::parse(app.url.as_deref()?).ok()?;
    url.host_str().map(str::to_owned)
}

/// `16` of `16.4.0-2`.
fn major(version: &str) -> Option<String> {
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    (!major.is_empty()).then_some(major)
}
