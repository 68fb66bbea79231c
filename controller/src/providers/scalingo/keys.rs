//! SSH keys of the account: what opens git and the tunnel to databases.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use super::Scalingo;
use crate::providers::http::{Method, ProviderError};

/// A registered public key.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The public line.
    pub content: Option<String>,
    /// The vendor's fingerprint, MD5 in hex.
    pub fingerprint: Option<String>,
    /// When it was registered.
    pub created_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct KeyRoot {
    key: Key,
}

#[derive(Deserialize)]
struct KeysRoot {
    keys: Vec<Key>,
}

impl Scalingo {
    /// `GET /keys`.
    ///
    /// Source: developer documentation "SSH keys / List". Safe to repeat.
    pub async fn keys(&self) -> Result<Vec<Key>, ProviderError> {
        let call = self.auth("keys.list", Method::GET).segments(["keys"]);
        self.send::<KeysRoot>(call).await.map(|root| root.keys)
    }

    /// `POST /keys`. A public key is unique among all accounts: repeating is 422. If the answer is lost, list.
    ///
    /// Source: developer documentation "SSH keys / Add".
    pub async fn add_key(&self, name: &str, public_line: &str) -> Result<Key, ProviderError> {
        let call = self.auth("keys.add", Method::POST).segments(["keys"]);
        let body = json!({ "key": { "name": name, "content": public_line } });
        self.send::<KeyRoot>(call.json(&body)).await.map(|root| root.key)
    }

    /// `DELETE /keys/:id`. `false` if it was gone.
    ///
    /// Source: developer documentation "SSH keys / Delete". Repeating gives 404.
    pub async fn delete_key(&self, id: &str) -> Result<bool, ProviderError> {
        self.delete(self.auth("keys.delete", Method::DELETE).segments(["keys", id])).await
    }
}
