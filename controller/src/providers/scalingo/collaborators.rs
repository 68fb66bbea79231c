//! Collaborators of an app.

use serde::Deserialize;
use serde_json::json;

use super::Scalingo;
use crate::providers::{
    http::{Method, ProviderError},
    open::open_enum,
};

open_enum! {
    /// Whether an invitation was accepted.
    ///
    /// Source: developer documentation "Collaborators".
    CollaboratorStatus {
        /// Invited.
        Pending = "pending",
        /// In.
        Accepted = "accepted",
        /// Was in once.
        Deleted = "user account deleted",
    }
}

/// A collaborator, or an invitation to become one. The invitation's link is left out on purpose: whoever opens it gets in.
#[derive(Debug, Clone, Deserialize)]
pub struct Collaborator {
    /// Its id.
    pub id: String,
    /// The invited address.
    pub email: Option<String>,
    /// The account's user name, once accepted; `n/a` before.
    pub username: Option<String>,
    /// The account, once accepted.
    pub user_id: Option<String>,
    /// Accepted or not.
    pub status: CollaboratorStatus,
    /// May neither see values nor reach databases.
    pub is_limited: Option<bool>,
}

#[derive(Deserialize)]
struct CollaboratorRoot {
    collaborator: Collaborator,
}

#[derive(Deserialize)]
struct CollaboratorsRoot {
    collaborators: Vec<Collaborator>,
}

impl Scalingo {
    /// `GET /apps/:app/collaborators`, invitations included, the owner not.
    ///
    /// Source: developer documentation "Collaborators / List". Safe to repeat.
    pub async fn collaborators(&self, app: &str) -> Result<Vec<Collaborator>, ProviderError> {
        let call =
            self.api("collaborators.list", Method::GET).await?.segments(["apps", app, "collaborators"]);
        self.send::<CollaboratorsRoot>(call).await.map(|root| root.collaborators)
    }

    /// `POST /apps/:app/collaborators`. An e-mail is sent each time: list first. `is_limited` is always said, its default is true.
    ///
    /// Source: developer documentation "Collaborators / Invite".
    pub async fn invite_collaborator(
        &self,
        app: &str,
        email: &str,
        is_limited: bool,
    ) -> Result<Collaborator, ProviderError> {
        let call =
            self.api("collaborators.invite", Method::POST).await?.segments(["apps", app, "collaborators"]);
        let body = json!({ "collaborator": { "email": email, "is_limited": is_limited } });
        self.send::<CollaboratorRoot>(call.json(&body)).await.map(|root| root.collaborator)
    }
}
