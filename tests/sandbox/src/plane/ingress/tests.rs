//! The ingress before real processes, asked by a real client.

mod outage;

use std::collections::BTreeMap;

use futures::StreamExt as _;

use super::*;
use crate::plane::runner::{DeployFailure, Formation, Release};
use crate::world::Limits;

struct Town {
    _dir: tempfile::TempDir,
    world: Arc<World>,
    runner: Arc<Runner>,
    ingress: Arc<Ingress>,
    authority: Arc<Authority>,
}

async fn town() -> Town {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 60.0, 1).unwrap();
    let runner = Runner::start(&world);
    let authority = Authority::new(&world.folder(crate::exec::CA_FOLDER).unwrap()).unwrap();
    let ingress = Ingress::start(&world, &runner, Arc::clone(&authority)).await.unwrap();
    Town { _dir: dir, world, runner, ingress, authority }
}

impl Town {
    /// Releases an app whose web command is `web` (and its hook `hook`).
    async fn release(&self, deployment: &str, web: &str, hook: Option<&str>) -> Result<(), DeployFailure> {
        let dir = self.world.folder(&format!("apps/one/{deployment}")).unwrap();
        std::fs::write(dir.join("who"), deployment).unwrap();
        let mut procfile = BTreeMap::from([("web".to_owned(), web.to_owned())]);
        procfile.extend(hook.map(|hook| ("postdeploy".to_owned(), hook.to_owned())));
        let release = Release { deployment: deployment.into(), dir, procfile };
        let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
        let formation = Formation::from([("web".to_owned(), 1)]);
        self.runner.release("one", release, &formation, &BTreeMap::new(), &log).await
    }

    /// A client for which every name of the tests is the ingress.
    fn client(&self) -> reqwest::Client {
        let ca = std::fs::read(self.authority.ca_file()).unwrap();
        let hosts = ["one.osc-fr1.scalingo.test", "own.example.test", "nobody.example.test"];
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        hosts
            .iter()
            .fold(builder, |builder, host| builder.resolve(host, self.ingress.https()))
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
            .build()
            .unwrap()
    }

    async fn http(&self, host: &str) -> reqwest::Response {
        let url = format!("http://{}/who?x=1", self.ingress.http());
        self.client().get(url).header("host", host).send().await.unwrap()
    }

    async fn https(&self, host: &str) -> reqwest::Result<reqwest::Response> {
        self.client().get(format!("https://{host}:{}/who", self.ingress.https().port())).send().await
    }
}

const SERVER: &str = "exec python3 -m http.server $PORT";

#[tokio::test]
async fn an_unknown_host_and_an_app_without_web_are_told_apart() {
    let town = town().await;
    assert_eq!(town.http("nobody.example.test").await.status(), 404);
    town.ingress.attach("one.osc-fr1.scalingo.test", "one");
    assert_eq!(town.http("one.osc-fr1.scalingo.test").await.status(), 503);
}

#[tokio::test]
async fn forced_https_redirects_and_shows_the_hosts_own_certificate() {
    let town = town().await;
    town.release("d1", SERVER, None).await.unwrap();
    town.ingress.attach("own.example.test", "one");
    assert_eq!(town.http("own.example.test").await.text().await.unwrap(), "d1");
    assert!(town.https("own.example.test").await.is_err(), "the wildcard is not a certificate for this host");

    town.ingress.issue_certificate("own.example.test").unwrap();
    town.ingress.set_force_https("one", true);
    let secure = town.https("own.example.test").await.unwrap();
    assert_eq!(secure.headers()["strict-transport-security"], "max-age=31536000");
    assert_eq!(secure.text().await.unwrap(), "d1");
    let plain = town.http("own.example.test").await;
    assert_eq!(plain.status(), 301);
    assert_eq!(plain.headers()["location"], "https://own.example.test/who?x=1");
}

#[tokio::test]
async fn a_default_domain_has_a_certificate_from_the_start() {
    let town = town().await;
    town.release("d1", SERVER, None).await.unwrap();
    town.ingress.attach("one.osc-fr1.scalingo.test", "one");
    assert_eq!(town.https("one.osc-fr1.scalingo.test").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_failed_hook_keeps_the_old_version_serving() {
    let town = town().await;
    town.ingress.attach("own.example.test", "one");
    town.release("d1", SERVER, Some("true")).await.unwrap();
    let failure = town.release("d2", SERVER, Some("exit 3")).await.unwrap_err();
    assert!(matches!(failure, DeployFailure::Hook(_)), "{failure:?}");
    assert_eq!(town.http("own.example.test").await.text().await.unwrap(), "d1");
    town.release("d3", SERVER, Some("true")).await.unwrap();
    assert_eq!(town.http("own.example.test").await.text().await.unwrap(), "d3");
}

#[tokio::test]
async fn a_read_that_a_retired_container_did_not_take_is_answered_by_its_successor() {
    let town = town().await;
    town.ingress.attach("own.example.test", "one");
    let deaf = "exec python3 -c \"import os, socket, time; s = socket.create_server(('0.0.0.0', int(os.environ['PORT']))); time.sleep(600)\"";
    town.release("d1", deaf, None).await.unwrap();
    // Its connection waits to be accepted when the container ends.
    let (answer, released) = tokio::join!(town.http("own.example.test"), town.release("d2", SERVER, None));
    released.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "d2"));
}

#[tokio::test]
async fn a_web_that_ends_shows_its_last_words() {
    let town = town().await;
    let failure = town.release("d1", "echo the variable is missing >&2; exit 7", None).await.unwrap_err();
    assert!(
        matches!(&failure, DeployFailure::Crashed(text) if text.contains("the variable is missing")),
        "{failure}"
    );
}

#[tokio::test]
async fn a_web_that_does_not_listen_times_out() {
    let town = town().await;
    let limit = |boot| town.world.limit(Limits { boot: Duration::from_secs(boot), ..Limits::default() });
    limit(2);
    let failure = town.release("d1", "exec sleep 60", None).await.unwrap_err();
    assert!(matches!(failure, DeployFailure::Timeout(_)), "{failure:?}");
    assert!(town.runner.containers("one").is_empty());
    // By then it listens, on a slow machine too.
    limit(15);
    let inside = format!("{SERVER} --bind 127.0.0.1");
    match town.release("d2", &inside, None).await {
        Err(DeployFailure::Timeout(told)) => {
            assert!(told.contains("web-1 listens on 127.0.0.1 only"), "{told}");
        }
        other => panic!("nobody outside would reach it: {other:?}"),
    }
}

#[tokio::test]
async fn a_fast_world_does_not_cut_a_program_short() {
    let town = town().await;
    let signs = town.world.folder("signs").unwrap();
    // It is told to stop and needs a few of the wall's seconds for that, in a world where half a minute is half a second.
    let tidy = format!(
        "trap 'sleep 3; : >{}/saved; exit' TERM; python3 -m http.server $PORT & wait",
        signs.display()
    );
    town.release("d1", &tidy, None).await.unwrap();
    town.runner.stop("one").await;
    assert!(signs.join("saved").exists(), "it was killed before it was done");
}

#[tokio::test]
async fn containers_do_not_share_what_they_write() {
    let town = town().await;
    // As a server that refuses to start beside its own file: a restart boots the new one before the old one ends.
    let once = format!("test ! -e server.pid && echo $$ >server.pid && {SERVER}");
    town.release("d1", &once, None).await.unwrap();
    let two = Formation::from([("web".to_owned(), 2)]);
    town.runner.scale("one", &two, &BTreeMap::new()).await.unwrap();
    town.runner.restart("one", &BTreeMap::new(), &[]).await.unwrap();
    assert_eq!(town.runner.web_ports("one").len(), 2);
}

#[tokio::test]
async fn a_client_with_the_cookie_comes_to_its_container_again() {
    let town = town().await;
    town.ingress.attach("own.example.test", "one");
    town.release("d1", &format!("echo $PORT >who; {SERVER}"), None).await.unwrap();
    town.runner.scale("one", &Formation::from([("web".to_owned(), 4)]), &BTreeMap::new()).await.unwrap();
    assert!(!town.http("own.example.test").await.headers().contains_key("set-cookie"));
    town.ingress.set_sticky("one", true);
    let first = town.http("own.example.test").await;
    let set = first.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        set.starts_with("sc-sticky-session=") && set.contains("Max-Age=86400; Domain=own.example.test"),
        "{set}"
    );
    let (cookie, mine) = (set.split(';').next().unwrap().to_owned(), first.text().await.unwrap());
    for _ in 0..12 {
        let url = format!("http://{}/who", town.ingress.http());
        let again = town.client().get(url).header("host", "own.example.test").header("cookie", &cookie);
        assert_eq!(again.send().await.unwrap().text().await.unwrap(), mine);
    }
}

#[tokio::test]
async fn router_logs_tell_requests_and_not_their_queries() {
    let town = town().await;
    town.ingress.attach("own.example.test", "one");
    town.release("d1", SERVER, None).await.unwrap();
    let lines = || {
        let lines = town.runner.last_lines("one", 99, &crate::plane::runner::logs::Filter::default());
        lines.into_iter().filter(|line| line.label == "router").map(|line| line.text).collect::<Vec<_>>()
    };
    town.http("own.example.test").await;
    assert!(lines().is_empty());
    town.ingress.set_router_logs("one", true);
    town.http("own.example.test").await;
    let told = lines().join("\n");
    assert!(told.starts_with("method=GET path=\"/who\" host=own.example.test request_id="), "{told}");
    assert!(told.contains(" protocol=http status=200 duration=0."), "{told}");
}

/// Takes a request until `wait` says that it is whole, then says `answer` and waits.
fn server(wait: &str, answer: &str) -> String {
    format!(
        r#"exec python3 -c '
import os, socket, time
listener = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
while True:
    peer, _ = listener.accept()
    got = b""
    while not ({wait}):
        data = peer.recv(65536)
        if not data: break
        got = (got + data)[-1000:]
    if got:
        peer.sendall(b"{answer}")
        time.sleep(600)
'"#
    )
}

/// A body of `count` pieces, of which the length is not told.
fn pieces(count: usize, size: usize, pause: Duration) -> reqwest::Body {
    let pieces = futures::stream::unfold(count, move |left| async move {
        tokio::time::sleep(pause).await;
        let piece = Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'x'; size]));
        (left > 0).then(|| (piece, left - 1))
    });
    reqwest::Body::wrap_stream(pieces)
}

#[tokio::test]
async fn a_request_is_limited_also_where_its_length_is_not_told() {
    let town = town().await;
    town.ingress.attach("own.example.test", "one");
    town.release("d1", &server("False", ""), None).await.unwrap();
    let url = format!("http://{}/", town.ingress.http());
    // One byte too many, and then nothing: what the ingress leaves unread would break the connection under its answer.
    let piece = |size| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'x'; size]));
    let whole = futures::stream::iter([vec![1 << 20; 75], vec![1]].concat()).map(piece);
    let body = reqwest::Body::wrap_stream(whole.chain(futures::stream::pending()));
    let sent = town.client().post(url).header("host", "own.example.test").body(body).send().await;
    assert_eq!(sent.unwrap().status().as_u16(), 413);
}

#[tokio::test]
async fn an_upload_that_moves_is_not_a_late_answer_and_an_answer_that_stands_still_ends() {
    let town = town().await;
    town.ingress.attach("own.example.test", "one");
    // Much more than a piece needs on a slow machine; the gap is to be too long.
    let (first_byte, gap) = (Duration::from_secs(8), Duration::from_secs(2));
    town.world.limit(Limits { first_byte, gap, ..Limits::default() });
    let head = "HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nbegun";
    town.release("d1", &server(r#"got.endswith(b"0\r\n\r\n")"#, head), None).await.unwrap();
    let url = format!("http://{}/", town.ingress.http());
    let send = async |body: reqwest::Body| {
        town.client().post(&url).header("host", "own.example.test").body(body).send().await.unwrap()
    };
    // Longer on its way than the first byte of an answer may take.
    let mut answer = send(pieces(9, 10, Duration::from_secs(1))).await;
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.chunk().await.unwrap().as_deref(), Some(&b"begun"[..]));
    assert!(answer.chunk().await.is_err(), "it ended in order");
}

#[tokio::test]
async fn a_tcp_process_has_a_port_and_no_part_in_the_ingress() {
    let town = town().await;
    let dir = town.world.folder("apps/one/d1").unwrap();
    let procfile = BTreeMap::from([("tcp".to_owned(), format!("test -n \"$PORT\" && {SERVER}"))]);
    let release = Release { deployment: "d1".into(), dir, procfile };
    let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
    let formation = Formation::from([("tcp".to_owned(), 1)]);
    town.runner.release("one", release, &formation, &BTreeMap::new(), &log).await.unwrap();
    assert_eq!(town.runner.containers("one")[0].state, "running");
    assert!(town.runner.web_ports("one").is_empty());
}

#[tokio::test]
async fn stopping_takes_everything_down() {
    let town = town().await;
    town.release("d1", "sleep 60 & exec python3 -m http.server $PORT", None).await.unwrap();
    let pid = town.runner.containers("one")[0].pid;
    assert!(town.runner.owns_process(pid));
    town.runner.stop("one").await;
    assert!(town.runner.web_ports("one").is_empty());
    assert!(!town.runner.owns_process(pid));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn scaling_to_nothing_and_back_serves_again() {
    let town = town().await;
    town.release("d1", SERVER, None).await.unwrap();
    let (none, two) = (Formation::from([("web".to_owned(), 0)]), Formation::from([("web".to_owned(), 2)]));
    town.runner.scale("one", &none, &BTreeMap::new()).await.unwrap();
    assert!(town.runner.web_ports("one").is_empty());
    town.runner.scale("one", &two, &BTreeMap::new()).await.unwrap();
    assert_eq!(town.runner.web_ports("one").len(), 2);
    let before: Vec<u32> = town.runner.containers("one").iter().map(|container| container.pid).collect();
    town.runner.restart("one", &BTreeMap::new(), &[]).await.unwrap();
    assert!(town.runner.containers("one").iter().all(|container| !before.contains(&container.pid)));
}

/// Accepts connections for ever, switches protocols on the first request of each, and sends back what comes then.
const ECHO: &str = r#"exec python3 -c '
import os, socket
listener = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
while True:
    peer, _ = listener.accept()
    head = peer.recv(65536)
    if b"upgrade: echo" not in head.lower():
        continue
    peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
    while data := peer.recv(65536):
        peer.sendall(data)
'"#;

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let town = town().await;
    town.release("d1", ECHO, None).await.unwrap();
    town.ingress.attach("own.example.test", "one");
    let mut stream = TcpStream::connect(town.ingress.http()).await.unwrap();
    let head = "GET / HTTP/1.1\r\nHost: own.example.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream.write_all(b"there and back").await.unwrap();
    let mut back = [0; 14];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"there and back");
}

#[tokio::test]
async fn a_request_says_where_it_came_from() {
    const HEADERS: &str = r#"exec python3 -c '
import http.server, os
class Show(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200); self.end_headers()
        self.wfile.write(str(self.headers).lower().encode() + body)
http.server.HTTPServer(("", int(os.environ["PORT"])), Show).serve_forever()
'"#;
    let town = town().await;
    town.release("d1", HEADERS, None).await.unwrap();
    town.ingress.attach("own.example.test", "one");
    let url = format!("http://{}/", town.ingress.http());
    let asked =
        town.client().post(url).header("host", "own.example.test").header("x-forwarded-for", "192.0.2.1");
    let shown = asked.body("the body").send().await.unwrap().text().await.unwrap();
    let port = format!("x-forwarded-port: {}", town.ingress.http().port());
    let expected =
        ["host: own.example.test", "x-forwarded-for: 192.0.2.1, 127.0.0.1", "x-forwarded-proto: http", &port];
    for line in expected.into_iter().chain(["x-request-id: ", "x-request-start: t=", "the body"]) {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
}
