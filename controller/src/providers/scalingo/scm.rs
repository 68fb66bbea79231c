//! The repository that an app is deployed from, where it is linked to one.

use serde::Deserialize;

use super::{Scalingo, absent};
use crate::providers::http::{Method, ProviderError};

/// The link of an app to a repository at GitHub or GitLab.
#[derive(Debug, Clone, Deserialize)]
pub struct ScmLink {
    /// The repository's address, as it was linked.
    pub source: Option<String>,
    /// The branch that is deployed by itself.
    pub branch: Option<String>,
}

#[derive(Deserialize)]
struct ScmLinkRoot {
    scm_repo_link: Option<ScmLink>,
}

impl Scalingo {
    /// `GET /apps/:app/scm_repo_link`. `None` if the app is linked to nothing: its code was pushed.
    ///
    /// Source: developer documentation "SCM repo links / Get". Safe to repeat.
    pub async fn scm_link(&self, app: &str) -> Result<Option<ScmLink>, ProviderError> {
        let call = self.api("scm_links.get", Method::GET).await?.segments(["apps", app, "scm_repo_link"]);
        Ok(absent(self.send::<ScmLinkRoot>(call).await)?.and_then(|root| root.scm_repo_link))
    }
}
