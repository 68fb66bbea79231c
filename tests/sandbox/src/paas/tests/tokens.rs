//! Tokens, keys, and the rate limit.

use base64::Engine;
use reqwest::Method;
use serde_json::{Value, json};

use super::{read, site};

#[tokio::test]
async fn an_api_token_is_exchanged_for_a_jwt_of_one_hour() {
    let site = site().await;
    let part = site.bearer.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600);
    assert_eq!(
        (claims["iss"].as_str(), claims["uuid"].as_str()),
        (Some("Scalingo"), Some(site.user.as_str()))
    );
    assert_eq!(claims["rnd"].as_str().unwrap().len(), 32);
    let (status, me) = site.get("auth:/v1/users/self").await;
    assert_eq!((status, me["user"]["email"].as_str()), (200, Some("ops@exemple.test")));
}

#[tokio::test]
async fn a_wrong_token_has_invalid_credentials() {
    let site = site().await;
    let url = format!("{}/v1/tokens/exchange", site.paas.urls().auth);
    let answer = site.http.post(url).basic_auth("", Some("tk-us-wrong")).send().await.unwrap();
    assert_eq!(read(answer).await, (401, json!({"error": "Invalid credentials"})));
    let answer =
        site.ask("no.such.jwt", Method::GET, &format!("{}/v1/apps", site.paas.urls().api), None).await;
    assert_eq!(answer.status().as_u16(), 401);
}

#[tokio::test]
async fn a_revoked_api_token_takes_its_bearers_along() {
    let site = site().await;
    let (status, made) = site.post("auth:/v1/tokens", json!({"token": {"name": "other"}})).await;
    assert_eq!(status, 201);
    let (id, secret) = (made["token"]["id"].as_str().unwrap(), made["token"]["token"].as_str().unwrap());
    let bearer = site.exchange(secret).await;
    let apps = format!("{}/v1/apps", site.paas.urls().api);
    assert_eq!(site.ask(&bearer, Method::GET, &apps, None).await.status().as_u16(), 200);
    assert_eq!(site.call("DELETE", &format!("auth:/v1/tokens/{id}"), Value::Null).await.0, 204);
    assert_eq!(site.ask(&bearer, Method::GET, &apps, None).await.status().as_u16(), 401);
}

#[tokio::test]
async fn an_unknown_token_is_not_found_as_a_web_page() {
    let site = site().await;
    let url = format!("{}/v1/tokens/nobody", site.paas.urls().auth);
    let answer = site.ask(&site.bearer, Method::DELETE, &url, None).await;
    assert_eq!(answer.status().as_u16(), 404);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
}

#[tokio::test]
async fn the_sixty_first_request_of_a_world_minute_is_told_to_retry_later() {
    let site = site().await;
    let apps = format!("{}/v1/apps", site.paas.urls().api);
    let mut refused = None;
    for _ in 0..70 {
        let answer = site.ask(&site.bearer, Method::GET, &apps, None).await;
        if answer.status().as_u16() == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("nothing was refused");
    assert!(refused.headers().get("retry-after").is_none());
    assert_eq!(refused.text().await.unwrap(), "Retry later");
    let refused: u64 = site.world.journal.observed().rates.values().map(|rate| rate.refused).sum();
    assert_eq!(refused, 1, "the checker is told");
    site.advance(60);
    assert_eq!(site.ask(&site.bearer, Method::GET, &apps, None).await.status().as_u16(), 200);
}

#[tokio::test]
async fn a_public_key_belongs_to_one_account_only() {
    let site = site().await;
    let blob = [&[0, 0, 0, 11][..], b"ssh-ed25519", &[0, 0, 0, 32], &[7; 32]].concat();
    let line = format!("ssh-ed25519 {} poste", base64::engine::general_purpose::STANDARD.encode(blob));
    let (status, _) = site.post("auth:/v1/keys", json!({"key": {"name": "poste", "content": line}})).await;
    assert_eq!(status, 201);
    let again = json!({"key": {"name": "other", "content": line.replace("poste", "other comment")}});
    let taken = json!({"errors": {"content": ["has already been taken"]}});
    assert_eq!(site.post("auth:/v1/keys", again).await, (422, taken));
    let blank = site.post("auth:/v1/keys", json!({"key": {"name": "x", "content": ""}})).await;
    let expected = ["can't be blank", "is too short (minimum is 10 characters)"];
    assert_eq!(blank, (422, json!({"errors": {"content": expected}})));
    let door = super::super::Door(std::sync::Arc::clone(&site.paas));
    let user = crate::plane::Platform::user_of_key(&door, line.trim_end_matches(" poste"));
    assert_eq!(user.as_deref(), Some(site.user.as_str()));
}

#[tokio::test]
async fn integrations_with_code_hosts_are_asked_of_the_auth_host() {
    let site = site().await;
    let seeded = site.get("auth:/v1/scm_integrations").await.1["scm_integrations"].clone();
    assert_eq!((&seeded[0]["scm_type"], &seeded[1]), (&json!("github"), &json!(null)));
    assert_eq!(seeded[0]["owner"]["email"], "ops@exemple.test");
    let unknown = json!({"resource": "scm_integration", "error": "not found"});
    assert_eq!(site.get("auth:/v1/scm_integrations/si-none").await, (404, unknown));
    let blank = site.post("auth:/v1/scm_integrations", json!({"scm_integration": {"key": "value"}})).await;
    let expected = json!({"access_token": ["can't be blank"], "scm_type": ["can't be blank", "Unknown scm integration type"]});
    assert_eq!(blank, (422, json!({"errors": expected})));
    let body = json!({"scm_type": "gitlab-self-hosted", "url": "https://gitlab.exemple.test", "access_token": "hunter2hunter2"});
    let (status, made) = site.post("auth:/v1/scm_integrations", json!({"scm_integration": body})).await;
    assert_eq!((status, made["scm_integration"]["uid"].is_string()), (201, true), "{made}");
    assert!(!made.to_string().contains("hunter2"), "the token is told");
    let one = format!("auth:/v1/scm_integrations/{}", made["scm_integration"]["id"].as_str().unwrap());
    assert_eq!(site.get(&one).await, (200, made));
    assert_eq!(site.post(&format!("{one}/import_keys"), json!({})).await, (201, json!({"keys": []})));
    assert_eq!(site.call("DELETE", &one, json!(null)).await.0, 204);
    assert_eq!(site.call("DELETE", &one, json!(null)).await.0, 404);
    let url = format!("{}/v1/scm_integrations", site.paas.urls().auth);
    assert_eq!(site.http.get(url).send().await.unwrap().status().as_u16(), 401, "for nobody in particular");
}
