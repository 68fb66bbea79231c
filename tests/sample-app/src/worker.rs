//! The worker: it pings Redis, as a task queue would, and says something only when that changes.

use std::io::Write as _;
use std::time::Duration;

use crate::error::AppError;
use crate::settings::Settings;
use crate::signals;

const PERIOD: Duration = Duration::from_secs(5);
/// The client's own limits are longer than anybody waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Works until asked to stop. The first ping must succeed: a worker without its queue is no worker.
pub(crate) async fn work(settings: Settings) -> Result<(), AppError> {
    ping(&settings.redis).await?;
    tokio::select! {
        asked = signals::asked_to_stop() => asked,
        () = keep_pinging(&settings.redis) => Ok(()),
    }
}

async fn keep_pinging(redis: &redis::Client) {
    let mut was_well = true;
    loop {
        tokio::time::sleep(PERIOD).await;
        let outcome = ping(redis).await;
        if let Err(error) = &outcome
            && was_well
        {
            writeln!(std::io::stderr(), "worker: {}", error.chain()).ok();
        }
        was_well = outcome.is_ok();
    }
}

/// One question to Redis.
pub(crate) async fn ping(redis: &redis::Client) -> Result<(), AppError> {
    let asked = async {
        let mut connection = redis.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<()>(&mut connection).await
    };
    tokio::time::timeout(PATIENCE, asked).await.map_err(|_| AppError::RedisSilent)?.map_err(AppError::Redis)
}
