//! What is answered in place of an app that does not: the platform's page, or the one that its owner has set.
//!
//! Source: the vendor's documentation, "Custom Error and Maintenance Pages" and "Routing": the cases, their statuses, the variables,
//! the header. The words of the platform's own page are ours.

use std::collections::BTreeMap;

use axum::body::Body;
use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

/// Pages of an app's own, by the variable that names their address.
pub type Pages = BTreeMap<&'static str, Bytes>;

/// The variables that name them.
pub const VARIABLES: [&str; 4] = [NO_FRONT, STOPPED, APP_ERROR, TIMEOUT];
const NO_FRONT: &str = "SCALINGO_NO_FRONT_ERROR_URL";
const STOPPED: &str = "SCALINGO_STOPPED_PAGE_URL";
const APP_ERROR: &str = "SCALINGO_APP_ERROR_URL";
const TIMEOUT: &str = "SCALINGO_TIMEOUT_ERROR_URL";

/// Why an app does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    /// No `web` container runs, but others do.
    NoFront,
    /// Nothing runs.
    Stopped,
    /// It has `web` containers, of which none takes requests.
    Crashed,
    /// It cut the connection.
    Broken,
    /// It did not answer in time.
    Late,
}

impl Outage {
    /// What an answer of the app itself stands for, if for one of these.
    pub(super) fn told_by(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::BAD_GATEWAY => Some(Self::Broken),
            StatusCode::GATEWAY_TIMEOUT => Some(Self::Late),
            _ => None,
        }
    }

    /// The page that the app's owner has set for it.
    pub(super) fn page(self, own: &Pages) -> Option<Response<Body>> {
        let variable = match self {
            Self::NoFront => NO_FRONT,
            Self::Stopped => STOPPED,
            Self::Crashed | Self::Broken => APP_ERROR,
            Self::Late => TIMEOUT,
        };
        own.get(variable).map(|page| self.answer(Body::from(page.clone())))
    }

    /// That page, or the platform's.
    pub(super) fn answered(self, own: &Pages) -> Response<Body> {
        self.page(own).unwrap_or_else(|| {
            let (title, words) = (self.title(), self.words());
            let status = self.status().as_u16();
            let page = format!(
                "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
                 <body><h1>{title}</h1><p>{status}: {words}.</p></body></html>\n"
            );
            self.answer(Body::from(page))
        })
    }

    fn answer(self, body: Body) -> Response<Body> {
        let mut answer = Response::new(body);
        *answer.status_mut() = self.status();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert("x-scalingo-error", HeaderValue::from_static(self.words()));
        answer
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NoFront | Self::Stopped | Self::Crashed => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::BAD_GATEWAY,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::NoFront | Self::Stopped => "Application stopped",
            Self::Crashed | Self::Broken => "Application error",
            Self::Late => "Application timeout",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::NoFront => "the application has no running web container",
            Self::Stopped => "the application is stopped",
            Self::Crashed => "the application has no web container that takes requests",
            Self::Broken => "the application broke the connection",
            Self::Late => "the application did not answer in time",
        }
    }
}
