use axum::routing::{get, post};

use super::*;
use crate::world::Fault;
use crate::world::faults::{Rule, Script};

async fn site(service: &'static str) -> (Arc<World>, tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 1.0, 7).unwrap();
    let router = Router::new()
        .route("/things", post(|| async { (axum::Extension(Resource("thing-1".into())), "made") }))
        .route("/text", get(|| async { "0123456789" }))
        .route("/things/{id}/parts", post(|| async { "part" }))
        .nest("/v1", Router::new().route("/count", get(count).post(increment)))
        .with_state(Arc::default());
    let addr = serve(&world, service, router).await.unwrap();
    (world, dir, format!("http://{addr}"))
}

type Counter = axum::extract::State<Arc<std::sync::atomic::AtomicU32>>;

async fn count(axum::extract::State(counter): Counter) -> String {
    counter.load(std::sync::atomic::Ordering::Relaxed).to_string()
}

async fn increment(axum::extract::State(counter): Counter, body: String) -> String {
    counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    body
}

/// Puts rules as the control API takes them.
fn play(world: &World, rules: &str) {
    world.faults.add_all(Script::parse(rules.as_bytes()).unwrap());
}

async fn text(url: String) -> String {
    client().get(url).send().await.unwrap().text().await.unwrap()
}

fn once(fault: Fault) -> Rule {
    Rule { service: None, method: None, path: None, skip: 0, times: Some(1), fault }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap()
}

#[tokio::test]
async fn an_answer_lost_after_the_effect_is_in_the_journal() {
    let (world, _dir, url) = site("scalingo").await;
    world.faults.add(once(Fault::DropAfter));
    assert!(client().post(format!("{url}/things")).send().await.is_err(), "the answer arrived");
    let entries = world.journal.entries();
    assert_eq!((entries.len(), entries[0].status), (1, 200), "{entries:?}");
    assert_eq!((entries[0].call.as_str(), entries[0].resource.as_str()), ("POST /things", "thing-1"));
    assert_eq!(entries[0].fault.as_deref(), Some("drop_after"));
}

#[tokio::test]
async fn a_request_dropped_before_has_no_status() {
    let (world, _dir, url) = site("scalingo").await;
    world.faults.add(once(Fault::DropBefore));
    assert!(client().post(format!("{url}/things")).send().await.is_err(), "the answer arrived");
    assert_eq!(world.journal.entries()[0].status, 0);
}

#[tokio::test]
async fn a_truncated_body_keeps_its_announced_length() {
    let (world, _dir, url) = site("scalingo").await;
    world.faults.add(once(Fault::Truncate { bytes: 4 }));
    let answer = client().get(format!("{url}/text")).send().await.unwrap();
    assert_eq!(answer.content_length(), Some(10));
    assert!(answer.bytes().await.is_err(), "the whole body arrived");
}

#[tokio::test]
async fn a_corrupted_body_differs_but_is_as_long() {
    let (world, _dir, url) = site("scalingo").await;
    world.faults.add(once(Fault::Corrupt));
    let body = client().get(format!("{url}/text")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(body.len(), 10);
    assert_ne!(&body[..], b"0123456789");
}

#[tokio::test]
async fn too_many_requests_are_refused_in_plain_text() {
    let (world, _dir, url) = site("scalingo").await;
    world.faults.add(once(Fault::Status { status: 429, body: None, retry_after: Some(3) }));
    let answer = client().post(format!("{url}/things")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "3"));
    assert_eq!(answer.text().await.unwrap(), "Retry later");
}

#[tokio::test]
async fn the_control_api_never_suffers() {
    let (world, _dir, url) = site("control").await;
    world.faults.add(once(Fault::DropBefore));
    assert_eq!(client().get(format!("{url}/text")).send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn a_call_is_matched_by_its_route_even_where_it_is_nested() {
    let (world, _dir, url) = site("scalingo").await;
    play(
        &world,
        r#"[{"call": "POST /things/{id}/parts", "times": 1, "fault": {"kind": "status", "status": 503}},
                     {"call": "GET /v1/count", "times": 1, "fault": {"kind": "status", "status": 503}}]"#,
    );
    let post = |path: &str| client().post(format!("{url}{path}")).send();
    assert_eq!(post("/things").await.unwrap().status().as_u16(), 200);
    assert_eq!(post("/things/7/parts").await.unwrap().status().as_u16(), 503);
    assert_eq!(client().get(format!("{url}/v1/count")).send().await.unwrap().status().as_u16(), 503);
    let calls = world.journal.observed().calls;
    let of = |method: &str, route: &str| {
        calls[&("scalingo", method.to_owned(), route.to_owned())].statuses.clone()
    };
    assert_eq!(of("GET", "/v1/count"), [(503, 1)].into());
    assert_eq!(of("POST", "/things/{id}/parts"), [(503, 1)].into());
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_a_close() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (world, _dir, url) = site("scalingo").await;
    for (rule, effects) in [("{\"kind\": \"reset\"}", 0), ("{\"kind\": \"reset\", \"after\": true}", 1)] {
        play(&world, &format!(r#"{{"times": 1, "fault": {rule}}}"#));
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
        stream.write_all(b"POST /v1/count HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0; 16])).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(text(format!("{url}/v1/count")).await, effects.to_string());
    }
    let statuses: Vec<u16> = world.journal.entries().iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [0, 200]);
}

#[tokio::test]
async fn who_is_not_asked_for_its_body_is_told_that_the_connection_ends() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (_world, _dir, url) = site("scalingo").await;
    let host = url.trim_start_matches("http://");
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
    };
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(head("/things").as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");

    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(head("/v1/count").as_bytes()).await.unwrap();
    let mut asked = vec![0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut asked).await.unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&asked));
    stream.write_all(b"abc").await.unwrap();
    let mut answer = vec![0; 512];
    let read = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_half_body_is_the_half() {
    let (world, _dir, url) = site("github").await;
    play(&world, r#"{"times": 1, "fault": {"kind": "half_body"}}"#);
    let mut answer = client().get(format!("{url}/text")).send().await.unwrap();
    assert_eq!(answer.content_length(), Some(10));
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "01234");
    assert!(answer.chunk().await.is_err(), "the whole body arrived");
}

#[tokio::test]
async fn a_slow_body_takes_its_time() {
    let (world, _dir, url) = site("github").await;
    play(&world, r#"{"times": 1, "fault": {"kind": "slow_body", "bytes_per_second": 30}}"#);
    let begun = tokio::time::Instant::now();
    assert_eq!(text(format!("{url}/text")).await, "0123456789");
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stale_read_is_what_was_before_the_last_effect() {
    let (world, _dir, url) = site("scalingo").await;
    let address = || format!("{url}/v1/count");
    play(&world, r#"{"method": "GET", "skip": 2, "times": 2, "fault": {"kind": "stale_read"}}"#);
    assert_eq!(text(address()).await, "0");
    client().post(address()).send().await.unwrap();
    assert_eq!(text(address()).await, "1");
    assert_eq!(text(address()).await, "0", "stale, although the new answer was seen");
    client().post(address()).send().await.unwrap();
    assert_eq!(text(address()).await, "1", "stale");
    assert_eq!(text(address()).await, "2");
}

#[tokio::test]
async fn a_duplicate_is_delivered_twice_with_its_body() {
    let (world, _dir, url) = site("scalingo").await;
    play(&world, r#"{"method": "POST", "times": 1, "fault": {"kind": "duplicate"}}"#);
    let answer = client().post(format!("{url}/v1/count")).body("whole").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "whole");
    assert_eq!(text(format!("{url}/v1/count")).await, "2");
}

#[tokio::test]
async fn a_web_page_comes_where_json_is_expected() {
    let (world, _dir, url) = site("scalingo").await;
    play(&world, r#"{"times": 1, "fault": {"kind": "html_page"}}"#);
    let answer = client().get(format!("{url}/text")).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
        (502, "text/html")
    );
    assert!(answer.text().await.unwrap().starts_with("<html>"));
}

#[tokio::test]
async fn a_revoked_key_is_refused_wherever_it_is_used_and_others_are_not() {
    let (world, _dir, url) = site("github").await;
    let fingerprint = crate::world::journal::credential::fingerprint("stolen");
    play(&world, &format!(r#"{{"credential": "{fingerprint}", "fault": {{"kind": "revoke_key"}}}}"#));
    let status = async |token: &str| {
        client().get(format!("{url}/text")).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    assert_eq!([status("stolen").await, status("mine").await, status("stolen").await], [401, 200, 401]);
    world.faults.clear();
    assert_eq!(status("stolen").await, 200);
}

#[tokio::test]
async fn an_entry_says_who_asked_with_what_and_what_changed_and_no_secret() {
    let (world, _dir, url) = site("scalingo").await;
    let state = Arc::new(std::sync::Mutex::new(serde_json::json!({"apps": [{"name": "a", "formation": 1}]})));
    let shown = Arc::clone(&state);
    world.journal.set_witness(Arc::new(move |_| {
        let mut state = shown.lock().unwrap();
        let before = state.clone();
        state["apps"][0]["formation"] = 2.into();
        Some(before)
    }));
    let request =
        client().post(format!("{url}/things")).header("user-agent", "tester/1").bearer_auth("very-secret");
    request.send().await.unwrap();
    let entry = &world.journal.entries()[0];
    assert_eq!(entry.evidence.route.as_deref(), Some("POST /things"));
    assert_eq!(entry.evidence.agent.as_deref(), Some("tester/1"));
    assert_eq!(entry.evidence.host.as_deref(), url.strip_prefix("http://"));
    assert_eq!(entry.evidence.before, Some(serde_json::json!({"apps": [{"name": "a", "formation": 1}]})));
    assert_eq!(entry.evidence.after, Some(serde_json::json!({"apps": [{"name": "a", "formation": 2}]})));
    let line = std::fs::read_to_string(world.dir().join(crate::world::journal::FILE)).unwrap();
    assert!(line.contains("tester/1") && !line.contains("very-secret"), "{line}");
}

#[tokio::test]
async fn a_backup_is_damaged_inside_and_as_long_as_announced() {
    let (dir, good) =
        (tempfile::tempdir().unwrap(), crate::seed::corrupt::pack("x.pgsql", &[7; 5_000]).unwrap());
    let world = World::new(dir.path(), 1.0, 7).unwrap();
    let router = Router::new().route("/download", get(|| async { good }));
    let addr = serve(&world, "database-api", router).await.unwrap();
    let fetch =
        async || client().get(format!("http://{addr}/download")).send().await.unwrap().bytes().await.unwrap();
    let good = fetch().await;
    for how in [
        "truncated",
        "short_by_one",
        "flipped_gzip",
        "flipped_data",
        "cut_dump",
        "bad_toc",
        "too_new",
        "empty_dump",
        "plain_sql",
        "html_page",
        "empty",
    ] {
        play(&world, &format!(r#"{{"times": 1, "fault": {{"kind": "corrupt_backup", "how": "{how}"}}}}"#));
        assert_ne!(fetch().await, good, "{how}");
    }
    assert_eq!(fetch().await, good);
}
