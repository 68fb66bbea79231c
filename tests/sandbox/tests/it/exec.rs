//! `reprise-sandbox exec`: by root and by others, and where the machine has no standard ports for it: a network namespace that
//! has them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::life::{self, World};

/// A folder that looks like a world's, whose door for HTTP is a server of this test.
struct Stage {
    dir: tempfile::TempDir,
    port: u16,
}

fn stage() -> Stage {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _asked = stream.read(&mut [0; 1_024]);
            let _sent = stream.write_all(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        }
    });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hosts"), "127.0.0.1 localhost\n127.0.0.1 app.example.test\n").unwrap();
    let doors =
        format!(r#"{{"address":null,"ports":{{"80":{port}}},"name_servers":{{"127.78.0.1":{port}}}}}"#);
    std::fs::write(dir.path().join("doors.json"), doors).unwrap();
    Stage { dir, port }
}

impl Stage {
    fn exec(&self, script: &str) -> Output {
        exec(by_us(), self.dir.path(), script)
    }
}

fn by_us() -> Command {
    Command::new(env!("CARGO_BIN_EXE_reprise-sandbox"))
}

fn exec(mut program: Command, dir: &Path, script: &str) -> Output {
    program.args(["exec", "--dir"]).arg(dir).args(["--", "/bin/sh", "-c", script]).output().unwrap()
}

/// Whether somebody who is not root may have namespaces here. Where that is so of no user there is nothing to show, and somebody must
/// have said that it is known: a test that passes in silence shows nothing for ever.
fn nobody_may() -> bool {
    let root = life::is_root();
    let mut probe = Command::new(if root { "setpriv" } else { "unshare" });
    if root {
        probe.args(["--reuid", "65534", "--clear-groups", "unshare"]);
    }
    let may =
        probe.args(["-Urmn", "true"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    let known = std::env::var("ALLOW_NO_NAMESPACES").is_ok_and(|value| value == "1");
    assert!(may || known, "users may have no namespaces here: allow them, or say ALLOW_NO_NAMESPACES=1");
    may
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_name_of_the_world_answers_on_its_standard_port() {
    let output = stage().exec("curl -sS --max-time 10 http://app.example.test/");
    assert_eq!(text(&output), "hello", "{output:?}");
}

#[test]
fn a_name_server_has_port_53_of_its_own_address() {
    let output = stage().exec("curl -sS --max-time 10 http://127.78.0.1:53/");
    assert_eq!(text(&output), "hello", "{output:?}");
}

#[test]
fn the_machines_own_ports_are_reached_under_their_numbers() {
    let stage = stage();
    let output = stage.exec(&format!("curl -sS --max-time 10 http://127.0.0.1:{}/", stage.port));
    assert_eq!(text(&output), "hello", "{output:?}");
}

#[test]
fn the_programs_exit_code_and_death_come_out() {
    let stage = stage();
    assert_eq!(stage.exec("exit 7").status.code(), Some(7));
    assert_eq!(stage.exec("kill -KILL $$").status.code(), Some(137));
}

/// What `psql` by the database's own name is told, in the world and beside it.
async fn asked(world: &World, program: impl Fn() -> Command) {
    let url = world.variable("apilos-siap", "SCALINGO_POSTGRESQL_URL").await;
    let sql = |url: &str| format!("psql -X -w -A -t -c 'SELECT 6 * 7' '{url}'");
    let inside = exec(program(), &world.folder(), &sql(&url));
    assert_eq!(text(&inside), "42\n", "{inside:?}");
    // Below a shell that ends, and by a program that it starts.
    let nested = exec(program(), &world.folder(), &format!("sh -c \"{}\"; true", sql(&url)));
    assert_eq!(text(&nested), "42\n", "{nested:?}");

    let host = url.split_once('@').unwrap().1.split_once(':').unwrap().0;
    let outside = sql(&url.replace(host, "127.0.0.1"));
    let outside = Command::new("/bin/sh").args(["-c", &outside]).output().unwrap();
    assert!(!outside.status.success() && text(&outside).is_empty(), "a foreign process came in: {outside:?}");
}

#[tokio::test]
async fn a_database_is_reached_by_its_name_and_only_in_the_world() {
    asked(&life::up(), by_us).await;
}

#[tokio::test]
async fn somebody_who_is_not_root_has_a_world_and_reaches_its_databases_by_name() {
    if nobody_may() {
        asked(&life::up_of_nobody(), life::as_nobody).await;
    }
}

#[test]
fn somebody_who_is_not_root_has_the_names_and_the_standard_ports() {
    if !nobody_may() {
        return;
    }
    let stage = stage();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(stage.dir.path(), open).unwrap();
    let output =
        exec(life::as_nobody(), stage.dir.path(), "curl -sS --max-time 10 http://app.example.test/; exit 3");
    assert_eq!((text(&output).as_str(), output.status.code()), ("hello", Some(3)), "{output:?}");
}

#[test]
fn where_namespaces_are_not_allowed_it_says_what_to_do_and_answers_125() {
    let stage = stage();
    let unshare = stage.dir.path().join("unshare");
    std::fs::write(
        &unshare,
        "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n",
    )
    .unwrap();
    std::fs::set_permissions(&unshare, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut program = by_us();
    let path = std::env::var("PATH").unwrap();
    program.env("PATH", format!("{}:{path}", stage.dir.path().display()));
    let output = exec(program, stage.dir.path(), "echo it ran");
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(125), ""), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    for word in ["namespaces are not allowed here", "run as root", "kernel.unprivileged_userns_clone=1"] {
        assert!(said.contains(word), "{said}");
    }
}
