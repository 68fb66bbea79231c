//! What a deployment leaves of an app.

use super::*;

fn procfile(names: &[&str]) -> BTreeMap<String, String> {
    names.iter().map(|name| ((*name).to_owned(), format!("bin/{name}"))).collect()
}

fn app() -> App {
    let json = serde_json::json!({
        "id": "1", "uuid": "ap-1", "name": "an-app", "parent": null, "owner": "us-1", "project": "prj-1", "status": "new",
        "stack": "st-1", "force_https": false, "sticky_session": false, "router_logs": false, "hds_resource": false,
        "formation": [], "variables": [], "addons": [], "domains": [], "collaborators": [], "deployments": [],
        "operations": [], "last_deployed_at": null, "last_deployed_by": null, "last_deployment": null,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(json).unwrap()
}

fn formation(app: &App) -> Vec<(&str, u32)> {
    app.formation.iter().map(|kind| (kind.name.as_str(), kind.amount)).collect()
}

#[test]
fn the_first_deployment_starts_one_web_and_nothing_else() {
    let mut app = app();
    adopt_types(&mut app, &procfile(&["web", "worker", "postdeploy"]), || "id".into());
    assert_eq!(formation(&app), [("web", 1), ("worker", 0)]);
}

#[test]
fn an_app_scaled_before_its_first_deployment_keeps_its_formation() {
    let mut app = app();
    app.formation.push(new_type("id".into(), "web"));
    adopt_types(&mut app, &procfile(&["web", "worker"]), || "id".into());
    assert_eq!(formation(&app), [("web", 0), ("worker", 0)]);
}

#[test]
fn a_failed_deployment_leaves_the_app_as_it_was() {
    let mut app = app();
    app.deployments.push(Deployment {
        id: "d".into(),
        status: "starting".into(),
        kind: "deployment".into(),
        git_ref: None,
        previous_git_ref: None,
        pusher: "us-1".into(),
        output: String::new(),
        created_at: app.created_at,
        world_date: app.created_at,
        finished_at: None,
        postdeploy: None,
    });
    let now = app.created_at;
    conclude(&mut app, "d", "hook-error", now);
    assert_eq!((app.status.as_str(), app.was_deployed()), ("new", false));
    assert_eq!(app.deployments[0].status, "hook-error");
}
