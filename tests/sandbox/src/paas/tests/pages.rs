//! Pages that an app shows while it does not answer, set by variables.

use serde_json::{Value, json};

use super::{Site, site, until};

const APP: &str = "/v1/apps/demarches-test";
const PAGE: &str = "we are back at noon";

async fn set(site: &Site, value: &str) {
    let body = json!({"variable": {"name": "SCALINGO_STOPPED_PAGE_URL", "value": value}});
    assert_eq!(site.post(&format!("{APP}/variables"), body).await.0, 201);
}

/// What a visitor sees.
async fn seen(site: &Site) -> (u16, String) {
    let url = format!("http://{}/", site.paas.plane.ingress.http());
    let asked = site.http.get(url).header("host", "demarches-test.osc-fr1.scalingo.test");
    let answer = asked.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Waits for the end of what was asked of the app.
async fn rest(site: &Site) {
    until("the app is at rest", async || {
        site.advance(12);
        site.paas.state().app("demarches-test").unwrap().busy_with().is_none()
    })
    .await;
}

#[tokio::test]
async fn a_page_is_shown_from_the_next_restart_until_the_app_is_gone() {
    let site = site().await;
    site.idle_app().await;
    let url = site.upload(PAGE.into()).await;
    set(&site, &url).await;
    assert!(!seen(&site).await.1.contains(PAGE), "it needs a restart");
    assert_eq!(site.post(&format!("{APP}/restart"), json!({})).await.0, 202);
    rest(&site).await;
    assert_eq!(seen(&site).await, (503, PAGE.to_owned()));
    // Kept: what it was fetched from may be gone.
    site.advance(3_600);
    assert_eq!(seen(&site).await, (503, PAGE.to_owned()));
    let rename = json!({"current_name": "demarches-test", "new_name": "autre-nom"});
    assert_eq!(site.post(&format!("{APP}/rename"), rename).await.0, 200);
    let back = json!({"current_name": "autre-nom", "new_name": "demarches-test"});
    assert_eq!(site.post("/v1/apps/autre-nom/rename", back).await.0, 200);
    assert_eq!(seen(&site).await, (503, PAGE.to_owned()), "it follows its app");
    let delete = format!("{APP}?current_name=demarches-test");
    assert_eq!(site.call("DELETE", &delete, Value::Null).await.0, 204);
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (status, page) = seen(&site).await;
    assert!(status == 503 && !page.contains(PAGE), "another app shows it: {page}");
}

#[tokio::test]
async fn a_page_that_is_not_to_be_had_is_the_platforms_own() {
    let site = site().await;
    site.idle_app().await;
    let heavy = site.upload(vec![b'x'; 10_000_001]).await;
    for url in [heavy.as_str(), "http://127.0.0.1:1/never", "no address"] {
        set(&site, url).await;
        assert_eq!(site.post(&format!("{APP}/restart"), json!({})).await.0, 202);
        rest(&site).await;
        let (status, page) = seen(&site).await;
        assert!(status == 503 && page.starts_with("<!DOCTYPE html>"), "{page}");
    }
}
