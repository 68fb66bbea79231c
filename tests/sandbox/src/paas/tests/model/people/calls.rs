//! The calls of the play of people, apps and projects.

use proptest::prelude::*;
use reqwest::Method;
use serde_json::json;

use super::{Offer, Play};
use crate::paas::session::Role;

/// One call. `by`, `whom`, `of`: which of three people, or in place of `by` whoever has the right to it ([`ENTITLED`] and above); the
/// others name one of two apps, or projects of each.
#[derive(Debug, Clone)]
pub(super) enum Call {
    CreateApp {
        by: usize,
        app: u8,
    },
    DeleteApp {
        by: usize,
        app: u8,
    },
    CreateProject {
        by: usize,
        project: u8,
    },
    DeleteProject {
        by: usize,
        of: usize,
        project: u8,
    },
    Move {
        by: usize,
        app: u8,
        of: usize,
        project: u8,
    },
    Invite {
        by: usize,
        app: u8,
        whom: usize,
        limited: bool,
    },
    Open {
        by: usize,
        app: u8,
        whom: usize,
    },
    SetRole {
        by: usize,
        app: u8,
        whom: usize,
        limited: bool,
    },
    Revoke {
        by: usize,
        app: u8,
        whom: usize,
    },
    Write {
        by: usize,
        app: u8,
    },
    Offer {
        by: usize,
        of: usize,
        project: u8,
        whom: usize,
    },
    Answer {
        by: usize,
        how: &'static str,
    },
    /// An invitation by the owner, and its link opened.
    Join {
        app: u8,
        whom: usize,
        limited: bool,
    },
    /// An offer by the owner, and its acceptance.
    HandOver {
        of: usize,
        project: u8,
        whom: usize,
    },
    Hours(u64),
}

/// See [`Call`].
pub(super) const ENTITLED: usize = 3;

pub(super) fn any() -> impl Strategy<Value = Call> {
    let (by, who, two) = (0..8_usize, 0..3_usize, 0..2_u8);
    let (two_apps, someone) = (two.clone(), who.clone());
    let in_app = (by.clone(), two.clone(), who.clone());
    let of = (by.clone(), who.clone(), two.clone());
    prop_oneof![
        2 => (who.clone(), two.clone()).prop_map(|(by, app)| Call::CreateApp { by, app }),
        1 => (by.clone(), two.clone()).prop_map(|(by, app)| Call::DeleteApp { by, app }),
        2 => (who.clone(), two.clone()).prop_map(|(by, project)| Call::CreateProject { by, project }),
        1 => of.clone().prop_map(|(by, of, project)| Call::DeleteProject { by, of, project }),
        5 => (of.clone(), two.clone())
            .prop_map(|((by, of, project), app)| Call::Move { by, app, of, project }),
        3 => (in_app.clone(), prop::bool::ANY)
            .prop_map(|((by, app, whom), limited)| Call::Invite { by, app, whom, limited }),
        4 => in_app.clone().prop_map(|(by, app, whom)| Call::Open { by, app, whom }),
        1 => (in_app.clone(), prop::bool::ANY)
            .prop_map(|((by, app, whom), limited)| Call::SetRole { by, app, whom, limited }),
        1 => in_app.prop_map(|(by, app, whom)| Call::Revoke { by, app, whom }),
        2 => (by.clone(), two).prop_map(|(by, app)| Call::Write { by, app }),
        4 => (of, who).prop_map(|((by, of, project), whom)| Call::Offer { by, of, project, whom }),
        4 => (by, prop::sample::select(vec!["accept", "accept", "decline", "cancel"]))
            .prop_map(|(by, how)| Call::Answer { by, how }),
        4 => (two_apps, someone.clone(), prop::bool::weighted(0.3))
            .prop_map(|(app, whom, limited)| Call::Join { app, whom, limited }),
        3 => (someone.clone(), 0..2_u8, someone)
            .prop_map(|(of, project, whom)| Call::HandOver { of, project, whom }),
        1 => (1..80_u64).prop_map(Call::Hours),
    ]
}

impl Play {
    /// Who it is that calls: one of the three, or whoever has the right to it.
    fn caller(&self, call: &Call) -> usize {
        let owner = |app: &u8| self.apps.get(&format!("some-app-{app}")).map_or(0, |app| app.owner);
        let (by, entitled) = match call {
            Call::CreateApp { by, .. } | Call::CreateProject { by, .. } => (*by, 0),
            Call::DeleteApp { by, app }
            | Call::Invite { by, app, .. }
            | Call::SetRole { by, app, .. }
            | Call::Revoke { by, app, .. }
            | Call::Write { by, app } => (*by, owner(app)),
            Call::DeleteProject { by, of, .. } | Call::Move { by, of, .. } | Call::Offer { by, of, .. } => {
                (*by, *of)
            }
            Call::Open { by, whom, .. } => (*by, *whom),
            Call::Answer { by, how } => {
                let side = |offer: &Offer| if *how == "cancel" { offer.from } else { offer.to };
                (*by, self.offer.as_ref().map_or(0, side))
            }
            Call::Join { .. } | Call::HandOver { .. } | Call::Hours(_) => (0, 0),
        };
        if by < ENTITLED { by } else { entitled }
    }

    pub(super) async fn play(&mut self, call: &Call) {
        let name = |app: &u8| format!("some-app-{app}");
        let called = |project: &u8| format!("project-{project}");
        let by = self.caller(call);
        match call {
            Call::CreateApp { app, .. } => self.create_app(by, name(app)).await,
            Call::DeleteApp { app, .. } => self.delete_app(by, &name(app)).await,
            Call::CreateProject { project, .. } => self.create_project(by, called(project)).await,
            Call::DeleteProject { of, project, .. } => {
                self.delete_project(by, self.project_of(*of, &called(project))).await;
            }
            Call::Move { app, of, project, .. } => {
                self.move_app(by, &name(app), self.project_of(*of, &called(project))).await;
            }
            Call::Invite { app, whom, limited, .. } => self.invite(by, &name(app), *whom, *limited).await,
            Call::Open { app, whom, .. } => self.open(by, &name(app), *whom).await,
            Call::SetRole { app, whom, limited, .. } => self.set_role(by, &name(app), *whom, *limited).await,
            Call::Revoke { app, whom, .. } => self.revoke(by, &name(app), *whom).await,
            Call::Write { app, .. } => {
                let wanted = self.in_app(by, &name(app), Role::Collaborator, 201);
                let path = format!("/v1/apps/{}/variables", name(app));
                let body = json!({"variable": {"name": "V", "value": "x"}});
                self.expect(by, wanted, Method::POST, &path, body).await;
            }
            Call::Offer { of, project, whom, .. } => {
                self.make_offer(by, self.project_of(*of, &called(project)), *whom).await;
            }
            Call::Answer { how, .. } => self.answer(by, how).await,
            Call::Join { app, whom, limited } => {
                let owner = self.apps.get(&name(app)).map_or(0, |app| app.owner);
                self.invite(owner, &name(app), *whom, *limited).await;
                self.open(*whom, &name(app), *whom).await;
            }
            Call::HandOver { of, project, whom } => {
                self.make_offer(*of, self.project_of(*of, &called(project)), *whom).await;
                self.answer(*whom, "accept").await;
            }
            Call::Hours(hours) => {
                self.site.advance(hours * 3_600);
                if let Some(offer) = &mut self.offer {
                    offer.hours += hours;
                }
            }
        }
    }
}
