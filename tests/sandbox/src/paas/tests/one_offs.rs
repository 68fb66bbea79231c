//! One-off containers, spoken to as the vendor's command line does it: raw TCP after a `CONNECT`.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::shapes::same_shape;
use super::{Site, read, site, tarball, until};
use crate::paas::work::cron::due;
use crate::world::Limits;

const APP: &str = "/v1/apps/demarches-test";

/// Starts a one-off and follows its operation: its id, label and attach address.
async fn started(site: &Site, command: &str) -> (String, String, String) {
    let body = json!({"command": command, "env": {"TERM": "xterm", "GREETING": "salut"}, "size": "S", "detached": false, "has_uploads": false});
    let url = format!("{}{APP}/run", site.paas.urls().api);
    let answer = site.ask(&site.bearer, reqwest::Method::POST, &url, Some(body)).await;
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let (status, made) = read(answer).await;
    assert_eq!(status, 200, "{made}");
    let mut short = made.clone();
    // The record tells three of a size's members; all of them are in the catalogue.
    short["container"]["container_size"]
        .as_object_mut()
        .unwrap()
        .retain(|name, _| ["id", "name", "memory"].contains(&name.as_str()));
    same_shape("one_off", &short);
    assert_eq!(made["operation_url"], location.as_str());
    assert_eq!(
        (made["container"]["type"].as_str(), made["container"]["state"].as_str()),
        (Some("one-off"), Some("starting"))
    );
    let operation = made["operation"]["id"].as_str().unwrap();
    assert!(location.ends_with(operation), "the command line reads the id from the address");
    site.advance(5);
    let mut attach = String::new();
    until("the container has started", async || {
        let state = site.paas.state();
        let app = state.app("demarches-test").unwrap();
        let one = app.operations.iter().find(|one| one.id == operation).unwrap();
        attach = one.one_off.as_ref().map_or_else(String::new, |started| started.attach_url.clone());
        !attach.is_empty()
    })
    .await;
    let shown = site.get(&format!("{APP}/operations/{operation}")).await.1;
    same_shape("operation_one_off", &shown);
    assert_eq!(shown["operation"]["start_one_off_data"]["attach_url"], attach.as_str());
    assert_eq!(
        (shown["operation"]["type"].as_str(), shown["operation"]["status"].as_str()),
        (Some("start-one-off"), Some("done"))
    );
    let text = |key: &str| made["container"][key].as_str().unwrap().to_owned();
    (text("id"), text("label"), attach)
}

/// A connection that became the container's terminal.
pub(super) async fn connected(site: &Site, attach: &str) -> TcpStream {
    let (stream, head) = connect(attach, &site.bearer).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream
}

async fn connect(attach: &str, bearer: &str) -> (TcpStream, String) {
    let url = url::Url::parse(attach).unwrap();
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!(":{bearer}"));
    let head =
        format!("CONNECT {} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\n\r\n", url.path());
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // As the vendor's client: what arrives together with the head would be lost, so there must be nothing.
    let mut chunk = [0; 4_096];
    while !answer.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the connection ended within the head: {}", String::from_utf8_lossy(&answer));
        answer.extend(&chunk[..read]);
        if answer.starts_with(b"HTTP/1.1 4") && answer.windows(4).any(|four| four == b"\r\n\r\n") {
            break;
        }
    }
    (stream, String::from_utf8(answer).unwrap())
}

pub(super) async fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut said))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

pub(super) async fn exit_code(site: &Site, attach: &str) -> (u16, Value) {
    read(site.http.get(format!("{attach}/wait")).basic_auth("", Some(&site.bearer)).send().await.unwrap())
        .await
}

#[tokio::test]
async fn a_command_runs_on_a_terminal_with_the_files_and_variables_of_the_app() {
    let site = site().await;
    site.idle_app().await;
    let command = "test -t 0 && test -t 1 && cat greeting; echo $GREETING $CONTAINER_SIZE; read line; echo got $line; cat; exit 7";
    let (id, label, attach) = started(&site, command).await;
    let listed = site.get(&format!("{APP}/ps")).await.1;
    let one = listed["containers"].as_array().unwrap().iter().find(|one| one["id"] == *id).unwrap();
    assert_eq!((one["label"].as_str(), one["state"].as_str()), (Some(label.as_str()), Some("running")));
    assert_eq!(one["container_size"]["name"], "S");
    let size = site
        .http
        .put(&attach)
        .basic_auth("", Some(&site.bearer))
        .json(&json!({"width": "100", "height": 40}));
    assert_eq!(size.send().await.unwrap().status().as_u16(), 200);
    let mut stream = connected(&site, &attach).await;
    stream.write_all(b"hello\nmore\n").await.unwrap();
    // The end of input, as the command line says it.
    stream.write_all(b"\x04").await.unwrap();
    let said = rest(stream).await;
    assert!(said.contains("bonjour\r\nsalut S\r\n") && said.contains("got hello\r\n"), "{said:?}");
    assert_eq!(exit_code(&site, &attach).await, (200, json!({"exit_code": 7})));
    let listed = site.get(&format!("{APP}/ps")).await.1;
    assert_eq!(listed["containers"], json!([]), "an ended container is still listed");
}

#[tokio::test]
async fn a_container_starts_though_its_app_is_renamed_meanwhile() {
    let site = site().await;
    site.idle_app().await;
    let (_, made) = site.post(&format!("{APP}/run"), json!({"command": "echo on", "detached": true})).await;
    let operation = made["operation"]["id"].as_str().unwrap().to_owned();
    let rename = json!({"current_name": "demarches-test", "new_name": "demarches-new"});
    assert_eq!(site.post(&format!("{APP}/rename"), rename).await.0, 200);
    site.advance(5);
    let path = format!("/v1/apps/demarches-new/operations/{operation}");
    until("its operation is done", async || {
        site.paas.state().app("demarches-new").unwrap().operations.iter().all(|one| one.status == "done")
    })
    .await;
    assert_eq!(site.get(&path).await.1["operation"]["status"], "done");
}

#[tokio::test]
async fn only_a_collaborators_bearer_attaches_and_only_once() {
    let site = site().await;
    site.idle_app().await;
    let (_, _, attach) = started(&site, "sleep 300").await;
    assert!(connect(&attach, "no.such.jwt").await.1.starts_with("HTTP/1.1 401 "));
    let (_, token) = site.paas.seed_user("other", "other@exemple.test");
    let other = site.exchange(&token).await;
    assert!(connect(&attach, &other).await.1.starts_with("HTTP/1.1 404 "));
    let first = connected(&site, &attach).await;
    assert!(connect(&attach, &site.bearer).await.1.starts_with("HTTP/1.1 409 "));
    drop(first);
}

#[tokio::test]
async fn files_that_were_sent_are_found_in_tmp_uploads() {
    let site = site().await;
    site.idle_app().await;
    let (_, _, attach) = started(&site, "cat /tmp/uploads/dump.sql").await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../dump.sql\"\r\n\
                Content-Type: application/octet-stream\r\n\r\nselect 1;\r\n--b--\r\n";
    let sent = site.http.post(format!("{attach}/files")).basic_auth("", Some(&site.bearer));
    let sent =
        sent.header("content-type", "multipart/form-data; boundary=b").body(form).send().await.unwrap();
    assert_eq!(sent.status().as_u16(), 200, "{}", sent.text().await.unwrap());
    assert_eq!(rest(connected(&site, &attach).await).await, "select 1;");
    assert_eq!(exit_code(&site, &attach).await, (200, json!({"exit_code": 0})));
}

#[tokio::test]
async fn a_container_that_is_stopped_ends_its_stream_and_is_gone() {
    let site = site().await;
    site.idle_app().await;
    let (_, _, attach) = started(&site, "sleep 300").await;
    let known = site.paas.one_offs.of_app(&site.paas.state().app("demarches-test").unwrap().id.clone());
    let stop = format!("{APP}/containers/{}/stop", known[0].id);
    let stream = connected(&site, &attach).await;
    assert_eq!(site.post(&stop, json!({})).await.0, 202);
    assert_eq!(rest(stream).await, "");
    let (status, body) = exit_code(&site, &attach).await;
    assert_eq!((status, body["exit_code"].as_i64()), (200, Some(128 + 15)));
    assert_eq!(site.post(&stop, json!({})).await.0, 404, "a stopped container is still there");
}

#[tokio::test]
async fn a_detached_one_prints_into_the_log_of_the_app() {
    let site = site().await;
    site.idle_app().await;
    let body = json!({"command": "echo from afar; exit 3", "detached": true});
    let made = site.post(&format!("{APP}/run"), body).await.1;
    let label = made["container"]["label"].as_str().unwrap().to_owned();
    site.advance(5);
    let address = site.get(&format!("{APP}/logs")).await.1;
    let url = format!("{}&n=10&filter={label}", address["logs_url"].as_str().unwrap());
    let mut text = String::new();
    until("the output is in the log", async || {
        text = site.http.get(&url).send().await.unwrap().text().await.unwrap();
        !text.is_empty()
    })
    .await;
    assert!(text.ends_with(&format!(" [{label}] from afar\n")), "{text}");
    let words: Vec<&str> = text.split(' ').collect();
    assert!(words[2].starts_with('+') && words[3].starts_with("CE"), "{text}");
    let other = format!("{}&filter=web", address["logs_url"].as_str().unwrap());
    assert_eq!(site.http.get(other).send().await.unwrap().status().as_u16(), 204);
    let forged = format!("{}/logs/demarches-test?token=forged", site.paas.urls().api);
    assert_eq!(site.http.get(forged).send().await.unwrap().status().as_u16(), 401);
}

#[tokio::test]
async fn a_databases_client_is_found_or_it_is_said_what_is_missing() {
    let site = site().await;
    site.idle_app().await;
    for (command, code, told) in [
        ("dbclient-fetcher pgsql && psql --version && pg_restore --version", 0, "pg_restore (PostgreSQL)"),
        ("dbclient-fetcher pgsql 3", 1, "no client of PostgreSQL 3 (but of"),
        ("dbclient-fetcher mysql", 1, "no databases of the kind mysql"),
        ("install-scalingo-cli", 1, "there is no scalingo here"),
    ] {
        let (_, _, attach) = started(&site, command).await;
        let said = rest(connected(&site, &attach).await).await;
        assert!(said.contains(told), "{command}: {said}");
        assert_eq!(exit_code(&site, &attach).await, (200, json!({"exit_code": code})), "{command}: {said}");
        site.advance(61);
    }
}

#[tokio::test]
async fn a_scheduled_task_runs_by_the_worlds_clock_whatever_the_formation() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let tasks = r#"{"jobs": [{"command": "*/10 * * * * echo came round in $CONTAINER_SIZE", "size": "L"}]}"#;
    let files = [("root/Procfile", "worker: sleep 600\n"), ("root/cron.json", tasks)];
    let url = site.upload(tarball(&files)).await;
    let id = site.deploy("demarches-test", &url).await;
    assert_eq!(site.deployed("demarches-test", &id).await.0, "success");
    let listed = site.get(&format!("{APP}/cron_tasks")).await.1["jobs"][0].clone();
    assert_eq!((&listed["size"], &listed["last_execution_date"]), (&json!("L"), &Value::Null));
    let next: chrono::DateTime<chrono::Utc> =
        listed["next_execution_date"].as_str().unwrap().parse().unwrap();
    assert!(next > site.paas.moment() && next <= site.paas.moment() + Duration::from_mins(10), "{listed}");
    site.advance(600);
    let runner = &site.paas.plane.runner;
    let runs = || {
        let lines = runner.last_lines("demarches-test", 99, &crate::plane::runner::logs::Filter::default());
        let came = lines.iter().filter(|line| line.text == "came round in L");
        came.filter(|line| line.label.starts_with("one-off-")).count()
    };
    until("it has run", async || runs() > 0).await;
    let listed = site.get(&format!("{APP}/cron_tasks")).await.1["jobs"][0].clone();
    assert!(listed["last_execution_date"].is_string(), "{listed}");
    site.advance(24 * 3_600);
    until("it has run again", async || runs() > 1).await;
    // As when a snapshot is brought back: the day is another one, and nothing came round on the way there.
    let before = runs();
    site.world.clock.set_elapsed(Duration::from_mins(15));
    until("it runs at that time too", async || {
        site.advance(60);
        runs() > before
    })
    .await;
    assert_eq!(runner.containers("demarches-test").len(), 0, "the formation has nothing");

    let soon = || {
        let now = site.paas.moment();
        due(&site.paas, now, now + Duration::from_mins(10)).len()
    };
    assert_eq!(soon(), 1);
    site.paas.lose_data(&["demarches-test"]).await.unwrap();
    assert_eq!(soon(), 0, "a task runs where a disaster has struck");

    let often = r#"{"jobs": [{"command": "* * * * * true"}]}"#;
    let url = site.upload(tarball(&[("root/Procfile", "worker: true\n"), ("root/cron.json", often)])).await;
    let id = site.deploy("demarches-test", &url).await;
    let (status, output) = site.deployed("demarches-test", &id).await;
    assert!(status == "build-error" && output.contains("every 10 minutes"), "{status}: {output}");
}

#[tokio::test]
async fn an_eleventh_container_and_one_without_a_release_are_refused() {
    let site = site().await;
    site.paas.seed_app(&site.user, "never-deployed").unwrap();
    assert_eq!(site.post("/v1/apps/never-deployed/run", json!({"command": "true"})).await.0, 400);
    site.idle_app().await;
    for _ in 0..10 {
        assert_eq!(site.post(&format!("{APP}/run"), json!({"command": "sleep 300"})).await.0, 200);
    }
    let (status, body) = site.post(&format!("{APP}/run"), json!({"command": "sleep 300"})).await;
    assert_eq!((status, body["errors"].is_object()), (422, true));
    let size = json!({"command": "true", "size": "XXS"});
    assert_eq!(site.post(&format!("{APP}/run"), size).await.1["resource"], "container_size");
}

#[tokio::test]
async fn a_silent_container_is_killed_and_its_waiter_told_408() {
    let site = site().await;
    site.idle_app().await;
    let (_, _, attach) = started(&site, "echo begun; read word; sleep 300").await;
    let mut stream = connected(&site, &attach).await;
    let mut begun = [0; 7];
    stream.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"begun\r\n");
    // Only now: a shell on a slow machine may take longer to begin. What is typed starts the silence anew.
    site.world.limit(Limits { silence: Duration::from_secs(2), ..Limits::default() });
    stream.write_all(b"word\n").await.unwrap();
    rest(stream).await;
    // The bearer is still good: its life is the wall's.
    assert_eq!(exit_code(&site, &attach).await.0, 408);
}
