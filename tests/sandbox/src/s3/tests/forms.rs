//! Forms, as browsers post them.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::signing::Signer;
use super::support::{Setup, start};
use crate::s3::{Key, Policy};

/// A form for `key`, with these further fields.
async fn post(setup: &Setup, key: &str, fields: &[(&str, &str)]) -> reqwest::Response {
    let signer = Signer::new("FULL");
    let conditions: Vec<_> = [
        json!({"x-amz-algorithm": "AWS4-HMAC-SHA256"}),
        json!({"x-amz-credential": signer.credential}),
        json!({"x-amz-date": signer.date}),
        json!(["starts-with", "$key", key.split('$').next().unwrap()]),
    ]
    .into_iter()
    .chain(fields.iter().map(|(name, value)| json!({ *name: value })))
    .collect();
    let expiration = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%S.000Z");
    let policy = json!({"expiration": expiration.to_string(), "conditions": conditions}).to_string();
    let (policy, mut form) = (BASE64.encode(policy), String::new());
    let signature = signer.sign(&policy);
    let all = [
        ("key", key),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", &signer.credential),
        ("x-amz-date", &signer.date),
        ("policy", &policy),
        ("x-amz-signature", &signature),
    ];
    for (name, value) in all.iter().chain(fields) {
        write!(form, "--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").unwrap();
    }
    form += "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"my é.txt\"\r\n";
    form += "Content-Type: text/plain\r\n\r\nposted\r\n--B--\r\n";
    let request = Setup::http().post(format!("{}/bucket", setup.s3.endpoint())).body(form);
    request.header("content-type", "multipart/form-data; boundary=B").send().await.unwrap()
}

#[tokio::test]
async fn the_name_of_the_file_is_part_of_the_key_and_of_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let answer = post(&setup, "in/${filename}", &[("success_action_status", "201")]).await;
    let expected = format!("{}/bucket/in/my%20%C3%A9.txt", setup.s3.endpoint());
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["location"], expected);
    let text = answer.text().await.unwrap();
    assert!(text.contains(&format!("<Location>{expected}</Location>")), "{text}");
    let got = setup.client("FULL").get_object().bucket("bucket").key("in/my é.txt").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "posted");
    let entries = setup.world.journal.entries();
    assert_eq!(entries.last().unwrap().resource, "/bucket/in/my é.txt");
}

#[tokio::test]
async fn a_bucket_policy_is_asked_about_the_key_of_the_form() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let me = Key { access_key_id: "FULL".into(), secret_access_key: String::new(), policy: Policy::Full };
    let policy = json!({"Version": "2023-04-17", "Statement": [
        {"Effect": "Allow", "Principal": {"SCW": me.principal()}, "Action": "s3:*", "Resource": "bucket/*"},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "bucket/keep/*"},
    ]});
    let client = setup.client("FULL");
    client.put_bucket_policy().bucket("bucket").policy(policy.to_string()).send().await.unwrap();
    assert_eq!(post(&setup, "keep/${filename}", &[]).await.status(), 403);
    assert_eq!(post(&setup, "other/${filename}", &[]).await.status(), 204);
}
