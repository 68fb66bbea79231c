//! What is shown in place of an app that does not answer.

use super::*;

/// Status, what the platform says of the error, and the body.
async fn shown(town: &Town) -> (u16, Option<String>, String) {
    let answer = town.http("own.example.test").await;
    let said = answer.headers().get("x-scalingo-error").map(|said| said.to_str().unwrap().to_owned());
    if said.is_some() {
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    }
    (answer.status().as_u16(), said, answer.text().await.unwrap())
}

/// Four pages of the app's own, each with its variable for text.
fn pages() -> Pages {
    PAGE_VARIABLES.into_iter().map(|variable| (variable, bytes::Bytes::from(variable))).collect()
}

/// Serves `answer` to everybody, or cuts the connection if there is none.
fn says(answer: &str) -> String {
    format!(
        r#"exec python3 -c '
import os, socket
listener = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
while True:
    peer, _ = listener.accept()
    if b"GET" in peer.recv(65536):
        peer.sendall(b"{answer}")
    peer.close()
'"#
    )
}

fn bad(status: &str) -> String {
    says(&format!("HTTP/1.1 {status}\\r\\nContent-Length: 4\\r\\n\\r\\nmine"))
}

#[tokio::test]
async fn each_outage_has_its_status_and_the_platforms_page_or_the_apps_own() {
    let town = town().await;
    town.ingress.attach("own.example.test", "one");
    let check = async |status: u16, words: &str, variable: &str| {
        town.ingress.set_pages("one", Pages::new());
        let (is, said, page) = shown(&town).await;
        assert_eq!((is, said.as_deref()), (status, Some(words)));
        assert!(page.starts_with("<!DOCTYPE html>") && page.contains(words), "{page}");
        town.ingress.set_pages("one", pages());
        assert_eq!(shown(&town).await, (status, said, variable.to_owned()));
    };
    check(503, "the application is stopped", "SCALINGO_STOPPED_PAGE_URL").await;
    town.release("d1", &says(""), None).await.unwrap();
    check(502, "the application broke the connection", "SCALINGO_APP_ERROR_URL").await;
    let first_byte = Duration::from_secs(1);
    town.world.limit(Limits { first_byte, ..Limits::default() });
    town.release("d2", &server("False", ""), None).await.unwrap();
    check(504, "the application did not answer in time", "SCALINGO_TIMEOUT_ERROR_URL").await;
    town.world.limit(Limits::default());
    worker_only(&town).await;
    check(503, "the application has no running web container", "SCALINGO_NO_FRONT_ERROR_URL").await;
}

/// A release without `web`: the maintenance that the vendor describes.
async fn worker_only(town: &Town) {
    let dir = town.world.folder("apps/one/d3").unwrap();
    let procfile = BTreeMap::from([("worker".to_owned(), "exec sleep 600".to_owned())]);
    let release = Release { deployment: "d3".into(), dir, procfile };
    let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
    let formation = Formation::from([("worker".to_owned(), 1)]);
    town.runner.release("one", release, &formation, &BTreeMap::new(), &log).await.unwrap();
}

#[tokio::test]
async fn what_the_app_says_itself_is_replaced_only_where_a_page_is_set() {
    let town = town().await;
    town.ingress.attach("own.example.test", "one");
    for (deployment, status, variable) in [
        ("d1", "502 Bad Gateway", Some("SCALINGO_APP_ERROR_URL")),
        ("d2", "504 Gateway Timeout", Some("SCALINGO_TIMEOUT_ERROR_URL")),
        ("d3", "500 Internal Server Error", None),
    ] {
        town.release(deployment, &bad(status), None).await.unwrap();
        let number = status[..3].parse::<u16>().unwrap();
        town.ingress.set_pages("one", Pages::new());
        assert_eq!(shown(&town).await, (number, None, "mine".to_owned()));
        town.ingress.set_pages("one", pages());
        let (is, _, page) = shown(&town).await;
        assert_eq!((is, page.as_str()), (number, variable.unwrap_or("mine")));
    }
}
