//! The one place that spawns. Every task has a name, ends when the sandbox ends, and is waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Tasks that carry on what is under way in the present state of the world: they end when another state takes its place.
/// All others (listeners, connections, processes) serve whatever the state is.
const OF_THE_STATE: [&str; 16] = [
    "backup",
    "certificate",
    "change_plan",
    "demolish",
    "deployment",
    "deployment_log",
    "feature",
    "git fetch",
    "git push",
    "github-run",
    "provision",
    "restart",
    "restoration",
    "retired containers",
    "scale",
    "ssh tunnel",
];

/// All tasks of one sandbox.
#[derive(Debug, Default, Clone)]
pub struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
    era: Arc<Mutex<Era>>,
}

/// The tasks of the present state.
#[derive(Debug, Default, Clone)]
struct Era {
    over: CancellationToken,
    tracker: TaskTracker,
}

impl Tasks {
    /// Runs `task` until it ends by itself or the sandbox stops (it is then dropped at its next await).
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        let era = OF_THE_STATE.contains(&name).then(|| self.era());
        let over = era.as_ref().map(|era| era.over.clone()).unwrap_or_default();
        let work = async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = over.cancelled() => {}
                () = task => {}
            }
        };
        let work = self.tracker.track_future(work.instrument(tracing::info_span!("task", name)));
        match era {
            Some(era) => drop(tokio::spawn(era.tracker.track_future(work))),
            None => drop(tokio::spawn(work)),
        }
    }

    /// Ends what is under way in the present state, and waits for it, at most `grace`. `false` if some did not end.
    pub(crate) async fn end_era(&self, grace: Duration) -> bool {
        let era = std::mem::take(&mut *self.era.lock().unwrap_or_else(PoisonError::into_inner));
        era.over.cancel();
        era.tracker.close();
        tokio::time::timeout(grace, era.tracker.wait()).await.is_ok()
    }

    /// Resolves when the sandbox is asked to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Asks every task to stop and waits for them, at most `grace`. `false` if some did not.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }

    fn era(&self) -> Era {
        self.era.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_era_ends_with_its_tasks_and_others_go_on() {
        let tasks = Tasks::default();
        let (held, alive) = (Arc::new(()), Arc::new(()));
        for (name, witness) in [("backup", Arc::clone(&held)), ("http", Arc::clone(&alive))] {
            tasks.spawn(name, async move {
                std::future::pending::<()>().await;
                drop(witness);
            });
        }
        assert!(tasks.end_era(Duration::from_secs(5)).await);
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&alive)), (1, 2));
        assert!(tasks.shut_down(Duration::from_secs(5)).await);
    }
}
