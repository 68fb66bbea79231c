//! Deployments of an app: made by pushing code, followed here.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Meta, Scalingo, absent};
use crate::providers::{
    http::{Method, ProviderError},
    open::open_enum,
};

/// Largest build log that is read, in bytes.
const OUTPUT_LIMIT: usize = 16 << 20;

open_enum! {
    /// How far a deployment is.
    ///
    /// Source: developer documentation "Deployments"; user documentation "Postdeploy hook".
    DeploymentStatus {
        /// Behind others of the same owner.
        Queued = "queued",
        /// Building the image.
        Building = "building",
        /// Storing the image.
        Pushing = "pushing",
        /// Starting the new containers.
        Starting = "starting",
        /// Serving.
        Success = "success",
        /// The build failed.
        BuildError = "build-error",
        /// The new containers did not stay up.
        CrashedError = "crashed-error",
        /// The web containers did not listen in time.
        TimeoutError = "timeout-error",
        /// The hook failed: the former version keeps running, and the code must be pushed again.
        HookError = "hook-error",
        /// Given up.
        Aborted = "aborted",
    }
}

impl DeploymentStatus {
    /// Ended, well or not. A word that is new to us has not ended.
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Queued | Self::Building | Self::Pushing | Self::Starting | Self::Other(_) => false,
            Self::Success
            | Self::BuildError
            | Self::CrashedError
            | Self::TimeoutError
            | Self::HookError
            | Self::Aborted => true,
        }
    }
}

/// A deployment.
#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub status: DeploymentStatus,
    /// What was pushed: a commit for git.
    pub git_ref: Option<String>,
    /// `deployment`, `archive`…
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// When it began.
    pub created_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// In seconds.
    pub duration: Option<u64>,
    /// The hook's command, if there is one.
    pub postdeploy_hook: Option<String>,
}

#[derive(Deserialize)]
struct DeploymentRoot {
    deployment: Deployment,
}

#[derive(Deserialize)]
struct DeploymentsRoot {
    deployments: Vec<Deployment>,
    meta: Option<Meta>,
}

impl Scalingo {
    /// `GET /apps/:app/deployments`, newest first, until `enough` are read or there are no more.
    ///
    /// Source: developer documentation "Deployments / List". Safe to repeat.
    pub async fn deployments(&self, app: &str, enough: usize) -> Result<Vec<Deployment>, ProviderError> {
        let (mut all, mut next) = (Vec::new(), Some(1));
        while let Some(page) = next.filter(|_| all.len() < enough) {
            let call =
                self.api("deployments.list", Method::GET).await?.segments(["apps", app, "deployments"]);
            let root: DeploymentsRoot = self.send(call.query("page", &page.to_string())).await?;
            next = Meta::next(root.meta.as_ref()).filter(|next| *next > page);
            all.extend(root.deployments);
        }
        Ok(all)
    }

    /// `GET /apps/:app/deployments/:id`.
    ///
    /// Source: developer documentation "Deployments / Get". Safe to repeat.
    pub async fn deployment(&self, app: &str, id: &str) -> Result<Option<Deployment>, ProviderError> {
        let call = self.api("deployments.get", Method::GET).await?.segments(["apps", app, "deployments", id]);
        Ok(absent(self.send::<DeploymentRoot>(call).await)?.map(|root| root.deployment))
    }

    /// `GET /apps/:app/deployments/:id/output`: the build log as text; `None` while there is none. It may hold what the build printed:
    /// show its end to people, keep it out of logs.
    ///
    /// Source: developer documentation "Deployments / Output". Safe to repeat.
    pub async fn deployment_output(&self, app: &str, id: &str) -> Result<Option<String>, ProviderError> {
        let call = self.api("deployments.output", Method::GET).await?;
        let call =
            call.segments(["apps", app, "deployments", id, "output"]).header("accept", "text/plain, */*");
        let answer = absent(self.answer(call.limit(OUTPUT_LIMIT)).await)?;
        Ok(answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned()))
    }
}
