//! Applications.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Scalingo, absent};
use crate::providers::{
    http::{Method, ProviderError},
    open::open_enum,
};

open_enum! {
    /// What an app is doing. While it scales or restarts, other operations are refused.
    ///
    /// Source: developer documentation "Apps".
    AppStatus {
        /// Never deployed.
        New = "new",
        /// Serving.
        Running = "running",
        /// All containers at zero, or stopped.
        Stopped = "stopped",
        /// Did not stay up.
        Crashed = "crashed",
        /// Busy restarting.
        Restarting = "restarting",
        /// Busy scaling.
        Scaling = "scaling",
        /// Busy starting.
        Booting = "booting",
    }
}

/// An application.
#[derive(Debug, Clone, Deserialize)]
pub struct App {
    /// Its id; the name works in its place everywhere.
    pub id: String,
    /// Its name, unique among all customers of the region.
    pub name: String,
    /// Its region.
    pub region: Option<String>,
    /// What it is doing.
    #[serde(default = "unknown")]
    pub status: AppStatus,
    /// Where to push code, `git@host:name.git` or `ssh://…`.
    pub git_url: Option<String>,
    /// Address of its default domain.
    pub url: Option<String>,
    /// Who pays and may delete it.
    pub owner: Option<Owner>,
    /// The project it is in.
    pub project: Option<ProjectRef>,
    /// When a deployment last succeeded.
    pub last_deployed_at: Option<DateTime<Utc>>,
    /// Id of that deployment.
    pub last_deployment_id: Option<String>,
    /// Its base image.
    pub stack_id: Option<String>,
    /// Plain HTTP is redirected.
    #[serde(default)]
    pub force_https: bool,
    /// When it was created.
    pub created_at: Option<DateTime<Utc>>,
}

fn unknown() -> AppStatus {
    AppStatus::Other(String::new())
}

/// The owner of an app or a project.
#[derive(Debug, Clone, Deserialize)]
pub struct Owner {
    /// `us-…`.
    pub id: String,
    /// Name.
    pub username: Option<String>,
    /// Address.
    pub email: Option<String>,
}

/// A project, as an app names it.
#[derive(Debug, Clone, Deserialize)]
pub struct ProjectRef {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
}

/// What an app is created with.
#[derive(Debug, Clone, Serialize)]
pub struct NewApp<'a> {
    /// 6 to 48 lower-case letters, digits and single inner hyphens.
    pub name: &'a str,
    /// The project to put it in; the account's default one if absent. Cannot be changed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<&'a str>,
    /// The base image, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct AppRoot {
    app: App,
}

#[derive(Deserialize)]
struct AppsRoot {
    apps: Vec<App>,
}

impl Scalingo {
    /// `GET /apps`: all that the account owns or collaborates on. Not paginated.
    ///
    /// Source: developer documentation "Apps / List". Safe to repeat.
    pub async fn apps(&self) -> Result<Vec<App>, ProviderError> {
        let call = self.api("apps.list", Method::GET).await?.segments(["apps"]);
        self.send::<AppsRoot>(call).await.map(|root| root.apps)
    }

    /// `GET /apps/:app`. `None` if there is none of that name that we may see: the name may still be taken by another customer.
    ///
    /// Source: developer documentation "Apps / Get". Safe to repeat.
    pub async fn app(&self, app: &str) -> Result<Option<App>, ProviderError> {
        let call = self.api("apps.get", Method::GET).await?.segments(["apps", app]);
        Ok(absent(self.send::<AppRoot>(call).await)?.map(|root| root.app))
    }

    /// `POST /apps`. A taken name is 422 with field `name` ([`name_is_taken`]). Not safe to repeat without looking.
    ///
    /// Source: developer documentation "Apps / Create".
    pub async fn create_app(&self, new: &NewApp<'_>) -> Result<App, ProviderError> {
        let call = self.api("apps.create", Method::POST).await?.segments(["apps"]);
        self.send::<AppRoot>(call.json(&serde_json::json!({ "app": new }))).await.map(|root| root.app)
    }

    /// `DELETE /apps/:app?current_name=`. `false` if it was gone. Final, and frees the name for anybody.
    ///
    /// Source: developer documentation "Apps / Delete". Owner only: others are answered 401. Repeating gives 404.
    pub async fn delete_app(&self, name: &str) -> Result<bool, ProviderError> {
        let call = self.api("apps.delete", Method::DELETE).await?;
        self.delete(call.segments(["apps", name]).query("current_name", name)).await
    }

    /// `PUT /apps/:app {"force_https":…}`, unwrapped as the vendor's own client sends it.
    ///
    /// Source: developer documentation "Apps / Update" (there `PATCH`, wrapped) and the vendor's Go client. Safe to repeat.
    pub async fn set_force_https(&self, app: &str, on: bool) -> Result<App, ProviderError> {
        let call = self.api("apps.force_https", Method::PUT).await?.segments(["apps", app]).repeatable();
        self.send::<AppRoot>(call.json(&serde_json::json!({ "force_https": on }))).await.map(|root| root.app)
    }
}

/// Whether creating failed because somebody, perhaps another customer, has that name.
pub fn name_is_taken(error: &ProviderError) -> bool {
    error.body().is_some_and(|body| body.field_says("name", "already been taken"))
}
