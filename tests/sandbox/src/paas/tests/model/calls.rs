//! The calls of the model's test: what each asks, what must be answered, and what the model learns.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{App, Play, until};

/// One call. Numbers name one of a few things, so that calls meet each other.
#[derive(Debug, Clone)]
pub(super) enum Call {
    CreateApp { app: u8, project: Option<u8> },
    DeleteApp { app: u8, sure: bool },
    Rename { app: u8, to: u8 },
    MoveApp { app: u8, project: u8 },
    AddAddon { app: u8 },
    DeleteAddon { app: u8, which: usize },
    ChangePlan { app: u8, which: usize, large: bool },
    Wait,
    Advance { hours: u8 },
    SetVariable { app: u8, name: u8, value: String },
    DeleteVariable { app: u8, name: u8 },
    AddDomain { app: u8, domain: u8 },
    DeleteDomain { app: u8, domain: u8 },
    Invite { app: u8, who: u8 },
    Revoke { app: u8, who: u8 },
    CreateProject { project: u8 },
    DeleteProject { project: u8 },
    AddKey { key: u8 },
    DeleteKey { key: u8 },
    NewToken,
    RevokeToken,
    Deploy { app: u8 },
    Fail { app: u8 },
    Succeed { app: u8 },
    Scale { app: u8, kind: u8, amount: u64 },
    Restart { app: u8 },
}

/// Any of them.
pub(super) fn any() -> impl Strategy<Value = Call> {
    let (app, few) = (0..4_u8, 0..3_u8);
    prop_oneof![
        4 => (app.clone(), prop::option::of(few.clone())).prop_map(|(app, project)| Call::CreateApp { app, project }),
        2 => (app.clone(), prop::bool::weighted(0.7)).prop_map(|(app, sure)| Call::DeleteApp { app, sure }),
        2 => (app.clone(), app.clone()).prop_map(|(app, to)| Call::Rename { app, to }),
        1 => (app.clone(), few.clone()).prop_map(|(app, project)| Call::MoveApp { app, project }),
        3 => app.clone().prop_map(|app| Call::AddAddon { app }),
        2 => (app.clone(), 0..3_usize).prop_map(|(app, which)| Call::DeleteAddon { app, which }),
        2 => (app.clone(), 0..3_usize, prop::bool::ANY)
            .prop_map(|(app, which, large)| Call::ChangePlan { app, which, large }),
        1 => Just(Call::Wait),
        1 => (1..30_u8).prop_map(|hours| Call::Advance { hours }),
        3 => (app.clone(), few.clone(), "[a-z ]{0,3}")
            .prop_map(|(app, name, value)| Call::SetVariable { app, name, value }),
        2 => (app.clone(), few.clone()).prop_map(|(app, name)| Call::DeleteVariable { app, name }),
        2 => (app.clone(), few.clone()).prop_map(|(app, domain)| Call::AddDomain { app, domain }),
        2 => (app.clone(), few.clone()).prop_map(|(app, domain)| Call::DeleteDomain { app, domain }),
        2 => (app.clone(), few.clone()).prop_map(|(app, who)| Call::Invite { app, who }),
        1 => (app.clone(), few.clone()).prop_map(|(app, who)| Call::Revoke { app, who }),
        1 => app.clone().prop_map(|app| Call::Deploy { app }),
        2 => app.clone().prop_map(|app| Call::Fail { app }),
        1 => app.clone().prop_map(|app| Call::Succeed { app }),
        2 => (app.clone(), few.clone(), 0..12_u64)
            .prop_map(|(app, kind, amount)| Call::Scale { app, kind, amount }),
        1 => app.prop_map(|app| Call::Restart { app }),
        2 => few.clone().prop_map(|project| Call::CreateProject { project }),
        2 => few.clone().prop_map(|project| Call::DeleteProject { project }),
        1 => few.clone().prop_map(|key| Call::AddKey { key }),
        1 => few.prop_map(|key| Call::DeleteKey { key }),
        1 => Just(Call::NewToken),
        1 => Just(Call::RevokeToken),
    ]
}

fn app_name(n: u8) -> String {
    format!("some-app-{n}")
}

/// An OpenSSH line that is told apart from others by `n`.
fn key_line(n: u8) -> String {
    use base64::Engine as _;
    let blob = [&[0, 0, 0, 11][..], b"ssh-ed25519", &[0, 0, 0, 32], &[n; 32]].concat();
    format!("ssh-ed25519 {} key-{n}", base64::engine::general_purpose::STANDARD.encode(blob))
}

fn id_of(answer: &Value, root: &str) -> String {
    answer[root]["id"].as_str().unwrap_or_default().to_owned()
}

impl Play {
    /// Plays one call and has the model follow.
    pub(super) async fn play(&mut self, call: &Call) {
        match call {
            Call::CreateApp { app, project } => self.create_app(app_name(*app), *project).await,
            Call::DeleteApp { app, sure } => self.delete_app(app_name(*app), *sure).await,
            Call::Rename { app, to } => self.rename(app_name(*app), app_name(*to)).await,
            Call::MoveApp { app, project } => {
                self.move_app(app_name(*app), format!("project-{project}")).await;
            }
            Call::AddAddon { app } => self.add_addon(app_name(*app)).await,
            Call::DeleteAddon { app, which } => self.delete_addon(app_name(*app), *which).await,
            Call::ChangePlan { app, which, large } => {
                self.change_plan(app_name(*app), *which, *large).await;
            }
            Call::Wait => self.wait().await,
            // Nothing that the model knows ends by age alone.
            Call::Advance { hours } => self.site.advance(u64::from(*hours) * 3_600),
            Call::SetVariable { app, name, value } => {
                self.set_variable(app_name(*app), format!("OWN_{name}"), value.clone()).await;
            }
            Call::DeleteVariable { app, name } => {
                self.delete_variable(app_name(*app), format!("OWN_{name}")).await;
            }
            Call::AddDomain { app, domain } => {
                self.add_domain(app_name(*app), format!("www{domain}.exemple.test")).await;
            }
            Call::DeleteDomain { app, domain } => {
                let name = format!("www{domain}.exemple.test");
                let id = self.model.apps.get_mut(&app_name(*app)).and_then(|app| app.domains.remove(&name));
                self.delete_of(&app_name(*app), "domains", id).await;
            }
            Call::Invite { app, who } => self.invite(app_name(*app), format!("who{who}@exemple.test")).await,
            Call::Revoke { app, who } => {
                let email = format!("who{who}@exemple.test");
                let id = self.model.apps.get_mut(&app_name(*app)).and_then(|app| app.team.remove(&email));
                self.delete_of(&app_name(*app), "collaborators", id).await;
            }
            Call::CreateProject { project } => self.create_project(format!("project-{project}")).await,
            Call::DeleteProject { project } => self.delete_project(format!("project-{project}")).await,
            Call::AddKey { key } => self.add_key(*key).await,
            Call::DeleteKey { key } => {
                let id = self.model.keys.remove(&format!("key-{key}"));
                let wanted = if id.is_some() { 204 } else { 404 };
                let path = format!("auth:/v1/keys/{}", id.unwrap_or_else(|| "nobody".into()));
                self.expect(wanted, "DELETE", &path, Value::Null).await;
            }
            Call::NewToken => {
                let answer =
                    self.expect(201, "POST", "auth:/v1/tokens", json!({"token": {"name": "one"}})).await;
                self.model.tokens.insert(id_of(&answer, "token"));
            }
            Call::RevokeToken => {
                if let Some(id) = self.model.tokens.pop_first() {
                    self.expect(204, "DELETE", &format!("auth:/v1/tokens/{id}"), Value::Null).await;
                    self.expect(404, "DELETE", &format!("auth:/v1/tokens/{id}"), Value::Null).await;
                }
            }
            Call::Deploy { app } => self.deploy(app_name(*app)).await,
            Call::Fail { app } => self.fail(app_name(*app)).await,
            Call::Succeed { app } => self.succeed(app_name(*app)).await,
            Call::Scale { app, kind, amount } => {
                self.scale(app_name(*app), format!("kind{kind}"), *amount).await;
            }
            Call::Restart { app } => self.restart(app_name(*app)).await,
        }
    }

    pub(super) async fn expect(&mut self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let (answered, answer) = self.ask(method, path, body.clone()).await;
        assert_eq!(answered, status, "{method} {path} {body}: {answer}");
        answer
    }

    /// 404 where there is no such app, else `then`.
    pub(super) fn in_app(&self, app: &str, then: u16) -> u16 {
        if self.model.apps.contains_key(app) { then } else { 404 }
    }

    async fn create_app(&mut self, name: String, project: Option<u8>) {
        let project = project.map(|n| format!("project-{n}"));
        let id = project.as_ref().map(|name| self.model.projects.get(name).cloned());
        let wanted = match &id {
            _ if self.model.apps.contains_key(&name) => 422,
            Some(None) => 404,
            _ => 201,
        };
        let mut body = json!({"app": {"name": name}});
        if let Some(id) = id {
            body["app"]["project_id"] = json!(id.unwrap_or_else(|| "prj-none".into()));
        }
        self.expect(wanted, "POST", "/v1/apps", body).await;
        if wanted == 201 {
            self.model.apps.insert(name, App { project, ..App::default() });
        }
    }

    async fn delete_app(&mut self, name: String, sure: bool) {
        let busy = self.model.apps.get(&name).is_some_and(|app| app.busy);
        let free = if busy { 409 } else { 204 };
        let wanted = self.in_app(&name, if sure { free } else { 422 });
        let confirmed = if sure { name.as_str() } else { "another" };
        let path = format!("/v1/apps/{name}?current_name={confirmed}");
        self.expect(wanted, "DELETE", &path, Value::Null).await;
        if wanted == 204 {
            self.model.apps.remove(&name);
            for rule in self.held.remove(&name).unwrap_or_default() {
                // Where it was played it is spent.
                let _was_in_force = self.site.world.faults.remove(rule);
            }
        }
    }

    async fn rename(&mut self, name: String, to: String) {
        let taken = self.model.apps.contains_key(&to);
        let busy = self.model.apps.get(&name).is_some_and(|app| app.busy);
        let free = if busy { 409 } else { 200 };
        let wanted = self.in_app(&name, if taken { 422 } else { free });
        let body = json!({"current_name": name, "new_name": to});
        self.expect(wanted, "POST", &format!("/v1/apps/{name}/rename"), body).await;
        if wanted == 200
            && let Some(app) = self.model.apps.remove(&name)
        {
            self.model.apps.insert(to, app);
        }
    }

    async fn move_app(&mut self, name: String, project: String) {
        let id = self.model.projects.get(&project).cloned();
        let wanted = self.in_app(&name, if id.is_some() { 200 } else { 404 });
        let body = json!({"project_id": id.unwrap_or_else(|| "prj-none".into())});
        self.expect(wanted, "PUT", &format!("/v1/apps/{name}"), body).await;
        if wanted == 200
            && let Some(app) = self.model.apps.get_mut(&name)
        {
            app.project = Some(project);
        }
    }

    async fn add_addon(&mut self, name: String) {
        let wanted = self.in_app(&name, 201);
        let body = json!({"addon": {"addon_provider_id": "redis", "plan_id": "5cc45d330000000000000256"}});
        let answer = self.expect(wanted, "POST", &format!("/v1/apps/{name}/addons"), body).await;
        if let Some(app) = self.model.apps.get_mut(&name) {
            app.addons.push(id_of(&answer, "addon"));
        }
    }

    async fn delete_addon(&mut self, name: String, which: usize) {
        let addons = self.model.apps.get_mut(&name).map(|app| &mut app.addons);
        let id = addons.filter(|addons| which < addons.len()).map(|addons| addons.remove(which));
        self.delete_of(&name, "addons", id).await;
    }

    /// Only one that runs changes its plan, and runs again some time later.
    async fn change_plan(&mut self, name: String, which: usize, large: bool) {
        let addons = self.model.apps.get(&name).map(|app| app.addons.as_slice()).unwrap_or_default();
        let id = addons.get(which).cloned().unwrap_or_else(|| "nobody".into());
        let running = self.site.paas.state().addon(&id).map(|(_, addon)| addon.is_running());
        let plan = if large { "5cc45d330000000000000512" } else { "5cc45d330000000000000256" };
        let body = json!({"addon": {"plan_id": plan}});
        let (status, answer) = self.ask("PATCH", &format!("/v1/apps/{name}/addons/{id}"), body).await;
        let wanted: &[u16] = match running {
            None => &[404],
            Some(true) => &[200],
            // It may have come to run meanwhile.
            Some(false) => &[400, 200],
        };
        assert!(wanted.contains(&status), "{id} of {name}: {status} {answer}");
        if status == 200 {
            let state = self.site.paas.state();
            let changed = state.addon(&id).is_some_and(|(_, addon)| addon.plan_id == plan);
            assert!(changed, "{id} of {name} has another plan");
        }
    }

    /// Lets every addon that was asked for run.
    async fn wait(&mut self) {
        let running = async || {
            // Again and again: a task that was just spawned may begin to wait after the first step.
            self.site.advance(21);
            let state = self.site.paas.state();
            state.apps.iter().flat_map(|app| &app.addons).all(crate::paas::state::Addon::is_running)
        };
        until("all addons run", running).await;
    }

    async fn set_variable(&mut self, app: String, name: String, value: String) {
        let blank = value.trim().is_empty();
        let wanted = if blank { 422 } else { self.in_app(&app, 201) };
        let body = json!({"variable": {"name": name, "value": value}});
        self.expect(wanted, "POST", &format!("/v1/apps/{app}/variables"), body).await;
        if wanted == 201
            && let Some(app) = self.model.apps.get_mut(&app)
        {
            app.variables.insert(name, value);
        }
    }

    async fn delete_variable(&mut self, app: String, name: String) {
        let known = self.model.apps.get_mut(&app).and_then(|app| app.variables.remove(&name)).is_some();
        let id = {
            let state = self.site.paas.state();
            let variables = state.app(&app).map(|app| &app.variables);
            variables.and_then(|all| all.iter().find(|one| one.name == name)).map(|one| one.id.clone())
        };
        assert_eq!(id.is_some(), known, "{name} of {app}");
        self.delete_of(&app, "variables", id).await;
    }

    async fn delete_of(&mut self, app: &str, kind: &str, id: Option<String>) {
        let wanted = if id.is_some() { 204 } else { 404 };
        let path = format!("/v1/apps/{app}/{kind}/{}", id.unwrap_or_else(|| "nobody".into()));
        self.expect(wanted, "DELETE", &path, Value::Null).await;
    }

    async fn add_domain(&mut self, app: String, name: String) {
        let taken = self.model.apps.values().any(|app| app.domains.contains_key(&name));
        let known = self.model.apps.contains_key(&app);
        let (status, answer) =
            self.ask("POST", &format!("/v1/apps/{app}/domains"), json!({"domain": {"name": name}})).await;
        let wanted = if known && !taken {
            [201, 201]
        } else if known {
            [422, 422]
        } else {
            [404, 422]
        };
        assert!(wanted.contains(&status), "{name} in {app}: {status} {answer}");
        if status == 201
            && let Some(app) = self.model.apps.get_mut(&app)
        {
            app.domains.insert(name, id_of(&answer, "domain"));
        }
    }

    async fn invite(&mut self, app: String, email: String) {
        let known = self.model.apps.get(&app).is_some_and(|app| app.team.contains_key(&email));
        let wanted = self.in_app(&app, if known { 422 } else { 201 });
        let body = json!({"collaborator": {"email": email}});
        let answer = self.expect(wanted, "POST", &format!("/v1/apps/{app}/collaborators"), body).await;
        if wanted == 201
            && let Some(app) = self.model.apps.get_mut(&app)
        {
            app.team.insert(email, id_of(&answer, "collaborator"));
        }
    }

    async fn create_project(&mut self, name: String) {
        let wanted = if self.model.projects.contains_key(&name) { 422 } else { 201 };
        let answer = self.expect(wanted, "POST", "/v1/projects", json!({"project": {"name": name}})).await;
        if wanted == 201 {
            self.model.projects.insert(name, id_of(&answer, "project"));
        }
    }

    async fn delete_project(&mut self, name: String) {
        let used = self.model.apps.values().any(|app| app.project.as_ref() == Some(&name));
        let id = self.model.projects.get(&name).cloned();
        let wanted = match &id {
            None => 404,
            Some(_) if used => 409,
            Some(_) => 204,
        };
        let path = format!("/v1/projects/{}", id.unwrap_or_else(|| "nobody".into()));
        self.expect(wanted, "DELETE", &path, Value::Null).await;
        if wanted == 204 {
            self.model.projects.remove(&name);
        }
    }

    async fn add_key(&mut self, n: u8) {
        let name = format!("key-{n}");
        let wanted = if self.model.keys.contains_key(&name) { 422 } else { 201 };
        let body = json!({"key": {"name": name, "content": key_line(n)}});
        let answer = self.expect(wanted, "POST", "auth:/v1/keys", body).await;
        if wanted == 201 {
            self.model.keys.insert(name, id_of(&answer, "key"));
        }
    }
}
