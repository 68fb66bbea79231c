//! The account at the platform, entered from the configuration alone: there are no records yet when a first plan is drawn up.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::{Config, ScalingoSettings};
use crate::providers::http::{HttpSetupError, HttpShared, Limiter};
use crate::providers::scalingo::{Scalingo, ScalingoConfig};

/// An account with its budget of requests, which all regions share.
#[derive(Debug)]
pub struct Account {
    settings: ScalingoSettings,
    limiter: Limiter,
    http: HttpShared,
}

impl Account {
    /// The configured account; `None` where none is.
    pub fn new(config: &Config, http: HttpShared) -> Option<Self> {
        let settings = config.scalingo.clone()?;
        let budget = NonZeroU32::new(config.dev.requests_per_minute).unwrap_or(NonZeroU32::MIN);
        let minute = Duration::from_mins(1).div_f64(config.dev.time_scale.max(1.0));
        Some(Self { settings, limiter: Limiter::per(budget, minute), http })
    }

    /// The account in a region; nothing is sent.
    pub(super) fn region(&self, region: &str) -> Result<Scalingo, HttpSetupError> {
        let config = ScalingoConfig {
            auth_url: self.settings.auth_url.clone(),
            api_url: self.settings.api_url.clone(),
            db_url: self.settings.db_url.clone(),
            region: region.to_owned(),
            token: self.settings.token.clone(),
        };
        Scalingo::new(config, self.limiter.clone(), self.http.clone())
    }
}
