//! What a role may do to an app: the vendor's table, in one place.

use super::reply::Refusal;
use super::session::{Role, role};
use super::state::{App, State};

/// Something done to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// See it, its logs and metrics, the names of its variables; restart it.
    Look,
    /// Read or write values of variables.
    Variables,
    /// Buy, change, open and remove addons; backups, database users and features.
    Addons,
    /// Invite, revoke and change roles.
    Collaborators,
    /// Transfer it, or the project that it is in.
    Transfer,
}

/// Whether `role` may do `action`.
pub(super) fn allowed(role: Role, action: Action) -> bool {
    match action {
        Action::Look => true,
        Action::Variables | Action::Addons | Action::Collaborators => role >= Role::Collaborator,
        Action::Transfer => role == Role::Owner,
    }
}

impl State {
    /// The app `key`, if `user` may do `action` with it. An app of others does not exist; what is not allowed is 401.
    pub(super) fn app_to(&self, user: &str, key: &str, action: Action) -> Result<&App, Refusal> {
        let app = self.app(key).ok_or(Refusal::NotFound("app"))?;
        match role(app, user) {
            None => Err(Refusal::NotFound("app")),
            Some(role) if allowed(role, action) => Ok(app),
            Some(_) => Err(Refusal::not_allowed()),
        }
    }

    /// As [`State::app_to`], to change it.
    pub(super) fn app_to_mut(&mut self, user: &str, key: &str, action: Action) -> Result<&mut App, Refusal> {
        self.app_to(user, key, action)?;
        self.app_mut(key).ok_or(Refusal::NotFound("app"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rights() {
        for (action, limited, collaborator) in [
            (Action::Look, true, true),
            (Action::Variables, false, true),
            (Action::Addons, false, true),
            (Action::Collaborators, false, true),
            (Action::Transfer, false, false),
        ] {
            assert_eq!(allowed(Role::Limited, action), limited, "{action:?}");
            assert_eq!(allowed(Role::Collaborator, action), collaborator, "{action:?}");
            assert!(allowed(Role::Owner, action), "{action:?}");
        }
    }
}
