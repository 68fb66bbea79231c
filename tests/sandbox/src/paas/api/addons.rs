//! Addons: bought here, provisioned later by [`work::provision`](crate::paas::work::provision).

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use serde_json::{Value, json};

use crate::paas::catalogue::{self, Plan};
use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::rights::Action;
use crate::paas::session::Session;
use crate::paas::state::{Addon, Database, State};
use crate::paas::{Paas, dbapi, view, work};

/// `GET /v1/apps/:app/addons`.
pub(super) async fn list(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_to(&session.user, &key, Action::Addons)?;
    Ok(Reply::ok(
        json!({"addons": app.addons.iter().map(|addon| view::addon(app, addon)).collect::<Value>()}),
    ))
}

/// `GET /v1/apps/:app/addons/:id`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    Ok(Reply::ok(json!({"addon": paas.addon_view(&session, &key, &id)?})))
}

/// `POST /v1/apps/:app/addons`. Nothing refuses a second one of the same provider: it is made, and billed.
pub(super) async fn create(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("addon")?;
    let (provider, plan) = (text(wanted, "addon_provider_id"), text(wanted, "plan_id"));
    for (field, value) in [("addon_provider_id", provider), ("plan_id", plan)] {
        if value.is_empty() {
            return Err(Refusal::BadRequest(format!("{field} is required")));
        }
    }
    let asked = provider;
    let provider = catalogue::provider(asked).ok_or(Refusal::NotFound("addon_provider"))?;
    let plan = provider.provisioned(plan).ok_or(Refusal::NotFound("plan"))?;
    check_version(&paas, provider.id, wanted.get("options"))?;
    let (shown, app, id) = {
        let mut state = paas.state();
        let app = state.app_to(&session.user, &key, Action::Addons)?;
        let name = app.name.clone();
        let mut addon = paas.new_addon(&state, &name, provider.id, plan);
        addon.older_id = (asked != provider.id).then(|| asked.to_owned());
        let app = state.app_to_mut(&session.user, &key, Action::Addons)?;
        app.addons.push(addon.clone());
        (view::addon(app, &addon), app.name.clone(), addon.id)
    };
    paas.world.tasks.spawn("provision", work::provision::run(Arc::clone(&paas), id.clone()));
    let message = shown["message"].clone();
    Ok(Reply::created(json!({"addon": shown, "message": message})).about(format!("{app}/{id}")))
}

/// `options.version`: a machine has one version of each kind of database.
fn check_version(paas: &Paas, provider: &str, options: Option<&Value>) -> Result<(), Refusal> {
    let wanted =
        options.and_then(|options| options.get("version")).and_then(Value::as_str).unwrap_or_default();
    let installed = view::readable_version(paas, provider);
    let rest = installed.strip_prefix(wanted);
    if wanted.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-'])) {
        return Ok(());
    }
    Err(Refusal::invalid("version", &format!("is not available, the version here is {installed}")))
}

/// `POST …/addons/:id/resume`: a suspended one runs again.
pub(super) async fn resume(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    {
        let mut state = paas.state();
        let app = state.app_to_mut(&session.user, &key, Action::Addons)?;
        let addon = app.addons.iter_mut().find(|addon| addon.id == id).ok_or(Refusal::NotFound("addon"))?;
        if addon.status != "suspended" {
            return Err(Refusal::BadRequest("addon is not suspended".into()));
        }
        "running".clone_into(&mut addon.status);
    }
    let shown = paas.addon_view(&session, &key, &id)?;
    Ok(Reply::ok(json!({"addon": shown, "message": "Database is resumed"})).about(id))
}

/// `PATCH /v1/apps/:app/addons/:id`: another plan; back to `provisioning` for a while.
pub(super) async fn change(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
    input: Input,
) -> Answer {
    let plan = text(input.wrapped("addon")?, "plan_id").to_owned();
    if plan.is_empty() {
        return Err(Refusal::BadRequest("plan_id is required".into()));
    }
    {
        let mut state = paas.state();
        let app = state.app_to_mut(&session.user, &key, Action::Addons)?;
        let addon = app.addons.iter_mut().find(|addon| addon.id == id).ok_or(Refusal::NotFound("addon"))?;
        let provider = catalogue::provider(&addon.provider).ok_or(Refusal::NotFound("addon_provider"))?;
        let plan = provider.provisioned(&plan).ok_or(Refusal::NotFound("plan"))?;
        if !addon.is_running() {
            return Err(Refusal::BadRequest("addon is being provisioned".into()));
        }
        plan.id.clone_into(&mut addon.plan_id);
        "provisioning".clone_into(&mut addon.status);
    }
    paas.world.tasks.spawn("change_plan", work::provision::change_plan(Arc::clone(&paas), id.clone()));
    let shown = paas.addon_view(&session, &key, &id)?;
    let message = shown["message"].clone();
    Ok(Reply::ok(json!({"addon": shown, "message": message, "variables": null})).about(id))
}

/// `DELETE /v1/apps/:app/addons/:id`: its database and users go with it; of its backups, only the support knows any more.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let addon = {
        let mut state = paas.state();
        let app = state.app_to_mut(&session.user, &key, Action::Addons)?;
        let place = app.addons.iter().position(|addon| addon.id == id).ok_or(Refusal::NotFound("addon"))?;
        let mut addon = app.addons.remove(place);
        work::provision::withdraw_variables(app, &addon);
        let name = app.name.clone();
        state.keep_for_support(&name, &mut addon);
        addon
    };
    work::demolish::addon(&paas, addon);
    Ok(Reply::no_content().about(id))
}

/// `POST /v1/apps/:app/addons/:id/token`: a bearer for the database API.
pub(super) async fn token(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let shown = paas.addon_view(&session, &key, &id)?;
    let token = paas.mint(&session.user, &paas.origin_of(&session), Some(&id))?;
    let short = json!({
        "id": shown["id"], "app_id": shown["app_id"], "resource_id": shown["resource_id"], "status": shown["status"],
        "token": token,
    });
    Ok(Reply::ok(json!({"addon": short})).about(id))
}

/// `…/sso`: a dashboard address; there is no dashboard behind it.
pub(super) async fn sso(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let mut shown = paas.addon_view(&session, &key, &id)?;
    shown["sso_url"] = json!(format!("{}/sso/{id}", paas.urls().database));
    Ok(Reply::ok(json!({"addon": shown})))
}

impl Paas {
    fn addon_view(&self, session: &Session, key: &str, id: &str) -> Result<Value, Refusal> {
        let state = self.state();
        let app = state.app_to(&session.user, key, Action::Addons)?;
        let addon = app.addons.iter().find(|addon| addon.id == id).ok_or(Refusal::NotFound("addon"))?;
        Ok(view::addon(app, addon))
    }

    /// An addon of `app` that was just asked for. Its resource is named after the app, with digits.
    pub(in crate::paas) fn new_addon(&self, state: &State, app: &str, provider: &str, plan: &Plan) -> Addon {
        let (ids, now) = (&self.world.ids, self.world.clock.wall());
        Addon {
            id: format!("ad-{}", ids.uuid()),
            resource_id: free_name(state, app, || 1_000 + ids.below(9_000)),
            provider: provider.into(),
            older_id: None,
            plan_id: plan.id.into(),
            status: "provisioning".into(),
            provisioned_at: now,
            url: None,
            endpoint: None,
            database: Database {
                id: ids.hex(24),
                instance: ids.uuid().to_string(),
                created_at: now,
                features: dbapi::features::at_first(provider),
                users: Vec::new(),
                backups: Vec::new(),
                periodic_backups: provider == "postgresql",
                backup_hours: vec![0],
                maintenance_weekday: 2,
                maintenance_hour: 22,
                restorations: Vec::new(),
            },
        }
    }
}

/// A resource's name after its app, with digits that no other one has.
fn free_name(state: &State, app: &str, mut digits: impl FnMut() -> u64) -> String {
    let stem = app.replace('-', "_");
    loop {
        let name = format!("{stem}_{}", digits());
        if state.addon(&name).is_none() {
            return name;
        }
    }
}
