//! `reprise-sandbox exec` where the machine has no standard ports for it: a network namespace that has them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

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
        Command::new(env!("CARGO_BIN_EXE_reprise-sandbox"))
            .args(["exec", "--dir"])
            .arg(self.dir.path())
            .args(["--", "/bin/sh", "-c", script])
            .output()
            .unwrap()
    }
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
