//! The platform's answers to the SSH server: whose key, may they push, deploy this.

use std::sync::Arc;

use async_trait::async_trait;

use super::Paas;
use super::session::{Role, role};
use super::work::deploy::{self, Code, Pace};
use crate::plane::{LogSink, Platform, Push, Turn};

/// What the SSH server holds of the platform.
#[derive(Debug)]
pub struct Door(pub Arc<Paas>);

#[async_trait]
impl Platform for Door {
    fn user_of_key(&self, public_key: &str) -> Option<String> {
        let state = self.0.state();
        state.keys.iter().find(|key| key.is(public_key)).map(|key| key.user.clone())
    }

    fn may_push(&self, user: &str, app: &str) -> Result<(), String> {
        let state = self.0.state();
        let found = state.app(app).filter(|found| found.name == app);
        match found.and_then(|found| role(found, user)) {
            Some(Role::Owner | Role::Collaborator) => Ok(()),
            Some(Role::Limited) => Err(format!("you are not authorized to deploy {app}")),
            None => Err(format!("application '{app}' was not found")),
        }
    }

    async fn deploy(&self, push: Push, log: LogSink) -> Result<Turn, String> {
        self.may_push(&push.user, &push.app)?;
        let Push { app, user, commit, repository, branch } = push;
        let id = deploy::enqueue(&self.0, &app, &user, "deployment", Some(commit.clone()));
        let id = id.ok_or_else(|| format!("application '{app}' was not found"))?;
        let code = Code::Commit { repository, commit, branch: Some(branch) };
        deploy::run(&self.0, &app, &id, code, Some(log), Pace::Vendor).await
    }
}
