//! Any sequence of invitations, roles and transfers leaves every app with one owner, in a project of that owner's, and nobody twice.

use std::collections::BTreeMap;

use proptest::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};

use crate::paas::session::Role;
use crate::paas::tests::{Site, read, site};

mod calls;
mod check;

/// World hours that a transfer waits.
const LIFE: u64 = 72;
/// The vendor's rate is a matter of its own: a minute passes after so many calls.
const PER_MINUTE: u32 = 15;

/// Somebody with an account.
struct Person {
    id: String,
    email: String,
    bearer: String,
}

/// Who may touch an app besides its owner, as the model has it.
#[derive(Debug, Clone)]
struct Member {
    id: String,
    link: String,
    user: Option<usize>,
    limited: bool,
}

#[derive(Debug)]
struct App {
    owner: usize,
    /// The id of its project.
    project: String,
    /// By address.
    team: BTreeMap<String, Member>,
}

impl App {
    fn role(&self, who: usize) -> Option<Role> {
        if self.owner == who {
            return Some(Role::Owner);
        }
        let limited = self.team.values().find(|one| one.user == Some(who))?.limited;
        Some(if limited { Role::Limited } else { Role::Collaborator })
    }
}

/// An offer of a project that nobody has answered.
#[derive(Debug)]
struct Offer {
    id: String,
    project: String,
    from: usize,
    to: usize,
    hours: u64,
}

struct Play {
    site: Site,
    people: Vec<Person>,
    apps: BTreeMap<String, App>,
    /// Id → owner and name; none of the default ones.
    projects: BTreeMap<String, (usize, String)>,
    offer: Option<Offer>,
    calls: u32,
}

impl Play {
    async fn new() -> Self {
        let site = site().await;
        let first =
            Person { id: site.user.clone(), email: "ops@exemple.test".into(), bearer: site.bearer.clone() };
        let mut people = vec![first];
        for name in ["alice", "basile"] {
            let email = format!("{name}@exemple.test");
            let (id, token) = site.paas.seed_user(name, &email);
            people.push(Person { id, email, bearer: site.exchange(&token).await });
        }
        let mut play =
            Self { site, people, apps: BTreeMap::new(), projects: BTreeMap::new(), offer: None, calls: 0 };
        // What nearly every call is about is there from the start.
        play.create_app(0, "some-app-0".into()).await;
        for person in 0..play.people.len() {
            play.create_project(person, "project-0".into()).await;
        }
        play.move_app(0, "some-app-0", play.project_of(0, "project-0")).await;
        play
    }

    /// As `by`: what is answered, which must have this status.
    async fn expect(&mut self, by: usize, status: u16, method: Method, path: &str, body: Value) -> Value {
        self.calls += 1;
        if self.calls.is_multiple_of(PER_MINUTE) {
            self.site.advance(61);
        }
        let url = format!("{}{path}", self.site.paas.urls().api);
        let body = (!body.is_null()).then_some(body);
        let asked = self.site.ask(&self.people[by].bearer, method.clone(), &url, body.clone()).await;
        let (answered, answer) = read(asked).await;
        assert_eq!(answered, status, "{method} {path} {body:?} by {by}: {answer}");
        answer
    }

    /// 404 where `by` is nothing to the app, 401 where too little, else `then`.
    fn in_app(&self, by: usize, app: &str, needed: Role, then: u16) -> u16 {
        match self.apps.get(app).and_then(|app| app.role(by)) {
            None => 404,
            Some(role) if role < needed => 401,
            Some(_) => then,
        }
    }

    fn project_of(&self, owner: usize, name: &str) -> Option<String> {
        let found = self.projects.iter().find(|(_, (of, called))| *of == owner && called == name);
        found.map(|(id, _)| id.clone())
    }

    /// Whether each app of a project knows this person; a project without apps is offered to nobody.
    fn is_eligible(&self, project: &str, who: usize) -> bool {
        let mut apps = self.apps.values().filter(|app| app.project == project).peekable();
        apps.peek().is_some() && apps.all(|app| app.role(who).is_some())
    }

    async fn create_app(&mut self, by: usize, name: String) {
        let wanted = if self.apps.contains_key(&name) { 422 } else { 201 };
        let made = self.expect(by, wanted, Method::POST, "/v1/apps", json!({"app": {"name": name}})).await;
        if wanted == 201 {
            let project = made["app"]["project"]["id"].as_str().unwrap().to_owned();
            self.apps.insert(name, App { owner: by, project, team: BTreeMap::new() });
        }
    }

    async fn delete_app(&mut self, by: usize, name: &str) {
        let wanted = self.in_app(by, name, Role::Owner, 204);
        let path = format!("/v1/apps/{name}?current_name={name}");
        self.expect(by, wanted, Method::DELETE, &path, Value::Null).await;
        if wanted == 204 {
            self.apps.remove(name);
        }
    }

    async fn create_project(&mut self, by: usize, name: String) {
        let wanted = if self.project_of(by, &name).is_some() { 422 } else { 201 };
        let body = json!({"project": {"name": name}});
        let made = self.expect(by, wanted, Method::POST, "/v1/projects", body).await;
        if wanted == 201 {
            let id = made["project"]["id"].as_str().unwrap().to_owned();
            self.projects.insert(id, (by, name));
        }
    }

    async fn delete_project(&mut self, by: usize, id: Option<String>) {
        let id = id.unwrap_or_else(|| "prj-none".into());
        let is_mine = self.projects.get(&id).is_some_and(|(owner, _)| *owner == by);
        let wanted = match self.apps.values().any(|app| app.project == id) {
            _ if !is_mine => 404,
            true => 409,
            false => 204,
        };
        self.expect(by, wanted, Method::DELETE, &format!("/v1/projects/{id}"), Value::Null).await;
        if wanted == 204 {
            self.projects.remove(&id);
            self.offer.take_if(|offer| offer.project == id);
        }
    }

    /// An app is only where its owner's bill is, and only its owner moves it.
    async fn move_app(&mut self, by: usize, name: &str, project: Option<String>) {
        let id = project.unwrap_or_else(|| "prj-none".into());
        let owner = self.apps.get(name).map(|app| app.owner);
        let fits = owner == Some(by) && self.projects.get(&id).is_some_and(|(of, _)| *of == by);
        let wanted = self.in_app(by, name, Role::Collaborator, if fits { 200 } else { 404 });
        let path = format!("/v1/apps/{name}");
        self.expect(by, wanted, Method::PUT, &path, json!({"project_id": id})).await;
        if wanted == 200
            && let Some(app) = self.apps.get_mut(name)
        {
            app.project = id;
        }
    }

    async fn invite(&mut self, by: usize, name: &str, whom: usize, limited: bool) {
        let email = self.people[whom].email.clone();
        let taken = self.apps.get(name).is_some_and(|app| app.team.contains_key(&email));
        let wanted = self.in_app(by, name, Role::Collaborator, if taken { 422 } else { 201 });
        let path = format!("/v1/apps/{name}/collaborators");
        let body = json!({"collaborator": {"email": email, "is_limited": limited}});
        let made = self.expect(by, wanted, Method::POST, &path, body).await;
        if wanted == 201
            && let Some(app) = self.apps.get_mut(name)
        {
            let text = |member: &str| made["collaborator"][member].as_str().unwrap().to_owned();
            let link = text("invitation_link").split_once("token=").unwrap().1.to_owned();
            app.team.insert(email, Member { id: text("id"), link, user: None, limited });
        }
    }

    /// `by` opens the link that was sent to `whom`: a link asks nobody who they are.
    async fn open(&mut self, by: usize, name: &str, whom: usize) {
        let email = self.people[whom].email.clone();
        let app = self.apps.get(name);
        let member = app.and_then(|app| app.team.get(&email)).cloned();
        let wanted = match (&member, app.and_then(|app| app.role(by))) {
            (None, _) => 404,
            (Some(member), _) if member.user.is_some_and(|user| user != by) => 404,
            (Some(_), Some(_)) => 400,
            (Some(_), None) => 200,
        };
        let link = member.map_or_else(|| "nobody".to_owned(), |member| member.link);
        let path = format!("/v1/apps/collaboration?token={link}");
        self.expect(by, wanted, Method::GET, &path, Value::Null).await;
        if wanted == 200
            && let Some(member) = self.apps.get_mut(name).and_then(|app| app.team.get_mut(&email))
        {
            member.user = Some(by);
        }
    }

    fn member_path(&self, name: &str, whom: usize) -> (Option<String>, String) {
        let member = self.apps.get(name).and_then(|app| app.team.get(&self.people[whom].email));
        let id = member.map(|member| member.id.clone());
        let path = format!("/v1/apps/{name}/collaborators/{}", id.as_deref().unwrap_or("nobody"));
        (id, path)
    }

    async fn set_role(&mut self, by: usize, name: &str, whom: usize, limited: bool) {
        let (id, path) = self.member_path(name, whom);
        let wanted = self.in_app(by, name, Role::Collaborator, if id.is_some() { 200 } else { 404 });
        self.expect(by, wanted, Method::PATCH, &path, json!({"collaborator": {"is_limited": limited}})).await;
        let email = &self.people[whom].email;
        if wanted == 200
            && let Some(member) = self.apps.get_mut(name).and_then(|app| app.team.get_mut(email))
        {
            member.limited = limited;
        }
    }

    async fn revoke(&mut self, by: usize, name: &str, whom: usize) {
        let (id, path) = self.member_path(name, whom);
        let wanted = self.in_app(by, name, Role::Collaborator, if id.is_some() { 204 } else { 404 });
        self.expect(by, wanted, Method::DELETE, &path, Value::Null).await;
        if wanted == 204
            && let Some(app) = self.apps.get_mut(name)
        {
            app.team.remove(&self.people[whom].email);
        }
    }

    /// One offer at a time in this play, so that it is known which one is answered.
    async fn make_offer(&mut self, by: usize, project: Option<String>, whom: usize) {
        let id = project.unwrap_or_else(|| "prj-none".into());
        let waits = self.offer.as_ref().filter(|offer| offer.hours < LIFE);
        if waits.is_some_and(|offer| offer.project != id) {
            return;
        }
        let is_mine = self.projects.get(&id).is_some_and(|(owner, _)| *owner == by);
        let wanted = match (self.is_eligible(&id, whom) && whom != by, waits) {
            _ if !is_mine => 404,
            (false, _) => 422,
            (true, Some(_)) => 409,
            (true, None) => 201,
        };
        let path = format!("/v1/projects/{id}/transfer_invitations");
        let body = json!({"transfer_invitation": {"invited_user_id": self.people[whom].id}});
        let made = self.expect(by, wanted, Method::POST, &path, body).await;
        if wanted == 201 {
            let made = made["transfer_invitation"]["id"].as_str().unwrap().to_owned();
            self.offer = Some(Offer { id: made, project: id, from: by, to: whom, hours: 0 });
        }
    }

    async fn answer(&mut self, by: usize, how: &str) {
        let Some(offer) = &self.offer else { return };
        let may = if how == "cancel" { offer.from == by } else { offer.to == by };
        let wanted = match offer.hours < LIFE {
            _ if !may => 404,
            true => 200,
            false => 409,
        };
        let path = format!("/v1/projects/{}/transfer_invitations/{}/{how}", offer.project, offer.id);
        let told = self.expect(by, wanted, Method::POST, &path, json!({})).await;
        if wanted == 404 {
            return;
        }
        let Some(offer) = self.offer.take() else { return };
        if wanted == 200 && how == "accept" {
            let name = self.projects[&offer.project].1.clone();
            let is_free = self.project_of(by, &name).is_none();
            let ends = self.is_eligible(&offer.project, by) && is_free;
            let status = if ends { "accepted" } else { "failed" };
            assert_eq!(told["transfer_invitation"]["status"], status);
            if ends {
                self.hand_over(&offer);
            }
        }
    }

    /// The former owner stays, and knows the app by an id that is new.
    fn hand_over(&mut self, offer: &Offer) {
        self.projects.get_mut(&offer.project).expect("it is there").0 = offer.to;
        let state = self.site.paas.state();
        for (name, app) in self.apps.iter_mut().filter(|(_, app)| app.project == offer.project) {
            app.owner = offer.to;
            app.team.retain(|_, member| member.user != Some(offer.to));
            let email = &self.people[offer.from].email;
            let known =
                state.app(name).and_then(|app| app.collaborators.iter().find(|who| who.email == *email));
            let known = known.expect("the former owner is a collaborator");
            let (id, link) = (known.id.clone(), known.invitation.clone());
            app.team.insert(email.clone(), Member { id, link, user: Some(offer.from), limited: false });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_twice_in_an_app_and_no_app_in_a_project_of_somebody_elses(
        calls in prop::collection::vec(calls::any(), 20..100),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::new().await;
            for call in &calls {
                play.play(call).await;
                play.check();
            }
            play.site.paas.stop_all().await;
        });
    }
}
