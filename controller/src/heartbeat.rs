//! A sign of life to an address outside: what notices when this machine, Prometheus and Alertmanager are all gone at once.
//!
//! It is sent only while the daemon does its work: the store answers and somebody looks at the schedules. A daemon that hangs
//! falls silent.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use crate::providers::http::{HttpShared, client};
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::runtime::clock::SKEW;
use crate::store::{StoreError, answered};

/// Between two signs. Real time: who expects them knows no other.
const EVERY: Duration = Duration::from_mins(1);
/// The same while the daemon is not awake.
const SOON: Duration = Duration::from_secs(2);
/// A look at the schedules that is older shows that the daemon does not work.
const AWAKE: TimeDelta = TimeDelta::minutes(5);

/// Sends signs of life to `url` until `stop` fires. The address is a secret: who knows it can pretend that we live.
pub async fn beat(tools: Arc<Tools>, url: SecretString, stop: CancellationToken) {
    loop {
        // Told to stop, it waits neither for the store nor for the address.
        let Some(signed) = stop.run_until_cancelled(sign(&tools, &url)).await else { return };
        let rest = match signed {
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
    let tick = answered(tools.store.last_tick()).await;
    send_if_awake(tick, tools.clock.now(), &tools.http, url).await
}

async fn send_if_awake(
    tick: Result<Option<DateTime<Utc>>, StoreError>,
    now: DateTime<Utc>,
    http: &HttpShared,
    url: &SecretString,
) -> Result<bool, String> {
    let tick = tick.map_err(|error| Chain(&error).to_string())?;
    if !tick.is_some_and(|tick| is_awake(tick, now)) {
        return Ok(false);
    }
    let told = |error: reqwest::Error| Chain(&error.without_url()).to_string();
    let ask = client(http).map_err(told)?.get(url.expose_secret()).timeout(http.read_timeout);
    let answer = ask.send().await.map_err(told)?;
    if answer.status().is_success() {
        Ok(true)
    } else {
        Err(format!("the address answers {}", answer.status()))
    }
}

/// A tick from a time to come was dated by a clock that was wrong: it would call a daemon awake that hangs, until that time.
fn is_awake(tick: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - tick < AWAKE && tick - now <= SKEW
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::StatusCode;
    use axum::{Router, routing::any};

    use super::*;
    use crate::providers::http::call::tests::serve;
    use crate::store::tests::lab;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    /// What becomes of a sign of life after this tick, and how many arrive where they answer so.
    async fn signed(
        tick: Result<Option<DateTime<Utc>>, StoreError>,
        status: StatusCode,
    ) -> (Result<bool, String>, usize) {
        let arrived = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&arrived);
        let answer = any(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(status)
        });
        let (base, _server) = serve(Router::new().fallback(answer)).await;
        let url = SecretString::from(format!("{base}/beat?secret"));
        let result = send_if_awake(tick, now(), &HttpShared::default(), &url).await;
        (result, arrived.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_sign_is_sent_while_somebody_looks_at_the_schedules_and_else_stays_away() {
        let ago = |minutes| Ok(Some(now() - TimeDelta::minutes(minutes)));
        assert_eq!(signed(ago(4), StatusCode::OK).await, (Ok(true), 1));
        assert_eq!(signed(ago(5), StatusCode::OK).await, (Ok(false), 0), "nobody looks any more");
        assert_eq!(signed(Ok(None), StatusCode::OK).await, (Ok(false), 0), "nobody ever has");
        assert_eq!(signed(ago(-4), StatusCode::OK).await, (Ok(true), 1), "clocks differ a little");
        assert_eq!(signed(ago(-60), StatusCode::OK).await, (Ok(false), 0), "that clock was wrong");
    }

    #[tokio::test]
    async fn a_sign_that_is_not_taken_is_told_without_its_address() {
        let (result, arrived) = signed(Ok(Some(now())), StatusCode::NOT_FOUND).await;
        let why = result.unwrap_err();
        assert!(arrived == 1 && why.contains("404") && !why.contains("secret"), "{why}");
    }

    #[tokio::test]
    async fn a_sign_stays_away_when_the_store_is_gone() {
        let lab = lab().await;
        let store = lab.store.clone();
        lab.end().await;
        let (result, arrived) = signed(answered(store.last_tick()).await, StatusCode::OK).await;
        assert!(result.is_err() && arrived == 0, "{result:?}");
    }
}
