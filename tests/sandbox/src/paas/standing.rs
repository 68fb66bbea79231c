//! How the account and the region stand with the vendor: a free trial that is over, a region that is closed to it. No API says
//! so before a call is refused. Source: reference sheet 1.4.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::reply::Refusal;
use super::{Paas, REGION};

/// See the module's head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// What costs money is refused until the trial is stopped.
    #[serde(default)]
    pub trial_over: bool,
    /// Nothing of the region answers.
    #[serde(default)]
    pub region_disabled: bool,
}

impl Standing {
    fn refuses(self, method: &Method, path: &str) -> Option<Refusal> {
        if self.region_disabled {
            return Some(Refusal::Forbidden {
                error: format!("the region {REGION} is disabled for your account"),
                code: "region_disabled",
            });
        }
        (self.trial_over && costs(method, path)).then(|| Refusal::PaymentRequired {
            name: "free-trial-exceeded",
            error: "your free trial is over, add a payment method to go on".into(),
        })
    }
}

/// Whether the call makes something that is billed.
fn costs(method: &Method, path: &str) -> bool {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["v1", "apps"] | ["v1", "apps", _, "child_apps" | "addons" | "scale" | "run"] => {
            *method == Method::POST
        }
        ["v1", "apps", _, "addons", _] => *method == Method::PATCH,
        _ => false,
    }
}

/// Refuses what the account's standing does not allow.
pub(super) async fn check(Shared(paas): Shared<Arc<Paas>>, request: Request, next: Next) -> Response {
    match paas.standing().refuses(request.method(), request.uri().path()) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

impl Paas {
    /// How the account stands.
    pub fn standing(&self) -> Standing {
        self.state().standing
    }

    /// From now on it stands otherwise.
    pub fn set_standing(&self, standing: Standing) {
        self.state().standing = standing;
    }
}
