//! A project changes hands: its owner offers it to somebody, who accepts or declines.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use super::{Meta, Scalingo, absent};
use crate::providers::{
    http::{Method, ProviderError},
    open::open_enum,
};

open_enum! {
    /// What became of an offer.
    ///
    /// Source: developer documentation "Projects / Transfer invitations".
    TransferStatus {
        /// It waits for the new owner.
        Pending = "pending",
        /// The project is the new owner's.
        Accepted = "accepted",
        /// The new owner does not want it.
        Declined = "declined",
        /// The owner took it back.
        Canceled = "canceled",
        /// It could not be carried out; one whose time is over as well.
        Failed = "failed",
        /// Something went wrong at the platform.
        Error = "error",
    }
}

/// An offer of a project to a user.
#[derive(Debug, Clone, Deserialize)]
pub struct TransferInvitation {
    /// `tin-…`.
    pub id: String,
    /// The account that may take it.
    pub invited_user_id: String,
    /// Its user name.
    pub invited_user_name: Option<String>,
    /// What became of it.
    pub status: TransferStatus,
    /// Why, where the platform says.
    pub status_reason: Option<String>,
    /// Until when it can be accepted: three days after it was made.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
}

/// Somebody who could own a project.
#[derive(Debug, Clone, Deserialize)]
pub struct Candidate {
    /// `us-…`.
    pub user_id: String,
}

#[derive(Deserialize)]
struct InvitationRoot {
    transfer_invitation: TransferInvitation,
}

#[derive(Deserialize)]
struct InvitationsRoot {
    transfer_invitations: Vec<TransferInvitation>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct CandidatesRoot {
    eligible_new_owners: Vec<Candidate>,
}

impl Scalingo {
    /// `GET /projects/:id/transfer_invitations?status=all`: those that have ended, too. `None` if the project is not (or no longer) ours
    /// to see.
    ///
    /// Source: developer documentation "Projects / Transfer invitations / List". Safe to repeat.
    pub async fn transfers(&self, project: &str) -> Result<Option<Vec<TransferInvitation>>, ProviderError> {
        let (mut all, mut next) = (Vec::new(), Some(1));
        while let Some(page) = next {
            let call = self.api("transfers.list", Method::GET).await?;
            let call = call.segments(["projects", project, "transfer_invitations"]);
            let call = call.query("status", "all").query("page", &page.to_string());
            let Some(root) = absent(self.send::<InvitationsRoot>(call).await)? else { return Ok(None) };
            next = Meta::next(root.meta.as_ref()).filter(|next| *next > page);
            all.extend(root.transfer_invitations);
        }
        Ok(Some(all))
    }

    /// `GET /projects/:id/eligible_new_owners`: accepted collaborators of everything in it who can be billed. `None` if the project is
    /// not ours to see.
    ///
    /// Source: developer documentation "Projects / Eligible new owners". Safe to repeat.
    pub async fn transfer_candidates(&self, project: &str) -> Result<Option<Vec<Candidate>>, ProviderError> {
        let call = self.api("transfers.candidates", Method::GET).await?;
        let call = call.segments(["projects", project, "eligible_new_owners"]);
        Ok(absent(self.send::<CandidatesRoot>(call).await)?.map(|root| root.eligible_new_owners))
    }

    /// `POST /projects/:id/transfer_invitations`. The invited user is told; refused while another one is pending. Not safe to repeat
    /// without looking.
    ///
    /// Source: developer documentation "Projects / Transfer invitations / Create".
    pub async fn offer_project(
        &self,
        project: &str,
        user: &str,
    ) -> Result<TransferInvitation, ProviderError> {
        let call = self.api("transfers.offer", Method::POST).await?;
        let call = call.segments(["projects", project, "transfer_invitations"]);
        let body = json!({ "transfer_invitation": { "invited_user_id": user } });
        self.send::<InvitationRoot>(call.json(&body)).await.map(|root| root.transfer_invitation)
    }

    /// `POST /projects/:id/transfer_invitations/:invitation/cancel`, by the owner; 409 where it is no longer pending.
    ///
    /// Source: developer documentation "Projects / Transfer invitations / Cancel".
    pub async fn cancel_transfer(&self, project: &str, invitation: &str) -> Result<(), ProviderError> {
        let call = self.api("transfers.cancel", Method::POST).await?;
        let call = call.segments(["projects", project, "transfer_invitations", invitation, "cancel"]);
        self.answer(call.json(&json!({}))).await.map(drop)
    }
}
