//! What the vendor refuses for the account's sake.

use serde_json::json;

use super::site;
use crate::paas::Standing;

#[tokio::test]
async fn a_trial_that_is_over_refuses_what_costs_until_it_is_stopped() {
    let site = site().await;
    let app = json!({"app": {"name": "demarches-test"}});
    site.paas.set_standing(Standing { trial_over: true, region_disabled: false });
    let (status, body) = site.post("/v1/apps", app.clone()).await;
    assert_eq!((status, &body["name"]), (402, &json!("free-trial-exceeded")));
    assert!(body["error"].is_string() && body["url"].is_string(), "{body}");
    assert_eq!(site.get("/v1/apps").await.0, 200, "to look costs nothing");
    assert_eq!(site.post("auth:/v1/users/stop_free_trial", json!({})).await.0, 200);
    assert_eq!(site.post("/v1/apps", app).await.0, 201);
}

#[tokio::test]
async fn a_disabled_region_refuses_everything_and_the_account_does_not() {
    let site = site().await;
    site.paas.set_standing(Standing { trial_over: false, region_disabled: true });
    let (status, body) = site.get("/v1/apps").await;
    assert_eq!((status, &body["code"]), (403, &json!("region_disabled")));
    assert!(body["error"].is_string(), "{body}");
    assert_eq!(site.get("auth:/v1/users/self").await.0, 200);
}

#[tokio::test]
async fn a_wrong_request_is_told_with_a_code() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (status, body) = site.post("/v1/apps/demarches-test/addons", json!({"addon": {}})).await;
    assert_eq!(
        (status, body),
        (400, json!({"error": "addon_provider_id is required", "code": "bad_request"}))
    );
}
