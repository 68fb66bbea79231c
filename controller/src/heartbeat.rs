//! A sign of life to an address outside: what notices when this machine, Prometheus and Alertmanager are all gone at once.
//!
//! It is sent only while the daemon does its work: the store answers and somebody looks at the schedules. A daemon that hangs
//! falls silent.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use crate::providers::http::client;
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;

/// Between two signs. Real time: who expects them knows no other.
const EVERY: Duration = Duration::from_mins(1);
/// The same while the daemon is not awake.
const SOON: Duration = Duration::from_secs(2);
/// A look at the schedules that is older shows that the daemon does not work.
const AWAKE: TimeDelta = TimeDelta::minutes(5);

/// Sends signs of life to `url` until `stop` fires. The address is a secret: who knows it can pretend that we live.
pub async fn beat(tools: Arc<Tools>, url: SecretString, stop: CancellationToken) {
    loop {
        let rest = match sign(&tools, &url).await {
            Ok(true) => EVERY,
            // A daemon that has just started is awake soon; of one that is stuck, the log and an alert tell elsewhere.
            Ok(false) => SOON,
            Err(why) => {
                tracing::warn!(why, "no sign of life was sent");
                EVERY
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() {
            return;
        }
    }
}

/// Sends one; `false`: there is nothing to tell, since nobody looks at the schedules.
async fn sign(tools: &Tools, url: &SecretString) -> Result<bool, String> {
    let tick = tools.store.last_tick().await.map_err(|error| Chain(&error).to_string())?;
    let now = tools.clock.now();
    if tick.is_none_or(|tick| now - tick >= AWAKE) {
        return Ok(false);
    }
    let told = |error: reqwest::Error| Chain(&error.without_url()).to_string();
    let ask = client(&tools.http).map_err(told)?.get(url.expose_secret()).timeout(tools.http.read_timeout);
    let answer = ask.send().await.map_err(told)?;
    if answer.status().is_success() {
        Ok(true)
    } else {
        Err(format!("the address answers {}", answer.status()))
    }
}
