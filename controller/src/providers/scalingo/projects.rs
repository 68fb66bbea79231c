//! Projects: what is handed over as a whole.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use super::{Meta, Scalingo, absent, apps::Owner};
use crate::providers::http::{Method, ProviderError};

/// A project.
#[derive(Debug, Clone, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The one that apps go to when none is named.
    #[serde(default)]
    pub default: bool,
    /// Who owns it.
    pub owner: Option<Owner>,
    /// When it was created.
    pub created_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct ProjectRoot {
    project: Project,
}

#[derive(Deserialize)]
struct ProjectsRoot {
    projects: Vec<Project>,
    meta: Option<Meta>,
}

impl Scalingo {
    /// `GET /projects`, all pages if there are several.
    ///
    /// Source: developer documentation "Projects / List". Safe to repeat.
    pub async fn projects(&self) -> Result<Vec<Project>, ProviderError> {
        let (mut all, mut next) = (Vec::new(), Some(1));
        while let Some(page) = next {
            let call = self.api("projects.list", Method::GET).await?.segments(["projects"]);
            let root: ProjectsRoot = self.send(call.query("page", &page.to_string())).await?;
            next = Meta::next(root.meta.as_ref()).filter(|next| *next > page);
            all.extend(root.projects);
        }
        Ok(all)
    }

    /// `GET /projects/:id`.
    ///
    /// Source: developer documentation "Projects / Get". Safe to repeat.
    pub async fn project(&self, id: &str) -> Result<Option<Project>, ProviderError> {
        let call = self.api("projects.get", Method::GET).await?.segments(["projects", id]);
        Ok(absent(self.send::<ProjectRoot>(call).await)?.map(|root| root.project))
    }

    /// `POST /projects`. Names are 1 to 64 of `[a-z0-9-_]`; 20 projects an account. Not safe to repeat without looking.
    ///
    /// Source: developer documentation "Projects / Create".
    pub async fn create_project(&self, name: &str) -> Result<Project, ProviderError> {
        let call = self.api("projects.create", Method::POST).await?.segments(["projects"]);
        let body = json!({ "project": { "name": name, "default": false } });
        self.send::<ProjectRoot>(call.json(&body)).await.map(|root| root.project)
    }

    /// `DELETE /projects/:id`; 409 while it holds apps. `false` if it was gone.
    ///
    /// Source: developer documentation "Projects / Delete". Repeating gives 404.
    pub async fn delete_project(&self, id: &str) -> Result<bool, ProviderError> {
        let call = self.api("projects.delete", Method::DELETE).await?;
        self.delete(call.segments(["projects", id])).await
    }
}
