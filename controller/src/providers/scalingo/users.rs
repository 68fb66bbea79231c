//! Users of a database.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::{AddonRef, Scalingo, absent};
use crate::providers::http::{Method, ProviderError};

/// A user of a database.
#[derive(Debug, Clone, Deserialize)]
pub struct DatabaseUser {
    /// Its name.
    pub name: String,
    /// May only read.
    #[serde(default)]
    pub read_only: bool,
    /// The first user: neither deleted nor renamed, its password changed by support only.
    #[serde(default)]
    pub protected: bool,
    /// Told once, when created or reset.
    #[serde(default)]
    pub password: Option<SecretString>,
}

#[derive(Deserialize)]
struct UsersRoot {
    #[serde(rename = "database-users", alias = "database_users")]
    users: Vec<DatabaseUser>,
}

/// Documented bare, sent wrapped by what the vendor's client decodes.
#[derive(Deserialize)]
#[serde(untagged)]
enum UserRoot {
    Wrapped { database_user: DatabaseUser },
    Bare(DatabaseUser),
}

impl UserRoot {
    fn user(self) -> DatabaseUser {
        match self {
            Self::Wrapped { database_user } | Self::Bare(database_user) => database_user,
        }
    }
}

impl Scalingo {
    /// `GET /databases/:addon/users`.
    ///
    /// Source: developer documentation "Database users / List". Safe to repeat.
    pub async fn database_users(&self, addon: &AddonRef) -> Result<Vec<DatabaseUser>, ProviderError> {
        let call = self.database_api("database_users.list", Method::GET).await?;
        let call = call.segments(["databases", &addon.addon, "users"]);
        self.database_send::<UsersRoot>(addon, call).await.map(|root| root.users)
    }

    /// `POST /databases/:addon/users` with a password made by the platform, told in the answer only. If that answer is lost, reset the
    /// password instead. Names are 6 to 32 lower-case letters and digits: the part that both descriptions of the vendor allow.
    ///
    /// Source: developer documentation "Database users / Create". Not safe to repeat without looking.
    pub async fn create_database_user(
        &self,
        addon: &AddonRef,
        name: &str,
        read_only: bool,
    ) -> Result<DatabaseUser, ProviderError> {
        let call = self.database_api("database_users.create", Method::POST).await?;
        let call = call.segments(["databases", &addon.addon, "users"]);
        let user = json!({ "database_id": addon.addon, "name": name, "read_only": read_only });
        let call = call.json(&json!({ "database_user": user }));
        self.database_send::<UserRoot>(addon, call).await.map(UserRoot::user)
    }

    /// `POST /databases/:addon/users/:name/reset_password`. The former password ends.
    ///
    /// Source: developer documentation "Database users / Reset password". Repeating makes yet another password.
    pub async fn reset_database_user(
        &self,
        addon: &AddonRef,
        name: &str,
    ) -> Result<DatabaseUser, ProviderError> {
        let call = self.database_api("database_users.reset", Method::POST).await?;
        let call = call.segments(["databases", &addon.addon, "users", name, "reset_password"]);
        self.database_send::<UserRoot>(addon, call.json(&json!({}))).await.map(UserRoot::user)
    }

    /// `DELETE /databases/:addon/users/:name`. `false` if it was gone.
    ///
    /// Source: developer documentation "Database users / Delete". Repeating gives 404.
    pub async fn delete_database_user(&self, addon: &AddonRef, name: &str) -> Result<bool, ProviderError> {
        let call = self.database_api("database_users.delete", Method::DELETE).await?;
        let call = call.segments(["databases", &addon.addon, "users", name]);
        Ok(absent(self.database_answer(addon, call).await)?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_user_is_read_wrapped_and_bare() {
        let user = json!({"name": "ro", "read_only": true, "password": "secret", "dbms_attributes": {}});
        for shape in [json!({ "database_user": user.clone() }), user] {
            let user = serde_json::from_value::<UserRoot>(shape).unwrap().user();
            assert!(user.read_only && user.password.is_some());
            assert!(!format!("{user:?}").contains("secret\""), "{user:?}");
        }
    }
}
