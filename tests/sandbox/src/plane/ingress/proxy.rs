//! Carries a request to one of an app's web containers and its answer back, without holding either body.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Ingress;
use super::routes::{Asked, Decision, OwnPorts, Scheme};
use crate::plane::runner::CONTAINERS;

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
                let mut answer = self.forward(&app, request, peer, scheme).await;
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
        mut request: Request<Incoming>,
        peer: SocketAddr,
        scheme: Scheme,
    ) -> Response<Body> {
        if content_length(&request) > REQUEST_LIMIT {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
        }
        let upgrade = request.headers().get(header::UPGRADE).cloned();
        let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let request = self.prepare(request, peer, scheme, upgrade);
        let answer = tokio::select! {
            answer = self.carry(app, request) => answer,
            () = tokio::time::sleep(self.world.limits().first_byte) => return plain(StatusCode::GATEWAY_TIMEOUT, "the application did not answer in time"),
        };
        match answer {
            Ok(answer) => self.finish(answer, client_side),
            Err(Broken::NoContainer) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "the application has no running web container")
            }
            Err(Broken::By(_)) => plain(StatusCode::BAD_GATEWAY, "the application broke the connection"),
        }
    }

    /// The answer of one container. What only reads is asked again of another one where the first was retired before it took
    /// the request: a deployment that switches loses no reader.
    async fn carry(&self, app: &str, request: Request<Body>) -> Result<Response<Incoming>, Broken> {
        let again = copy_of_read(&request);
        match (self.ask(app, request).await, again) {
            (Err(Broken::By(port)), Some(again)) if !self.runner.web_ports(app).contains(&port) => {
                self.ask(app, again).await
            }
            (answer, _) => answer,
        }
    }

    async fn ask(&self, app: &str, request: Request<Body>) -> Result<Response<Incoming>, Broken> {
        let (stream, port) = self.connect(app).await.ok_or(Broken::NoContainer)?;
        self.exchange(stream, request).await.map_err(|error| {
            tracing::debug!(%error, app, "an exchange with an app broke");
            Broken::By(port)
        })
    }

    /// A connection to one of the app's web containers, chosen at random; the others are tried if it has just gone.
    async fn connect(&self, app: &str) -> Option<(TcpStream, u16)> {
        let ports = self.runner.web_ports(app);
        let first = usize::try_from(rand::random::<u32>()).unwrap_or(0) % ports.len().max(1);
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
        request: Request<Incoming>,
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
        ];
        for (name, value) in said {
            value.map(|value| headers.insert(name, value));
        }
        Request::from_parts(parts, Body::new(body))
    }

    /// The answer for the client; after `101 Switching Protocols` bytes go both ways until one side ends.
    fn finish(
        &self,
        mut answer: Response<Incoming>,
        client_side: Option<hyper::upgrade::OnUpgrade>,
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
        answer.map(Body::new)
    }
}

/// Why a request has no answer.
enum Broken {
    NoContainer,
    /// The container behind this port broke the connection.
    By(u16),
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

fn forwarded_for(chain: Option<&str>, peer: IpAddr) -> String {
    chain.map_or_else(|| peer.to_string(), |chain| format!("{chain}, {peer}"))
}

fn content_length(request: &Request<Incoming>) -> u64 {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
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
