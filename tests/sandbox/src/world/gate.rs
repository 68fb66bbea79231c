//! Whether the world's services answer: always, but for the moments in which the world as a whole is looked at or replaced.

use std::sync::Arc;

use tokio::sync::watch;

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    /// New calls wait, those in flight end.
    Held,
    /// Calls are refused, those in flight are cut short.
    Shut,
}

/// See the module's head.
#[derive(Debug)]
pub struct Gate {
    door: watch::Sender<Door>,
    inside: Arc<watch::Sender<usize>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { door: watch::Sender::new(Door::Open), inside: Arc::new(watch::Sender::new(0)) }
    }
}

/// One call that is inside.
struct Inside(Arc<watch::Sender<usize>>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Gate {
    /// Carries a call out. `None`: the world is being replaced, and the call was refused or cut short.
    pub async fn pass<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let mut door = self.door.subscribe();
        let now = *door.wait_for(|door| *door != Door::Held).await.ok()?;
        if now == Door::Shut {
            return None;
        }
        self.inside.send_modify(|count| *count += 1);
        let _inside = Inside(Arc::clone(&self.inside));
        tokio::select! {
            answer = call => Some(answer),
            _ = door.wait_for(|door| *door == Door::Shut) => None,
        }
    }

    /// Lets new calls wait, and waits for those in flight, but not longer than `patience`.
    pub(crate) async fn hold(&self, patience: std::time::Duration) {
        self.door.send_replace(Door::Held);
        self.drained(patience).await;
    }

    /// Refuses every call, also those in flight.
    pub(crate) async fn shut(&self, patience: std::time::Duration) {
        self.door.send_replace(Door::Shut);
        self.drained(patience).await;
    }

    /// As always.
    pub(crate) fn open(&self) {
        self.door.send_replace(Door::Open);
    }

    async fn drained(&self, patience: std::time::Duration) {
        let mut inside = self.inside.subscribe();
        let drained = tokio::time::timeout(patience, inside.wait_for(|count| *count == 0)).await;
        if drained.is_err() {
            tracing::warn!("some calls do not end");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_shut_gate_cuts_calls_in_flight_and_refuses_new_ones() {
        let gate = Gate::default();
        let (cut, ()) = tokio::join!(gate.pass(std::future::pending::<()>()), gate.shut(SOON));
        assert_eq!(cut, None);
        assert_eq!(gate.pass(async { 1 }).await, None);
        gate.open();
        assert_eq!(gate.pass(async { 1 }).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_gate_lets_calls_wait() {
        let gate = Gate::default();
        gate.hold(SOON).await;
        let opening = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            gate.open();
        };
        assert_eq!(tokio::join!(gate.pass(async { 1 }), opening).0, Some(1));
    }
}
