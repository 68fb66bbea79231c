//! What the platform says.

use std::collections::BTreeSet;

use reprise_crds::plan::PostgresqlSpec;

use super::Preflight;
use super::finding::{Seen, bad, failed, good, unusable, warning};
use crate::providers::http::ProviderError;
use crate::providers::scalingo::addons::{Addon, AddonPlan};
use crate::providers::scalingo::backups::BackupStatus;
use crate::providers::scalingo::collaborators::Collaborator;
use crate::providers::scalingo::{AddonRef, Scalingo};

impl Preflight<'_> {
    fn target(&self) -> Result<Scalingo, Seen> {
        self.tools.platform(&self.spec.target.region).map_err(|error| unusable(&error))
    }

    pub(super) async fn platform(&self) -> Seen {
        self.account().await.unwrap_or_else(|seen| seen)
    }

    async fn account(&self) -> Result<Seen, Seen> {
        let user = self.target()?.self_account().await.map_err(|error| denied(&error))?;
        let limited = self.limited(&user.id).await?;
        let name = user.username.unwrap_or(user.id);
        if !limited.is_empty() {
            return Ok(bad(format!(
                "the platform takes our token and knows us as {name}, who is a limited collaborator of {}: neither its backups nor the values of \
                 its variables are to be had; give {name} full rights there",
                limited.join(", ")
            )));
        }
        Ok(good(format!("the platform takes our token and knows us as {name}")))
    }

    /// The apps of the lost estate in which we may not do what a recovery does. One that is not there is another check's concern.
    async fn limited(&self, me: &str) -> Result<Vec<String>, Seen> {
        let source = &self.spec.source;
        let platform = self.tools.platform(&source.region).map_err(|error| unusable(&error))?;
        let replaced = self.spec.apps.iter().filter_map(|app| app.replaces.as_ref());
        let apps: BTreeSet<&String> = replaced.chain([&source.app]).collect();
        let mut limited = Vec::new();
        for app in apps {
            let Some(found) = platform.app(app).await.map_err(|error| failed(&error))? else { continue };
            if found.owner.is_none_or(|owner| owner.id == me) {
                continue;
            }
            let people = match platform.collaborators(app).await {
                // Who may not see the others is one of the limited.
                Err(error) if error.is_denied() => None,
                told => Some(told.map_err(|error| failed(&error))?),
            };
            if is_limited(me, people.as_deref()) {
                limited.push(app.clone());
            }
        }
        Ok(limited)
    }

    pub(super) async fn plans(&self) -> Seen {
        self.offered_plans().await.unwrap_or_else(|seen| seen)
    }

    async fn offered_plans(&self) -> Result<Seen, Seen> {
        let platform = self.target()?;
        let PostgresqlSpec { plan, .. } = &self.spec.target.postgresql;
        let redis = self.spec.target.redis.as_ref().map(|redis| ("redis", redis.plan.as_str()));
        let mut offered = Vec::new();
        for (provider, plan) in [("postgresql", plan.as_str())].into_iter().chain(redis) {
            let plans = platform.addon_plans(provider, true).await.map_err(|error| failed(&error))?;
            offered.push(judge(&plans, plan)?);
        }
        Ok(good(format!("offered: {}", offered.join(", "))))
    }

    pub(super) async fn stack(&self) -> Seen {
        self.offered_stack().await.unwrap_or_else(|seen| seen)
    }

    async fn offered_stack(&self) -> Result<Seen, Seen> {
        let wanted = self.spec.target.stack.as_deref().unwrap_or_default();
        let stacks = self.target()?.stacks().await.map_err(|error| failed(&error))?;
        let names = || stacks.iter().map(|stack| stack.name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(stack) = stacks.iter().find(|stack| stack.name == wanted) else {
            return Ok(bad(format!("the platform does not offer {wanted}; it offers {}", names())));
        };
        let today = self.tools.clock.now().date_naive();
        Ok(match stack.deprecated_at {
            Some(day) if day <= today => warning(format!("{wanted} is deprecated since {day}")),
            Some(day) => warning(format!("{wanted} will be deprecated on {day}")),
            None => good(format!("{wanted} is offered")),
        })
    }

    pub(super) async fn backups(&self) -> Seen {
        self.listed_backups().await.unwrap_or_else(|seen| seen)
    }

    /// The version of production's own server, where the platform tells it.
    pub(super) async fn source_version(&self) -> Option<String> {
        let source = &self.spec.source;
        let platform = self.tools.platform(&source.region).ok()?;
        let addon = self.source_addon(&platform).await.ok()?;
        let database = platform.database(&AddonRef { app: source.app.clone(), addon: addon?.id }).await;
        database.ok()??.readable_version
    }

    async fn source_addon(&self, platform: &Scalingo) -> Result<Option<Addon>, ProviderError> {
        let source = &self.spec.source;
        let ours = |provider: &str| provider.eq_ignore_ascii_case(&source.addon);
        let addons = platform.addons(&source.app).await?;
        Ok(addons.into_iter().find(|one| one.id == source.addon || ours(&one.addon_provider.id)))
    }

    async fn listed_backups(&self) -> Result<Seen, Seen> {
        let source = &self.spec.source;
        let platform = self.tools.platform(&source.region).map_err(|error| unusable(&error))?;
        let found = self.source_addon(&platform).await.map_err(|error| failed(&error))?;
        let Some(addon) = found else {
            return Ok(bad(format!("{} has no addon {}", source.app, source.addon)));
        };
        let addon = AddonRef { app: source.app.clone(), addon: addon.id };
        let backups = platform.backups(&addon).await.map_err(|error| failed(&error))?;
        let done = backups.iter().filter(|backup| backup.status == BackupStatus::Done).count();
        Ok(match done {
            0 => bad(format!("the platform lists no finished backup of the database of {}", source.app)),
            done => good(format!("{done} finished backups are listed")),
        })
    }
}

/// Whether `me` is a limited collaborator; `people` of an app that is somebody else's, `None` where we may not see them.
fn is_limited(me: &str, people: Option<&[Collaborator]>) -> bool {
    let Some(people) = people else { return true };
    people.iter().any(|one| one.user_id.as_deref() == Some(me) && one.is_limited == Some(true))
}

/// The sentence about a plan.
fn judge(plans: &[AddonPlan], wanted: &str) -> Result<String, Seen> {
    match plans.iter().find(|plan| plan.name == wanted) {
        None => Err(bad(format!("the platform does not offer the plan {wanted}"))),
        Some(plan) if plan.disabled => Err(bad(format!("the plan {wanted} can be had no more"))),
        Some(plan) if plan.is_free() == Some(true) => {
            Err(bad(format!("the plan {wanted} costs nothing, so it has no backups")))
        }
        Some(_) => Ok(wanted.to_owned()),
    }
}

/// A token that is not taken will not be by itself.
fn denied(error: &ProviderError) -> Seen {
    if error.is_denied() {
        return bad("the platform refuses our token: make a new one and put it where the daemon runs");
    }
    failed(error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limited_collaborator_is_known_also_where_they_may_not_see_themselves() {
        let one = |user: &str, limited: bool| -> Collaborator {
            let one = json!({ "id": "co-1", "user_id": user, "status": "accepted", "is_limited": limited });
            serde_json::from_value(one).expect("a collaborator")
        };
        assert!(is_limited("us-1", None));
        assert!(is_limited("us-1", Some(&[one("us-1", true)])));
        assert!(!is_limited("us-1", Some(&[one("us-1", false), one("us-2", true)])));
    }
}
