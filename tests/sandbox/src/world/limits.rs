//! How long real programs may take before the platform gives them up. The wall's time, whatever the speed: a program does not run
//! faster in a fast world.

use std::time::Duration;

/// The platform's limits on programs, as documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A whole deployment; nearly all of it is the build.
    pub build: Duration,
    /// Until a container accepts connections on its port.
    pub boot: Duration,
    /// All tries of a restart or a scale together.
    pub tries: Duration,
    /// A `postdeploy` hook.
    pub hook: Duration,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// An attached one-off that prints and is told nothing.
    pub silence: Duration,
    /// A task of `cron.json`.
    pub task: Duration,
    /// Until the first byte of an answer.
    pub first_byte: Duration,
    /// From one byte of an answer to the next.
    pub gap: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            build: Duration::from_mins(30),
            boot: Duration::from_mins(1),
            tries: Duration::from_mins(5),
            hook: Duration::from_mins(20),
            grace: Duration::from_secs(30),
            silence: Duration::from_hours(1),
            task: Duration::from_hours(12),
            first_byte: Duration::from_secs(30),
            gap: Duration::from_mins(1),
        }
    }
}
