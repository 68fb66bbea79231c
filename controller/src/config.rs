//! What the daemon is told at its start: the only place that reads the environment.
