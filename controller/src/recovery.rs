//! The state machine: milestones, steps, the supervisor that runs them.
