//! Who owns the recovered estate in the end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Period;

/// To whom the recovered project goes, with its apps and its bill. It is pursued once the recovery has succeeded, and
/// keeps nothing waiting. A drill hands nothing over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HandOverSpec {
    /// The new owner: an e-mail address, which is invited to every app, or the user name of somebody whom
    /// `target.collaborators` invites. The link of an invitation makes whoever opens it the collaborator, so a user
    /// name is the surer of the two.
    pub to: String,
    /// How long nobody may do what is waited for (accept an invitation, take the project) before it is given up.
    /// Default: `30d`.
    #[serde(default = "a_month")]
    pub silence: Period,
}

fn a_month() -> Period {
    Period::seconds(30 * 86_400)
}
