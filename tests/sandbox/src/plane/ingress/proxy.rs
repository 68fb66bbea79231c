//! Carries a request to one of an app's web containers and its answer back, without holding either body.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use chrono::{DateTime, Utc};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::bodies::{Paced, Upload, silence};
use super::outage::Outage;
use super::routes::{Asked, Decision, OwnPorts, Scheme};
use super::{Ingress, sticky};
use crate::plane::runner::{CONTAINERS, WEB};

/// As documented: a request has at most 75 MB.
const REQUEST_LIMIT: u64 = 75 * 1024 * 1024;
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Headers that are about one connection, not about the message.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl Ingress {
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        scheme: Scheme,
    ) -> Response<Body> {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        // An absolute request target has its own host, and it wins.
        let Some(host) =
            request.uri().authority().map(ToString::to_string).or_else(|| host.map(str::to_owned))
        else {
            return plain(StatusCode::BAD_REQUEST, "no host was named");
        };
        let path_and_query = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let ports = OwnPorts { http: self.http().port(), https: self.https().port() };
        let decision = self.table().decide(Asked { scheme, host: &host, path_and_query }, ports);
        match decision {
            Decision::Unknown => plain(StatusCode::NOT_FOUND, "no application has this host"),
            Decision::Redirect(location) => redirect(&location),
            Decision::Forward { app, hsts } => {
                let mut answer = self.forward(&app, &host, request, peer, scheme).await;
                if hsts {
                    answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
                }
                answer
            }
        }
    }

    async fn forward(
        &self,
        app: &str,
        host: &str,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        scheme: Scheme,
    ) -> Response<Body> {
        if content_length(&request) > REQUEST_LIMIT {
            return too_large();
        }
        let (settings, limits) = (self.table().settings(app), self.world.limits());
        let pages = self.table().pages(app);
        let upgrade = request.headers().get(header::UPGRADE).cloned();
        let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        let (upload, progress) = Upload::new(body, REQUEST_LIMIT);
        let request = self.prepare(Request::from_parts(parts, Body::new(upload)), peer, scheme, upgrade);
        let mark = settings.sticky.then(|| sticky::asked(request.headers())).flatten();
        let line = settings.logged.then(|| Told::new(&request, host, peer, scheme));
        let answer = tokio::select! {
            answer = self.carry(app, request, mark.as_deref()) => answer,
            () = silence(progress.clone(), limits.first_byte) => Err(Broken::Late),
        };
        let answer = match answer {
            Ok((answer, port)) => {
                let mut answer = self.finish(answer, client_side, limits.gap);
                let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
                let cookie = sticky::cookie(app, port, name, self.world.clock.wall());
                if let Some(cookie) = cookie.filter(|_| settings.sticky) {
                    answer.headers_mut().append(header::SET_COOKIE, cookie);
                }
                answer
            }
            Err(_) if progress.borrow().too_large => too_large(),
            Err(broken) => self.outage(app, &broken).answered(&pages),
        };
        // What the app itself says of this kind is shown as if it had said nothing, where its owner has set a page for it.
        let own = Outage::told_by(answer.status()).and_then(|outage| outage.page(&pages));
        let answer = own.unwrap_or(answer);
        if let Some(line) = line {
            self.runner.note(app, "router", &line.with(answer.status()));
        }
        answer
    }

    /// What it is that keeps `app` from answering.
    fn outage(&self, app: &str, broken: &Broken) -> Outage {
        match broken {
            Broken::By(_) => return Outage::Broken,
            Broken::Late => return Outage::Late,
            Broken::NoContainer => {}
        }
        let containers = self.runner.containers(app);
        if containers.iter().any(|one| one.kind == WEB) {
            Outage::Crashed
        } else if containers.iter().any(|one| one.state == "running") {
            Outage::NoFront
        } else {
            Outage::Stopped
        }
    }

    /// The answer of one container, and its port. What only reads is asked again of another one where the first was retired before
    /// it took the request: a deployment that switches loses no reader.
    async fn carry(
        &self,
        app: &str,
        request: Request<Body>,
        mark: Option<&str>,
    ) -> Result<(Response<Incoming>, u16), Broken> {
        let again = copy_of_read(&request);
        match (self.ask(app, request, mark).await, again) {
            (Err(Broken::By(port)), Some(again)) if !self.runner.web_ports(app).contains(&port) => {
                self.ask(app, again, mark).await
            }
            (answer, _) => answer,
        }
    }

    async fn ask(
        &self,
        app: &str,
        request: Request<Body>,
        mark: Option<&str>,
    ) -> Result<(Response<Incoming>, u16), Broken> {
        let (stream, port) = self.connect(app, mark).await.ok_or(Broken::NoContainer)?;
        let answer = self.exchange(stream, request).await.map_err(|error| {
            tracing::debug!(%error, app, "an exchange with an app broke");
            Broken::By(port)
        })?;
        Ok((answer, port))
    }

    /// A connection to one of the app's web containers: the one with the `mark`, else one at random; the others are tried if it has
    /// just gone.
    async fn connect(&self, app: &str, mark: Option<&str>) -> Option<(TcpStream, u16)> {
        let ports = self.runner.web_ports(app);
        let known = mark.and_then(|mark| ports.iter().position(|port| sticky::mark(app, *port) == mark));
        let any = || usize::try_from(rand::random::<u32>()).unwrap_or(0) % ports.len().max(1);
        let first = known.unwrap_or_else(any);
        for port in ports.iter().cycle().skip(first).take(ports.len()) {
            if let Ok(stream) = TcpStream::connect((CONTAINERS, *port)).await {
                stream.set_nodelay(true).ok();
                return Some((stream, *port));
            }
        }
        None
    }

    async fn exchange(&self, stream: TcpStream, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        self.world.tasks.spawn("ingress upstream", async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to an app broke");
            }
        });
        sender.send_request(request).await
    }

    /// The request as the container sees it: its host as asked, and who asked.
    fn prepare(
        &self,
        request: Request<Body>,
        peer: SocketAddr,
        scheme: Scheme,
        upgrade: Option<HeaderValue>,
    ) -> Request<Body> {
        let (mut parts, body) = request.into_parts();
        let headers = &mut parts.headers;
        if let Some(authority) =
            parts.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok())
        {
            headers.insert(header::HOST, authority);
        }
        if let Some(Ok(path)) = parts.uri.path_and_query().map(|path| path.as_str().parse()) {
            parts.uri = path;
        }
        for name in &HOP_BY_HOP {
            headers.remove(name);
        }
        if let Some(upgrade) = upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, upgrade);
        }
        let port = match scheme {
            Scheme::Http => self.http().port(),
            Scheme::Https => self.https().port(),
        };
        let chain = headers.get("x-forwarded-for").and_then(|chain| chain.to_str().ok());
        let chain = forwarded_for(chain, peer.ip());
        let id = headers.get("x-request-id").cloned().or_else(|| value(&uuid::Uuid::new_v4().to_string()));
        let said = [
            ("x-forwarded-for", value(&chain)),
            ("x-real-ip", value(&peer.ip().to_string())),
            ("x-forwarded-proto", value(scheme.name())),
            ("x-forwarded-port", value(&port.to_string())),
            ("x-request-id", id),
            ("x-request-start", value(&began(self.world.clock.wall()))),
        ];
        for (name, value) in said {
            value.map(|value| headers.insert(name, value));
        }
        Request::from_parts(parts, body)
    }

    /// The answer for the client; after `101 Switching Protocols` bytes go both ways until one side ends.
    fn finish(
        &self,
        mut answer: Response<Incoming>,
        client_side: Option<hyper::upgrade::OnUpgrade>,
        gap: Duration,
    ) -> Response<Body> {
        let switching = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if let (true, Some(client_side)) = (switching, client_side) {
            let app_side = hyper::upgrade::on(&mut answer);
            self.world.tasks.spawn("ingress upgraded", async move {
                let Ok((client, app)) = tokio::try_join!(client_side, app_side) else { return };
                let (mut client, mut app) = (TokioIo::new(client), TokioIo::new(app));
                tokio::io::copy_bidirectional(&mut client, &mut app).await.map(drop).ok();
            });
        } else {
            for name in &HOP_BY_HOP {
                answer.headers_mut().remove(name);
            }
        }
        answer.map(|body| Body::new(Paced::new(body, gap)))
    }
}

/// Why a request has no answer.
enum Broken {
    NoContainer,
    /// The container behind this port broke the connection.
    By(u16),
    /// It did not answer in time.
    Late,
}

/// A request as the app's log tells it. Without the query: a secret may be in it.
struct Told {
    line: String,
    begun: tokio::time::Instant,
}

impl Told {
    fn new(request: &Request<Body>, host: &str, peer: SocketAddr, scheme: Scheme) -> Self {
        let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        let line = format!(
            "method={} path=\"{}\" host={host} request_id={id} from=\"{}\" protocol={}",
            request.method(),
            request.uri().path(),
            peer.ip(),
            scheme.name()
        );
        Self { line, begun: tokio::time::Instant::now() }
    }

    fn with(&self, status: StatusCode) -> String {
        let seconds = self.begun.elapsed().as_secs_f64();
        format!("{} status={} duration={seconds:.3}s", self.line, status.as_u16())
    }
}

/// The same request once more, if it has no effect and no body.
fn copy_of_read(request: &Request<Body>) -> Option<Request<Body>> {
    let reads = request.method().is_safe() && request.body().is_end_stream();
    if !reads || request.headers().contains_key(header::UPGRADE) {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    Some(copy)
}

/// When a request came, as the vendor's front says it: `t=1693406590.527`.
fn began(now: DateTime<Utc>) -> String {
    format!("t={}.{:03}", now.timestamp(), now.timestamp_subsec_millis())
}

fn forwarded_for(chain: Option<&str>, peer: IpAddr) -> String {
    chain.map_or_else(|| peer.to_string(), |chain| format!("{chain}, {peer}"))
}

fn content_length(request: &Request<Incoming>) -> u64 {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn too_large() -> Response<Body> {
    plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large")
}

fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

fn redirect(location: &str) -> Response<Body> {
    let mut answer = plain(StatusCode::MOVED_PERMANENTLY, "moved");
    if let Some(location) = value(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut answer = Response::new(Body::from(format!("{}: {text}\n", status.as_u16())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
