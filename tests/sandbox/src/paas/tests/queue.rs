//! Deployments wait for each other: one at a time for an app, ten for an owner.

use serde_json::json;

use super::{Site, site, until};
use crate::world::Fault;
use crate::world::faults::Rule;

/// Where a deployment stays in `building`.
fn held(site: &Site, app: Option<&str>, times: Option<u32>) {
    let (service, method) = (Some("scalingo".into()), Some("build".into()));
    let path = app.map(str::to_owned);
    site.world.faults.add(Rule { service, method, path, skip: 0, times, fault: Fault::Stall });
}

fn statuses(site: &Site, app: &str) -> Vec<String> {
    let state = site.paas.state();
    state.app(app).unwrap().deployments.iter().map(|one| one.status.clone()).collect()
}

/// Deploys what is nowhere, and pushes the world on until it builds: whoever was there before and is not held up builds, too.
async fn builds(site: &Site, app: &str) {
    let known = statuses(site, app).len();
    site.deploy(app, "http://127.0.0.1:1/never").await;
    until("it builds", async || {
        site.advance(1);
        statuses(site, app)[known] != "queued"
    })
    .await;
}

#[tokio::test]
async fn an_app_deploys_once_at_a_time() {
    let site = site().await;
    for app in ["demarches-test", "another-app"] {
        site.paas.seed_app(&site.user, app).unwrap();
    }
    held(&site, Some("demarches-test"), Some(1));
    builds(&site, "demarches-test").await;
    site.deploy("demarches-test", "http://127.0.0.1:1/never").await;
    builds(&site, "another-app").await;
    assert_eq!(statuses(&site, "demarches-test"), ["building", "queued"]);
}

#[tokio::test]
async fn an_owner_deploys_ten_apps_at_a_time() {
    let site = site().await;
    let (other, token) = site.paas.seed_user("other", "other@exemple.test");
    held(&site, None, None);
    let apps: Vec<String> = (0..11).map(|number| format!("demarches-{number}")).collect();
    for app in &apps {
        site.paas.seed_app(&site.user, app).unwrap();
    }
    for app in &apps[..10] {
        builds(&site, app).await;
    }
    site.deploy(&apps[10], "http://127.0.0.1:1/never").await;
    // Somebody else's does not wait.
    site.paas.seed_app(&other, "of-another").unwrap();
    let url = format!("{}/v1/apps/of-another/deployments", site.paas.urls().api);
    let body = json!({"deployment": {"source_url": "http://127.0.0.1:1/never"}});
    let made = site.ask(&site.exchange(&token).await, reqwest::Method::POST, &url, Some(body)).await;
    assert_eq!(made.status().as_u16(), 201);
    until("it builds", async || {
        site.advance(1);
        statuses(&site, "of-another") == ["building"]
    })
    .await;
    let told: Vec<_> = apps.iter().flat_map(|app| statuses(&site, app)).collect();
    assert_eq!(told.iter().filter(|status| *status == "building").count(), 10, "{told:?}");
    assert_eq!(told[10], "queued", "the eleventh did not wait");
}
