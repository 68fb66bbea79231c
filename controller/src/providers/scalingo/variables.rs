//! Environment variables of an app.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::Scalingo;
use crate::providers::http::{Method, ProviderError};

/// A variable. Its value is a secret, whatever it is.
#[derive(Debug, Clone, Deserialize)]
pub struct Variable {
    /// Its id, for deleting.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its value. Empty for a collaborator who may not see it.
    #[serde(default)]
    pub value: SecretString,
}

/// Whether `$NAME` stands for another variable in what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aliases {
    /// As it was set.
    Raw,
    /// As the app sees it.
    Resolved,
}

/// The variable that `value` stands for where the platform knows one of that name: a value that is `$NAME`, all of it.
///
/// Source: documentation "App / Environment", read 2026-08-20. What is within a longer text is not told there.
pub fn alias_of(value: &str) -> Option<&str> {
    let name = value.strip_prefix('$')?;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (plain && name.starts_with(|c: char| !c.is_ascii_digit())).then_some(name)
}

#[derive(Deserialize)]
struct VariablesRoot {
    variables: Vec<Variable>,
}

impl Scalingo {
    /// `GET /apps/:app/variables?aliases=`. Not paginated.
    ///
    /// Source: developer documentation "Environment / List". Safe to repeat.
    pub async fn variables(&self, app: &str, aliases: Aliases) -> Result<Vec<Variable>, ProviderError> {
        let call = self.api("variables.list", Method::GET).await?.segments(["apps", app, "variables"]);
        let call = call.query("aliases", if aliases == Aliases::Raw { "true" } else { "false" });
        self.send::<VariablesRoot>(call).await.map(|root| root.variables)
    }

    /// `PUT /apps/:app/variables`: creates or changes all of `variables` in one call; others stay. Blank values are refused. Running
    /// containers see nothing of it until they start anew.
    ///
    /// Source: developer documentation "Environment / Bulk update". Safe to repeat.
    pub async fn set_variables<'a>(
        &self,
        app: &str,
        variables: impl IntoIterator<Item = (&'a str, &'a SecretString)>,
    ) -> Result<Vec<Variable>, ProviderError> {
        let list: Vec<_> = variables
            .into_iter()
            .map(|(name, value)| json!({ "name": name, "value": value.expose_secret() }))
            .collect();
        let call = self.api("variables.set", Method::PUT).await?.segments(["apps", app, "variables"]);
        let call = call.json(&json!({ "variables": list })).repeatable();
        self.send::<VariablesRoot>(call).await.map(|root| root.variables)
    }

    /// `DELETE /apps/:app/variables/:id`. `false` if it was gone.
    ///
    /// Source: developer documentation "Environment / Delete". Repeating gives 404.
    pub async fn delete_variable(&self, app: &str, id: &str) -> Result<bool, ProviderError> {
        let call = self.api("variables.delete", Method::DELETE).await?;
        self.delete(call.segments(["apps", app, "variables", id])).await
    }
}

#[cfg(test)]
mod tests {
    use super::alias_of;

    #[test]
    fn a_value_stands_for_another_variable_only_where_it_is_nothing_but_its_name() {
        assert_eq!(alias_of("$DATABASE_URL"), Some("DATABASE_URL"));
        for value in ["DATABASE_URL", "$", "$1x", "$A b", "x$A", "$A$B", ""] {
            assert_eq!(alias_of(value), None, "{value}");
        }
    }
}
