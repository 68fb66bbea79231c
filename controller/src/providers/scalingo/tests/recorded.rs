//! What the vendor was seen to answer (`tests/fixtures/scalingo`), which the sandbox's answers are held against too, is read as it
//! is meant.

use std::path::Path;

use super::*;
use crate::providers::scalingo::addons::AddonStatus;
use crate::providers::scalingo::apps::{AppStatus, NewApp};
use crate::providers::scalingo::backups::BackupStatus;
use crate::providers::scalingo::collaborators::CollaboratorStatus;
use crate::providers::scalingo::databases::DatabaseStatus;
use crate::providers::scalingo::deployments::DeploymentStatus;
use crate::providers::scalingo::operations::OperationStatus;
use crate::providers::scalingo::transfers::TransferStatus;
use crate::providers::scalingo::variables::Aliases;

/// A client of a vendor that answers every call with the recorded answer of this name.
async fn vendor(name: &str, status: u16) -> (Scalingo, tokio::task::JoinSet<()>) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/scalingo");
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(fixtures.join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let (body, mut token) = (read(name), read("addon_token"));
    token["addon"]["token"] = json!(jwt(3600, 7));
    let answer = any(move || async move { (StatusCode::from_u16(status).unwrap(), Json(body)) });
    let enter = post(|| async move { Json(token) });
    let routes = Router::new().route("/v1/apps/{app}/addons/{addon}/token", enter).fallback_service(answer);
    let (client, _world, server) = client(3600, routes).await;
    (client, server)
}

fn addon() -> AddonRef {
    AddonRef { app: "demarches-test".into(), addon: "ad-9d0f0000-7777-4888-8999-aaaaaaaaaaaa".into() }
}

#[tokio::test]
async fn an_app_that_is_new() {
    let (scalingo, _server) = vendor("app", 200).await;
    let app = scalingo.app("demarches-test").await.unwrap().unwrap();
    assert_eq!((app.name.as_str(), app.status), ("demarches-test", AppStatus::New));
    assert_eq!(app.git_url.as_deref(), Some("git@ssh.osc-fr1.scalingo.com:demarches-test.git"));
}

#[tokio::test]
async fn an_app_that_is_not_there_and_a_name_that_is_taken() {
    let (scalingo, _server) = vendor("unknown_app", 404).await;
    assert!(scalingo.app("nobody-here").await.unwrap().is_none());
    let (scalingo, _server) = vendor("name_taken", 422).await;
    let new = NewApp { name: "demarches-test", project_id: None, stack_id: None };
    let error = scalingo.create_app(&new).await.unwrap_err();
    assert!(!error.outcome_unknown(), "{error:?}");
    assert!(format!("{error:?}").contains("has already been taken"), "{error:?}");
}

#[tokio::test]
async fn an_addon_that_is_being_provisioned() {
    let (scalingo, _server) = vendor("addon_provision", 201).await;
    let addon = scalingo.provision_addon("demarches-test", "postgresql", "plan", None).await.unwrap();
    assert_eq!(
        (addon.status, addon.plan.name.as_str()),
        (AddonStatus::Provisioning, "postgresql-starter-512")
    );
    assert_eq!(addon.resource_id.as_deref(), Some("demarches_4553"));
}

#[tokio::test]
async fn a_database_its_users_and_its_backups() {
    let (scalingo, _server) = vendor("database", 200).await;
    let database = scalingo.database(&addon()).await.unwrap().unwrap();
    assert_eq!(
        (database.status, database.readable_version.as_deref()),
        (DatabaseStatus::Running, Some("17.11.0-1"))
    );
    let (scalingo, _server) = vendor("database_users", 200).await;
    let users = scalingo.database_users(&addon()).await.unwrap();
    assert_eq!(
        users.iter().map(|user| (user.protected, user.read_only)).collect::<Vec<_>>(),
        [(true, false), (false, true)]
    );
    let (scalingo, _server) = vendor("backups", 200).await;
    let backups = scalingo.backups(&addon()).await.unwrap();
    assert_eq!(
        backups.iter().map(|backup| backup.status.clone()).collect::<Vec<_>>(),
        [BackupStatus::Running, BackupStatus::Done]
    );
    assert_eq!(backups[1].size, Some(48_211_903));
}

#[tokio::test]
async fn a_password_that_is_shown_once() {
    let (scalingo, _server) = vendor("database_user_created", 201).await;
    let user = scalingo.create_database_user(&addon(), "lectureseule", true).await.unwrap();
    assert!(user.password.is_some() && user.read_only);
}

#[tokio::test]
async fn an_operation_a_deployment_and_a_domain() {
    let (scalingo, _server) = vendor("operation", 200).await;
    let operation = scalingo.operation("demarches-test", "66d0a9f0c3d4e5f600000042").await.unwrap().unwrap();
    assert_eq!(operation.status, OperationStatus::Done);
    let (scalingo, _server) = vendor("deployment", 200).await;
    let deployment = scalingo.deployment("demarches-test", "0f2a").await.unwrap().unwrap();
    assert_eq!(deployment.status, DeploymentStatus::Queued);
    let (scalingo, _server) = vendor("domain", 201).await;
    let domain = scalingo.add_domain("demarches-test", "www.exemple.fr").await.unwrap();
    assert_eq!((domain.name.as_str(), domain.ssl), ("www.exemple.fr", false));
}

#[tokio::test]
async fn an_invitation_a_formation_and_the_region() {
    let (scalingo, _server) = vendor("collaborator", 201).await;
    let invited =
        scalingo.invite_collaborator("demarches-test", "astreinte@exemple.fr", false).await.unwrap();
    assert_eq!((invited.status, invited.user_id), (CollaboratorStatus::Pending, None));
    let (scalingo, _server) = vendor("scale", 200).await;
    let formation = scalingo.formation("demarches-test").await.unwrap();
    assert_eq!(
        formation.iter().map(|kind| (kind.name.as_str(), kind.amount)).collect::<Vec<_>>(),
        [("web", 2), ("worker", 0)]
    );
    let (scalingo, _server) = vendor("regions", 200).await;
    let regions = scalingo.regions().await.unwrap();
    assert_eq!((regions[0].name.as_str(), regions[0].default), ("osc-fr1", true));
}

#[tokio::test]
async fn an_offer_of_a_project() {
    let (scalingo, _server) = vendor("transfer_invitation", 201).await;
    let offer = scalingo.offer_project("prj-5f1f", "us-2c9a").await.unwrap();
    assert_eq!((offer.status, offer.invited_user_name.as_deref()), (TransferStatus::Pending, Some("alice")));
    assert_eq!(offer.expires_at.unwrap() - offer.created_at.unwrap(), chrono::TimeDelta::days(3));
    let (scalingo, _server) = vendor("unknown_app", 404).await;
    assert!(scalingo.transfers("prj-5f1f").await.unwrap().is_none());
    assert!(scalingo.transfer_candidates("prj-5f1f").await.unwrap().is_none());
}

#[tokio::test]
async fn variables_keep_their_values_to_themselves() {
    let (scalingo, _server) = vendor("variables", 200).await;
    let variables = scalingo.variables("demarches-test", Aliases::Raw).await.unwrap();
    assert_eq!(variables[1].name, "DATABASE_URL");
    assert!(!format!("{variables:?}").contains("SECRET@"), "a value is shown");
}
