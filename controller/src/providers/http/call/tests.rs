//! One exchange at a time against a real server.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, http::HeaderMap as AxumHeaders, response::IntoResponse, routing::any};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::providers::http::{CallObserver, Download, HttpShared, Limiter, Turn};

/// Serves `router` on a free port until the test ends.
pub(crate) async fn serve(router: Router) -> (String, tokio::task::JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}/v1"), server)
}

pub(crate) fn fast() -> Limiter {
    Limiter::per_minute(NonZeroU32::new(600_000).unwrap())
}

fn http(base: &str) -> Http {
    Http::new("test", base, fast(), HttpShared::default()).unwrap()
}

fn counted(status: StatusCode, headers: [(&'static str, &'static str); 1]) -> (Router, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let answer = move || {
        seen.fetch_add(1, Ordering::SeqCst);
        async move { (status, headers, "slow down") }
    };
    (Router::new().fallback(any(answer)), calls)
}

#[tokio::test]
async fn retry_after_reaches_the_classification() {
    let (router, calls) = counted(StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")]);
    let (base, _server) = serve(router).await;
    let error = Call::new(&http(&base), "x.get", Method::GET).segments(["x"]).answer().await.unwrap_err();
    assert_eq!(error.class(), Class::Throttled(Some(Duration::from_secs(7))));
    assert_eq!(error.body().unwrap().message, "slow down");
    assert_eq!(calls.load(Ordering::SeqCst), 1, "a long pause belongs to the queue");
}

#[tokio::test]
async fn too_many_requests_hold_the_whole_account_for_a_window_if_nothing_else_is_said() {
    let (router, _) = counted(StatusCode::TOO_MANY_REQUESTS, [("x-a", "b")]);
    let (base, _server) = serve(router).await;
    let limiter = Limiter::per(NonZeroU32::new(600_000).unwrap(), Duration::from_millis(500));
    let http = Http::new("test", &base, limiter.clone(), HttpShared::default()).unwrap();
    Call::new(&http, "x.get", Method::GET).answer().await.unwrap_err();
    assert!(limiter.acquire().await > Duration::from_millis(300));
}

#[test]
fn a_date_is_a_retry_after_too_and_has_a_limit() {
    let now = chrono::DateTime::parse_from_rfc3339("2026-08-28T07:00:00Z").unwrap().to_utc();
    let asked = |text: &'static str| {
        retry_after(
            &HeaderMap::from_iter([(reqwest::header::RETRY_AFTER, HeaderValue::from_static(text))]),
            now,
        )
    };
    assert_eq!(asked("Fri, 28 Aug 2026 07:00:09 GMT"), Some(Duration::from_secs(9)));
    assert_eq!(asked("Fri, 28 Aug 2026 06:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(asked("99999999"), Some(LONGEST_RETRY_AFTER));
    assert_eq!(asked("soon"), None);
}

#[test]
fn a_used_up_allowance_is_waited_for() {
    let now = chrono::DateTime::from_timestamp(1_787_000_000, 0).unwrap();
    let told = |remaining: &'static str| {
        let pairs = [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", "1787000030")];
        let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        retry_after(&pairs.into_iter().map(header).collect(), now)
    };
    assert_eq!(told("0"), Some(Duration::from_secs(30)));
    assert_eq!(told("1"), None);
}

#[tokio::test]
async fn reads_are_tried_again_and_writes_are_not() {
    let (router, calls) = counted(StatusCode::BAD_GATEWAY, [("x-a", "b")]);
    let (base, _server) = serve(router).await;
    let http = http(&base);
    let read = Call::new(&http, "x.get", Method::GET).segments(["x"]).answer().await.unwrap_err();
    assert_eq!(calls.swap(0, Ordering::SeqCst), 3);
    assert!(!read.outcome_unknown());
    let write =
        Call::new(&http, "x.create", Method::POST).segments(["x"]).json(&1).answer().await.unwrap_err();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(write.outcome_unknown());
}

#[tokio::test]
async fn an_id_cannot_escape_its_path_segment() {
    let echo = Router::new().fallback(any(|uri: axum::http::Uri| async move { uri.to_string() }));
    let (base, _server) = serve(echo).await;
    let http = http(&base);
    for id in ["a/b", "../apps", "a?x=1", "a#b", "a%2fb", "%2e%2e"] {
        let answer = Call::new(&http, "x.get", Method::GET).segments(["apps", id]).answer().await.unwrap();
        let path = String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!(path.matches('/').count(), 3, "{id} became {path}");
        assert!(!path.contains(['?', '#']), "{id} became {path}");
    }
    for id in ["", ".", ".."] {
        let error =
            Call::new(&http, "x.delete", Method::DELETE).segments(["apps", id]).answer().await.unwrap_err();
        assert!(matches!(error, ProviderError::Request { .. }), "{id:?}: {error}");
    }
}

#[tokio::test]
async fn a_decode_error_says_where() {
    #[derive(Debug, serde::Deserialize)]
    struct Item {
        #[expect(dead_code, reason = "only its type matters here")]
        size: u64,
    }
    let body = r#"{"items":[{"size":1},{"size":"big"}]}"#;
    let (base, _server) = serve(Router::new().fallback(any(move || async move { body }))).await;
    let call = Call::new(&http(&base), "x.create", Method::POST).segments(["x"]);
    let error = call.send::<std::collections::BTreeMap<String, Vec<Item>>>().await.unwrap_err();
    let ProviderError::Decode { at, .. } = &error else { panic!("{error}") };
    assert!(at.contains("items[1].size") || at.contains("[1].size"), "{at}");
    assert!(error.outcome_unknown(), "it was created, but we do not know what");
}

#[tokio::test]
async fn a_lost_answer_of_a_write_is_unknown_and_a_refused_connection_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut some = [0; 16];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut some).await.unwrap();
        // Received, perhaps done, and gone: no answer.
    });
    let http = http(&format!("http://{address}"));
    let post = || Call::new(&http, "x.create", Method::POST).segments(["x"]).json(&"body").answer();
    let lost = post().await.unwrap_err();
    assert!(lost.outcome_unknown(), "{lost:?}");
    server.join_next().await;
    let refused = post().await.unwrap_err();
    assert!(matches!(refused, ProviderError::Transport { kind: TransportKind::Connect, .. }), "{refused:?}");
    assert!(!refused.outcome_unknown());
}

#[tokio::test]
async fn a_body_is_bounded() {
    let (base, _server) = serve(Router::new().fallback(any(|| async { vec![b'x'; 5000] }))).await;
    let error = Call::new(&http(&base), "x.get", Method::GET).limit(4096).answer().await.unwrap_err();
    assert!(matches!(error, ProviderError::TooLarge { limit: 4096, .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_is_an_error_unless_it_is_awaited() {
    for status in [301, 302, 303, 307, 308] {
        let (router, _) =
            counted(StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere/77?sig=1")]);
        let (base, _server) = serve(router).await;
        let call = Call::new(&http(&base), "x.get", Method::GET).segments(["x"]);
        assert!(call.clone().answer().await.is_err());
        let answer = call.accept_redirect().answer().await.unwrap();
        assert_eq!(answer.location_id().as_deref(), Some("77"), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_within_its_origin_and_not_for_ever() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let moved = any(move |uri: axum::http::Uri, headers: AxumHeaders| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            assert_eq!(headers["authorization"], "Bearer t0ken");
            match uri.path() {
                "/v1/old" => {
                    (StatusCode::MOVED_PERMANENTLY, [("location", "/v1/id/7?page=2")]).into_response()
                }
                "/v1/id/7" => uri.query().unwrap_or_default().to_owned().into_response(),
                _ => (StatusCode::TEMPORARY_REDIRECT, [("location", "/v1/round")]).into_response(),
            }
        }
    });
    let (base, _server) = serve(Router::new().fallback(moved)).await;
    let http = http(&base);
    let call = |id: &str| {
        let call = Call::new(&http, "x.get", Method::GET).segments([id]);
        call.bearer(&SecretString::from("t0ken")).follow(|_| true)
    };
    assert_eq!(call("old").answer().await.unwrap().body, "page=2");
    assert_eq!(asked.swap(0, Ordering::SeqCst), 2);
    assert!(call("round").answer().await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 6, "five hops and no more");
}

#[tokio::test]
async fn nothing_is_asked_where_a_redirect_leaves_its_origin() {
    let (other, strangers) = counted(StatusCode::OK, [("x-a", "b")]);
    let (other, _other) = serve(other).await;
    let to =
        any(move || async move { (StatusCode::MOVED_PERMANENTLY, [("location", other)]).into_response() });
    let (base, _server) = serve(Router::new().fallback(to)).await;
    let call = Call::new(&http(&base), "x.get", Method::GET).bearer(&SecretString::from("t0ken"));
    let error = call.follow(|_| true).answer().await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::MOVED_PERMANENTLY));
    assert_eq!(strangers.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn no_credential_follows_a_redirect() {
    let seen = |headers: AxumHeaders| async move { format!("{:?}", headers.get("authorization")) };
    let (blob, _blob) = serve(Router::new().fallback(any(seen))).await;
    let to = format!("{blob}/zip?sig=secret");
    let (base, _server) = serve(Router::new().fallback(any(move || {
        let to = to.clone();
        async move { (StatusCode::FOUND, [("location", to)]).into_response() }
    })))
    .await;
    let http = http(&base);
    let token = SecretString::from("t0ken");
    let call = Call::new(&http, "x.get", Method::GET).segments(["x"]).bearer(&token).accept_redirect();
    let location = call.answer().await.unwrap().header("location").unwrap().to_owned();
    let turn = Turn::take(&http, "x.download").await.unwrap();
    let body = Download::open(&http, turn, "x.download", &location).await.unwrap().bytes(1000).await.unwrap();
    assert_eq!(body, "None");
}

#[tokio::test]
async fn cancelling_a_sent_write_leaves_it_in_doubt() {
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let hang = any(move || {
        stop.cancel();
        std::future::pending::<String>()
    });
    let (base, _server) = serve(Router::new().fallback(hang)).await;
    let http = http(&base).with_cancel(cancel);
    let error = Call::new(&http, "x.create", Method::POST).answer().await.unwrap_err();
    assert!(matches!(error, ProviderError::Cancelled { in_doubt: true, .. }), "{error:?}");
    let error = Call::new(&http, "x.create", Method::POST).answer().await.unwrap_err();
    assert!(!error.outcome_unknown(), "cancelled before it was sent: {error:?}");
}

#[tokio::test]
async fn errors_and_debug_output_hold_no_secret() {
    let (router, _) = counted(StatusCode::UNAUTHORIZED, [("x-a", "b")]);
    let (base, _server) = serve(router).await;
    let token = SecretString::from("t0p-s3cret");
    let call = Call::new(&http(&base), "x.get", Method::GET).segments(["x"]).bearer(&token);
    let shown = format!("{call:?} {:?}", call.clone().answer().await.unwrap_err());
    assert!(!shown.contains("t0p-s3cret"), "{shown}");
}

#[tokio::test]
async fn the_observer_hears_names_and_outcomes_only() {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let observer =
        CallObserver::new(move |report| ear.lock().unwrap().push((report.call, report.outcome.label())));
    let (router, _) = counted(StatusCode::NOT_FOUND, [("x-a", "b")]);
    let (base, _server) = serve(router).await;
    let http = Http::new("test", &base, fast(), HttpShared { observer, ..HttpShared::default() }).unwrap();
    let error = Call::new(&http, "x.get", Method::GET).answer().await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(*heard.lock().unwrap(), [("x.get", "not_found")]);
}

#[tokio::test]
async fn a_change_is_not_sent_by_who_may_act_no_more_and_a_look_is() {
    let (router, calls) = counted(StatusCode::OK, [("x-a", "b")]);
    let (base, _server) = serve(router).await;
    let over = Tenure::within(Arc::new(crate::runtime::tenure::tests::Over));
    let sent = |method: Method| Call::new(&http(&base), "x.put", method).repeatable().answer();
    let error = over.clone().scope(sent(Method::PUT)).await.unwrap_err();
    assert_eq!((error.class(), error.outcome_unknown()), (Class::Cancelled, false));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    over.scope(sent(Method::GET)).await.unwrap();
    sent(Method::PUT).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}
