//! Our answers have the keys and JSON types of the recorded ones (`tests/fixtures/scalingo`).

use serde_json::{Value, json};

use super::{Site, site, until};

#[track_caller]
pub(super) fn same_shape(name: &str, ours: &Value) {
    crate::fixtures::same_shape("scalingo", name, ours);
}

#[tokio::test]
async fn apps_and_what_hangs_on_them_look_as_recorded() {
    let site = site().await;
    same_shape("regions", &site.get("auth:/v1/regions").await.1);
    let made = site.post("/v1/apps", json!({"app": {"name": "demarches-test"}})).await.1;
    same_shape("app", &made);
    same_shape("app", &site.get("/v1/apps/demarches-test").await.1);
    same_shape("name_taken", &site.post("/v1/apps", json!({"app": {"name": "demarches-test"}})).await.1);
    same_shape("unknown_app", &site.get("/v1/apps/nobody-here").await.1);
    let invited = json!({"collaborator": {"email": "astreinte@exemple.test", "is_limited": false}});
    same_shape("collaborator", &site.post("/v1/apps/demarches-test/collaborators", invited).await.1);
    let domain = json!({"domain": {"name": "www.exemple.test"}});
    same_shape("domain", &site.post("/v1/apps/demarches-test/domains", domain).await.1);
    let variables = json!({"variables": [{"name": "A", "value": "1"}]});
    same_shape("variables", &site.call("PUT", "/v1/apps/demarches-test/variables", variables).await.1);
    same_shape("token_exchange", &exchanged(&site).await);
    let key = json!({"key": {"name": "poste", "content": KEY}});
    same_shape("ssh_key", &site.post("auth:/v1/keys", key).await.1);
    same_shape("source", &site.post("/v1/sources", json!({})).await.1);
}

/// A public key.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDBjaxP+0Lq9tmfwPHqYU1z1Fmv0Hn3vb5SeqbZGDoO1 poste";

/// The whole answer to an exchange.
async fn exchanged(site: &Site) -> Value {
    let made = site.post("auth:/v1/tokens", json!({"token": {"name": "other"}})).await.1;
    let token = made["token"]["token"].as_str().unwrap();
    let url = format!("{}/v1/tokens/exchange", site.paas.urls().auth);
    site.http.post(url).basic_auth("", Some(token)).body("{}").send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_project_that_is_offered_looks_as_recorded() {
    let site = site().await;
    let (alice, _) = site.paas.seed_user("alice", "alice@exemple.test");
    let made = site.post("/v1/projects", json!({"project": {"name": "commun"}})).await.1;
    let path = format!("/v1/projects/{}/transfer_invitations", made["project"]["id"].as_str().unwrap());
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let project = json!({"project_id": made["project"]["id"]});
    site.call("PUT", "/v1/apps/demarches-test", project).await;
    site.paas.with_app("demarches-test", |app| {
        app.collaborators.push(crate::paas::state::Collaborator {
            id: "c".into(),
            email: "alice@exemple.test".into(),
            user: Some(alice.clone()),
            is_limited: false,
            invitation: "i".into(),
        });
    });
    let invite = json!({"transfer_invitation": {"invited_user_id": alice}});
    same_shape("transfer_invitation", &site.post(&path, invite).await.1);
}

#[tokio::test]
async fn operations_and_deployments_look_as_recorded() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let scale = json!({"containers": [{"name": "web", "amount": 1, "size": "M"}]});
    same_shape("scale", &site.post("/v1/apps/demarches-test/scale", scale.clone()).await.1);
    site.paas.with_app("demarches-test", |app| app.last_deployment = Some("d".into()));
    site.post("/v1/apps/demarches-test/scale", scale).await;
    let operation = || site.paas.state().app("demarches-test").unwrap().operations[0].clone();
    let id = operation().id;
    site.advance(60);
    until("the operation ends", async || operation().finished_at.is_some()).await;
    same_shape("operation", &site.get(&format!("/v1/apps/demarches-test/operations/{id}")).await.1);
    let body = json!({"deployment": {"git_ref": "v1", "source_url": "http://127.0.0.1:1/never"}});
    same_shape("deployment", &site.post("/v1/apps/demarches-test/deployments", body).await.1);
}

#[tokio::test]
async fn addons_and_databases_look_as_recorded() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (id, _) = site.seeded_addon("demarches-test", "postgresql", "postgresql-starter-512").await;
    let addon = json!({"addon": {"addon_provider_id": "redis", "plan_id": "5cc45d330000000000000256"}});
    same_shape("addon_provision", &site.post("/v1/apps/demarches-test/addons", addon).await.1);
    same_shape(
        "addon_token",
        &site.post(&format!("/v1/apps/demarches-test/addons/{id}/token"), json!({})).await.1,
    );
    let call = |method: &'static str, rest: &str, body: Value| {
        let (site, id, path) = (&site, &id, format!("/databases/{id}{rest}"));
        async move { site.database(method, "demarches-test", id, &path, body).await.1 }
    };
    let feature = json!({"feature": {"name": "force-ssl"}});
    same_shape("feature", &call("POST", "/features", feature).await);
    same_shape("database", &call("GET", "", Value::Null).await);
    let user = json!({"database_user": {"name": "lectureseule", "read_only": true}});
    same_shape("database_user_created", &call("POST", "/users", user).await);
    same_shape("database_users", &call("GET", "/users", Value::Null).await);
    let made = call("POST", "/backups", json!({})).await;
    let backup = made["database_backup"]["id"].as_str().unwrap().to_owned();
    site.advance(10);
    until("the backup is done", async || {
        site.paas.state().backup(&backup).is_some_and(|(_, _, one)| one.status == "done")
    })
    .await;
    same_shape("backups", &call("GET", "/backups", Value::Null).await);
    same_shape("backup_archive", &call("GET", &format!("/backups/{backup}/archive"), Value::Null).await);
}
