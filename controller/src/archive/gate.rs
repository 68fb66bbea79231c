//! How many objects are on their way at once: fewer as soon as a store asks for less, more again while it does not.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Successes after which one more is tried.
const STEP: usize = 32;

/// A semaphore whose width follows what the stores bear.
#[derive(Debug)]
pub struct Gate {
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    width: usize,
    most: usize,
    /// Permits to be taken out of circulation as they come back.
    surplus: usize,
    good: usize,
}

/// Leave to copy one object.
#[derive(Debug)]
pub struct Pass {
    permit: OwnedSemaphorePermit,
}

impl Gate {
    /// At most `most` at once.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            permits: Arc::new(Semaphore::new(most)),
            state: Mutex::new(State { width: most, most, surplus: 0, good: 0 }),
        }
    }

    /// Waits for leave. `None` never happens: the gate is not closed.
    pub async fn enter(&self) -> Option<Pass> {
        Arc::clone(&self.permits).acquire_owned().await.ok().map(|permit| Pass { permit })
    }

    /// One is done; `throttled` says that a store asked for less.
    pub fn leave(&self, pass: Pass, throttled: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if throttled {
            let half = (state.width / 2).max(1);
            state.surplus += state.width - half;
            state.width = half;
            state.good = 0;
        } else {
            state.good += 1;
            if state.good >= STEP && state.width < state.most {
                state.good = 0;
                state.width += 1;
                if state.surplus > 0 {
                    state.surplus -= 1;
                } else {
                    self.permits.add_permits(1);
                }
            }
        }
        if state.surplus > 0 {
            state.surplus -= 1;
            pass.permit.forget();
        }
    }

    /// How many at once by now.
    pub fn width(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn throttling_halves_it_and_patience_widens_it_again() {
        let gate = Gate::new(8);
        let mut inside = Vec::new();
        for _ in 0..8 {
            inside.push(gate.enter().await.unwrap());
        }
        gate.leave(inside.pop().unwrap(), true);
        assert_eq!(gate.width(), 4);
        // Four passes are taken out as they come back: the next leave makes no room.
        for _ in 0..3 {
            gate.leave(inside.pop().unwrap(), false);
            assert_eq!(gate.permits.available_permits(), 0);
        }
        gate.leave(inside.pop().unwrap(), false);
        assert_eq!(gate.permits.available_permits(), 1);
        for pass in inside {
            gate.leave(pass, false);
        }
        for _ in 0..200 {
            let pass = gate.enter().await.unwrap();
            gate.leave(pass, false);
        }
        assert_eq!((gate.width(), gate.permits.available_permits()), (8, 8));
    }

    #[tokio::test]
    async fn one_always_gets_through() {
        let gate = Gate::new(2);
        for _ in 0..5 {
            let pass = gate.enter().await.unwrap();
            gate.leave(pass, true);
        }
        assert_eq!(gate.width(), 1);
        assert!(gate.enter().await.is_some());
    }
}
