//! How many objects are on their way at once: fewer as soon as a store asks for less, more again while it does not.
//!
//! Additive increase, multiplicative decrease, as in TCP. What counts is every answer of a store that asks for less, those included that
//! the SDK repeats by itself. The answers of those that were on their way at a decrease say nothing new and are not counted again. A
//! store that finds even one at a time too much gets pauses between them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::providers::s3::Pressure;

/// Successes after which one more is tried.
const STEP: usize = 32;
/// The first pause between two, where one at a time is too much; it doubles.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(2);

/// A semaphore whose width follows what the stores bear.
#[derive(Debug)]
pub struct Gate {
    permits: Arc<Semaphore>,
    stores: Vec<Pressure>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    width: usize,
    most: usize,
    /// Permits to be taken out of circulation as they come back.
    surplus: usize,
    /// Successes since the last change.
    good: usize,
    /// So many were on their way at the last decrease and have not come back.
    stale: usize,
    /// Answers that asked for less, by the last look.
    seen: u64,
    /// The pause between two.
    pause: Duration,
    /// When the next one may enter.
    next: Option<Instant>,
}

/// Leave to copy one object.
#[derive(Debug)]
pub struct Pass {
    permit: OwnedSemaphorePermit,
}

impl Gate {
    /// At most `most` at once, of work at these stores.
    pub fn new(most: usize, stores: Vec<Pressure>) -> Self {
        let most = most.max(1);
        let seen = stores.iter().map(Pressure::felt).sum();
        let state = State {
            width: most,
            most,
            surplus: 0,
            good: 0,
            stale: 0,
            seen,
            pause: Duration::ZERO,
            next: None,
        };
        Self { permits: Arc::new(Semaphore::new(most)), stores, state: Mutex::new(state) }
    }

    /// Waits for leave. `None` never happens: the gate is not closed.
    pub async fn enter(&self) -> Option<Pass> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        if let Some(turn) = self.turn() {
            tokio::time::sleep_until(turn).await;
        }
        Some(Pass { permit })
    }

    /// When the next one may go, if there are pauses.
    fn turn(&self) -> Option<Instant> {
        let mut state = self.state();
        if state.pause.is_zero() {
            return None;
        }
        let turn = state.next.unwrap_or_else(Instant::now).max(Instant::now());
        state.next = Some(turn + state.pause);
        Some(turn)
    }

    /// One is done.
    pub fn leave(&self, pass: Pass) {
        let felt = self.stores.iter().map(Pressure::felt).sum();
        let mut state = self.state();
        let throttled = felt > state.seen;
        state.seen = felt;
        if state.stale > 0 {
            state.stale -= 1;
        } else if throttled {
            state.decrease();
        } else if state.increase() {
            self.permits.add_permits(1);
        }
        if state.surplus > 0 {
            state.surplus -= 1;
            pass.permit.forget();
        }
        state.surplus -= self.permits.forget_permits(state.surplus);
    }

    /// How many at once by now.
    pub fn width(&self) -> usize {
        self.state().width
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn decrease(&mut self) {
        self.good = 0;
        self.stale = self.width - 1;
        if self.width == 1 {
            self.pause = (self.pause * 2).clamp(PAUSE, LONGEST);
            return;
        }
        let half = self.width / 2;
        self.surplus += self.width - half;
        self.width = half;
    }

    /// `true`: one more permit is to be made.
    fn increase(&mut self) -> bool {
        self.good += 1;
        if self.good < STEP {
            return false;
        }
        self.good = 0;
        if self.pause > PAUSE / 2 {
            self.pause = self.pause * 7 / 8;
        } else if self.width < self.most {
            (self.pause, self.next) = (Duration::ZERO, None);
            self.width += 1;
            if self.surplus == 0 {
                return true;
            }
            self.surplus -= 1;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn throttling_halves_it_once_for_all_that_is_under_way_and_patience_widens_it_again() {
        let store = Pressure::default();
        let gate = Gate::new(8, vec![store.clone()]);
        let mut inside = Vec::new();
        for _ in 0..8 {
            inside.push(gate.enter().await.unwrap());
        }
        // Each of the eight is told to slow down: that is one message.
        for left in (0..8).rev() {
            store.feel();
            gate.leave(inside.pop().unwrap());
            assert_eq!(gate.width(), 4);
            assert_eq!(gate.permits.available_permits(), 4usize.saturating_sub(left));
        }
        let pass = gate.enter().await.unwrap();
        store.feel();
        gate.leave(pass);
        assert_eq!((gate.width(), gate.permits.available_permits()), (2, 2));
        for _ in 0..300 {
            let pass = gate.enter().await.unwrap();
            gate.leave(pass);
        }
        assert_eq!((gate.width(), gate.permits.available_permits()), (8, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn where_one_at_a_time_is_too_much_there_are_pauses_which_end() {
        let store = Pressure::default();
        let gate = Gate::new(2, vec![store.clone()]);
        for _ in 0..6 {
            store.feel();
            let pass = gate.enter().await.unwrap();
            gate.leave(pass);
        }
        assert_eq!(gate.width(), 1);
        let since = Instant::now();
        for _ in 0..2 {
            let pass = gate.enter().await.unwrap();
            gate.leave(pass);
        }
        assert!(since.elapsed() >= PAUSE * 4, "{:?}", since.elapsed());
        for _ in 0..STEP * 40 {
            let pass = gate.enter().await.unwrap();
            gate.leave(pass);
        }
        assert_eq!((gate.width(), gate.permits.available_permits(), gate.turn()), (2, 2, None));
    }
}
