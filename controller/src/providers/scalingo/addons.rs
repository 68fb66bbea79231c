//! Addons and their plans.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Scalingo, absent};
use crate::providers::{
    http::{Method, ProviderError},
    open::open_enum,
};

open_enum! {
    /// How far an addon is. 201 is not usable: it is `provisioning`, and its variables come about a minute later.
    ///
    /// Source: developer documentation "Addons".
    AddonStatus {
        /// Not usable yet, or changing its plan.
        Provisioning = "provisioning",
        /// Usable.
        Running = "running",
        /// Switched off.
        Suspended = "suspended",
    }
}

/// What an addon is an instance of.
#[derive(Debug, Clone, Deserialize)]
pub struct AddonProvider {
    /// Such as `postgresql`.
    pub id: String,
    /// Name for people.
    pub name: Option<String>,
}

/// A plan of an addon provider.
#[derive(Debug, Clone, Deserialize)]
pub struct AddonPlan {
    /// Its id: what provisioning takes.
    pub id: String,
    /// Its name, such as `postgresql-starter-512`.
    pub name: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// Can no longer be provisioned.
    #[serde(default)]
    pub disabled: bool,
    /// What would be given instead.
    pub disabled_alternative_plan_id: Option<String>,
    price: Option<Value>,
    pricings: Option<BTreeMap<String, Option<Pricing>>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Pricing {
    price: Option<Value>,
    currency: Option<String>,
    period: Option<String>,
}

impl AddonPlan {
    /// What 30 days of it cost, in euros: by the default price or, where there is none, by the deprecated one. `None` if no
    /// price is told, or one in words that are not known.
    ///
    /// Source: developer documentation "Addon providers / Plans": `pricings` tell currency and period, `price` is in euros for
    /// 30 days.
    pub fn monthly_euros(&self) -> Option<f64> {
        let pricings = self.pricings.as_ref();
        let Some(default) = pricings.and_then(|pricings| pricings.get("default")).and_then(Option::as_ref)
        else {
            return number(self.price.as_ref());
        };
        let times = match default.period.as_deref()? {
            "minute" => 43_200.0,
            "hour" => 720.0,
            _ => return None,
        };
        let price = number(default.price.as_ref()).filter(|_| default.currency.as_deref() == Some("EUR"))?;
        Some(price * times)
    }

    /// Costs nothing, by the default price or, where there is none, by the deprecated one. `None` if no price is told.
    ///
    /// Source: developer documentation "Addon providers / Plans": prices are strings in `pricings`, numbers in `price`.
    pub fn is_free(&self) -> Option<bool> {
        let default =
            self.pricings.as_ref().and_then(|pricings| pricings.get("default")).and_then(Option::as_ref);
        let price = default
            .and_then(|pricing| number(pricing.price.as_ref()))
            .or_else(|| number(self.price.as_ref()));
        price.map(|price| price <= 0.0)
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    }
}

/// An addon of an app.
#[derive(Debug, Clone, Deserialize)]
pub struct Addon {
    /// `ad-…`: what every other call takes, the database API included.
    pub id: String,
    /// Name of the database and of its first user.
    pub resource_id: Option<String>,
    /// What it is.
    pub addon_provider: AddonProvider,
    /// What was provisioned, which may differ from what was asked for.
    pub plan: AddonPlan,
    /// How far it is.
    pub status: AddonStatus,
    /// When it was asked for.
    pub provisioned_at: Option<DateTime<Utc>>,
    /// What the vendor says about it.
    #[serde(default)]
    pub message: Option<String>,
    /// The variables that it brings, where they are told.
    #[serde(default, deserialize_with = "variables")]
    pub variables: BTreeMap<String, SecretString>,
}

/// The vendor puts message and variables inside the addon or beside it.
#[derive(Deserialize)]
struct AddonRoot {
    addon: Addon,
    message: Option<String>,
    #[serde(default, deserialize_with = "variables")]
    variables: BTreeMap<String, SecretString>,
}

impl AddonRoot {
    fn merged(self) -> Addon {
        let mut addon = self.addon;
        addon.message = addon.message.or(self.message);
        if addon.variables.is_empty() {
            addon.variables = self.variables;
        }
        addon
    }
}

#[derive(Deserialize)]
struct AddonsRoot {
    addons: Vec<Addon>,
}

#[derive(Deserialize)]
struct PlansRoot {
    plans: Vec<AddonPlan>,
}

/// A map of names to values, a list of `{name, value}`, or nothing: no source tells which.
fn variables<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, SecretString>, D::Error> {
    let secret = |value: &Value| value.as_str().map(SecretString::from);
    Ok(match Option::<Value>::deserialize(from)? {
        Some(Value::Object(map)) => map.iter().filter_map(|(k, v)| Some((k.clone(), secret(v)?))).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|item| Some((item.get("name")?.as_str()?.to_owned(), secret(item.get("value")?)?)))
            .collect(),
        _ => BTreeMap::new(),
    })
}

impl Scalingo {
    /// `GET /addon_providers/:id/plans?show_all=`. With `show_all`, also those that can no longer be had.
    ///
    /// Source: developer documentation "Addon providers / Plans". Safe to repeat.
    pub async fn addon_plans(&self, provider: &str, show_all: bool) -> Result<Vec<AddonPlan>, ProviderError> {
        let call =
            self.api("addon_plans.list", Method::GET).await?.segments(["addon_providers", provider, "plans"]);
        let call = call.query("show_all", if show_all { "true" } else { "false" });
        self.send::<PlansRoot>(call).await.map(|root| root.plans)
    }

    /// `GET /apps/:app/addons`. Not paginated.
    ///
    /// Source: developer documentation "Addons / List". Safe to repeat.
    pub async fn addons(&self, app: &str) -> Result<Vec<Addon>, ProviderError> {
        let call = self.api("addons.list", Method::GET).await?.segments(["apps", app, "addons"]);
        self.send::<AddonsRoot>(call).await.map(|root| root.addons)
    }

    /// `GET /apps/:app/addons/:id`.
    ///
    /// Source: developer documentation "Addons / Get". Safe to repeat.
    pub async fn addon(&self, app: &str, id: &str) -> Result<Option<Addon>, ProviderError> {
        let call = self.api("addons.get", Method::GET).await?.segments(["apps", app, "addons", id]);
        Ok(absent(self.send::<AddonRoot>(call).await)?.map(AddonRoot::merged))
    }

    /// `POST /apps/:app/addons`. Repeating it makes, and bills, a second one: list first. A plan that can no longer be had silently
    /// becomes a dearer one: compare [`Addon::plan`].
    ///
    /// Source: developer documentation "Addons / Provision"; changelog of 2026-03-01.
    pub async fn provision_addon(
        &self,
        app: &str,
        provider: &str,
        plan_id: &str,
        version: Option<&str>,
    ) -> Result<Addon, ProviderError> {
        let call = self.api("addons.provision", Method::POST).await?.segments(["apps", app, "addons"]);
        let options = version.map(|version| json!({ "version": version }));
        let body =
            json!({ "addon": { "addon_provider_id": provider, "plan_id": plan_id, "options": options } });
        self.send::<AddonRoot>(call.json(&body)).await.map(AddonRoot::merged)
    }

    /// `DELETE /apps/:app/addons/:id`. `false` if it was gone. Destroys the data and the point-in-time history at once.
    ///
    /// Source: developer documentation "Addons / Deprovision". Repeating gives 404.
    pub async fn delete_addon(&self, app: &str, id: &str) -> Result<bool, ProviderError> {
        let call = self.api("addons.delete", Method::DELETE).await?;
        self.delete(call.segments(["apps", app, "addons", id])).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: Value) -> AddonPlan {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_price_may_be_a_string_a_number_or_missing() {
        let free = json!({"id":"1","name":"a","pricings":{"default":{"price":"0.0"}},"price":7});
        assert_eq!(plan(free).is_free(), Some(true));
        let paid = json!({"id":"1","name":"a","pricings":{"default":{"price":"0.0001666667"}}});
        assert_eq!(plan(paid).is_free(), Some(false));
        assert_eq!(plan(json!({"id":"1","name":"a","price":0,"pricings":null})).is_free(), Some(true));
        assert_eq!(plan(json!({"id":"1","name":"a","price":7.2})).is_free(), Some(false));
        assert_eq!(plan(json!({"id":"1","name":"a"})).is_free(), None);
    }

    #[test]
    fn message_and_variables_are_found_at_both_places() {
        let addon = json!({"id":"ad-1","addon_provider":{"id":"redis"},"plan":{"id":"1","name":"a"},
                           "status":"provisioning","variables":null});
        let beside = json!({"addon": addon.clone(), "message": "m", "variables": {"A": "b"}});
        let beside = serde_json::from_value::<AddonRoot>(beside).unwrap().merged();
        assert_eq!((beside.message.as_deref(), beside.variables.len()), (Some("m"), 1));
        let mut inner = addon;
        inner["message"] = "n".into();
        inner["variables"] = json!([{"name": "A", "value": "b"}, {"name": "B", "value": null}]);
        let inside = serde_json::from_value::<AddonRoot>(json!({"addon": inner})).unwrap().merged();
        assert_eq!((inside.message.as_deref(), inside.variables.len()), (Some("n"), 1));
        assert!(!format!("{inside:?}").contains("\"b\""));
    }
}
