//! The websockets of deployments and logs, opened as the vendor's command line opens them.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Site, site, tarball, until};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(url: &str) -> Socket {
    connect_async(url).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Option<Value> {
    let patience = std::time::Duration::from_secs(30);
    loop {
        match tokio::time::timeout(patience, socket.next()).await.expect("nothing came") {
            Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

async fn followed(site: &Site) -> Socket {
    let app = site.get("/v1/apps/demarches-test").await.1;
    let mut socket = open(app["app"]["links"]["deployments_stream"].as_str().unwrap()).await;
    let auth = json!({"type": "auth", "data": {"token": site.bearer}});
    socket.send(Message::binary(auth.to_string().into_bytes())).await.unwrap();
    socket
}

/// Reads until the final status of a deployment, as the command line's `deploy` does: all statuses and lines.
async fn statuses(socket: &mut Socket, id: &str) -> (Vec<String>, String) {
    let (mut statuses, mut lines) = (Vec::<String>::new(), String::new());
    loop {
        let event = next(socket).await.expect("the stream ended before the deployment");
        if event["id"] != *id {
            continue;
        }
        match event["type"].as_str().unwrap() {
            "new" => assert_eq!(event["data"]["deployment"]["pusher"]["username"], "agence"),
            "log" => lines.push_str(event["data"]["content"].as_str().unwrap()),
            _ => {
                let status = event["data"]["status"].as_str().unwrap().to_owned();
                statuses.push(status.clone());
                if !["queued", "building", "pushing", "starting"].contains(&status.as_str()) {
                    return (statuses, lines);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_follower_sees_every_step_of_a_deployment_to_its_end() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let mut early = followed(&site).await;
    let url = site.upload(tarball(&[("root/Procfile", "worker: sleep 600\n")])).await;
    let id = site.deploy("demarches-test", &url).await;
    site.advance(60);
    let (seen, lines) = statuses(&mut early, &id).await;
    assert_eq!(seen, ["queued", "building", "pushing", "starting", "success"]);
    assert!(lines.contains("Process types: worker"), "{lines}");
    // One that comes only now is still told how it ended: its client would wait for ever.
    let (seen, lines) = statuses(&mut followed(&site).await, &id).await;
    assert_eq!(seen, ["success"]);
    assert!(lines.contains("Process types: worker"), "{lines}");
}

#[tokio::test]
async fn a_wrong_token_ends_the_stream() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let url = format!("{}/apps/demarches-test", site.paas.urls().api.replace("http", "ws"));
    let mut socket = open(&url).await;
    let auth = json!({"type": "auth", "data": {"token": "no.such.jwt"}});
    socket.send(Message::text(auth.to_string())).await.unwrap();
    assert_eq!(next(&mut socket).await, None);
}

#[tokio::test]
async fn new_lines_of_the_log_are_streamed() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let address = site.get("/v1/apps/demarches-test/logs").await.1;
    let url = address["logs_url"].as_str().unwrap().replacen("http", "ws", 1);
    let mut socket = open(&format!("{url}&stream=true&filter=web|worker-1")).await;
    site.paas.plane.runner.note("demarches-test", "other-1", "not this");
    site.paas.plane.runner.note("demarches-test", "worker-1", "hello");
    let event = next(&mut socket).await.unwrap();
    assert_eq!(event["event"], "log");
    assert!(event["log"].as_str().unwrap().ends_with(" [worker-1] hello\n"), "{event}");
    assert!(event["timestamp"].is_string());
}

#[tokio::test]
async fn a_databases_log_is_read_and_followed_as_an_apps_is() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (id, resource) = site.seeded_addon("demarches-test", "postgresql", "postgresql-starter-512").await;
    let path = format!("/databases/{id}/logs");
    let address = site.database("GET", "demarches-test", &id, &path, Value::Null).await.1;
    let url = address["url"].as_str().unwrap().to_owned();
    let text = site.http.get(format!("{url}&n=9")).send().await.unwrap().text().await.unwrap();
    assert!((1..=9).contains(&text.lines().count()), "{text}");
    for line in text.lines() {
        // The command line takes the fifth word for the container, whatever it is.
        assert_eq!(line.split(' ').nth(4), Some("[postgresql-1]"), "{line}");
    }
    let mut socket = open(&format!("{}&stream=true", url.replacen("http", "ws", 1))).await;
    site.paas.plane.databases.rows(&resource, "SELECT 1/0", &[]).await.unwrap_err();
    loop {
        let event = next(&mut socket).await.expect("the stream ended before the error");
        assert_eq!(event["event"], "log");
        let line = event["log"].as_str().unwrap();
        assert!(line.contains(" [postgresql-1] "), "{line}");
        if line.contains("division by zero") {
            break;
        }
    }
}

#[tokio::test]
async fn the_log_of_a_redis_is_its_servers() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let (id, _) = site.seeded_addon("demarches-test", "redis", "redis-starter-256").await;
    let path = format!("/databases/{id}/logs");
    let address = site.database("GET", "demarches-test", &id, &path, Value::Null).await.1;
    let url = address["url"].as_str().unwrap().to_owned();
    let answer = site.http.get(format!("{url}&n=50")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let text = answer.text().await.unwrap();
    assert!(text.contains("Ready to accept connections"), "{text}");
    for line in text.lines() {
        assert_eq!(line.split(' ').nth(4), Some("[redis-1]"), "{line}");
    }
    let mut socket = open(&format!("{}&stream=true", url.replacen("http", "ws", 1))).await;
    let resource = site.paas.state().addon(&id).unwrap().1.resource_id.clone();
    let file = site.world.folder("kept").unwrap().join("dump.rdb");
    // The server says when it saves. The first may be before the follower looked for the end.
    until("what comes after is told", async || {
        site.paas.plane.redis.dump(&resource, &file).await.unwrap();
        let event = tokio::time::timeout(std::time::Duration::from_secs(1), next(&mut socket)).await;
        let line = event.ok().flatten().map_or(Value::Null, |event| event["log"].clone());
        line.as_str().is_some_and(|line| line.contains(" [redis-1] ") && line.contains("DB saved"))
    })
    .await;
}
