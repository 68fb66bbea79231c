//! What only a whole program can show.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod control;
mod exec;
mod life;
mod object_store;
