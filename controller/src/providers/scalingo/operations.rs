//! Operations: what scaling and restarting end in.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Scalingo, absent};
use crate::providers::{
    http::{Method, ProviderError},
    open::open_enum,
};

open_enum! {
    /// How far an operation is.
    ///
    /// Source: developer documentation "Operations".
    OperationStatus {
        /// Not begun.
        Pending = "pending",
        /// Under way.
        Running = "running",
        /// Carried out.
        Done = "done",
        /// Given up.
        Error = "error",
    }
}

/// An operation on an app.
#[derive(Debug, Clone, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// `scale`, `restart`, `start`…
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// How far it is.
    pub status: OperationStatus,
    /// Why it failed; often empty.
    pub error: Option<String>,
    /// When it began.
    pub created_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct OperationRoot {
    operation: Operation,
}

impl Scalingo {
    /// `GET /apps/:app/operations/:id`.
    ///
    /// Source: developer documentation "Operations / Get". Safe to repeat.
    pub async fn operation(&self, app: &str, id: &str) -> Result<Option<Operation>, ProviderError> {
        let call = self.api("operations.get", Method::GET).await?.segments(["apps", app, "operations", id]);
        Ok(absent(self.send::<OperationRoot>(call).await)?.map(|root| root.operation))
    }
}
