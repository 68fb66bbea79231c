//! Why a schedule cannot be followed.

/// A schedule that says nothing. Only a change of the plan helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The cron line cannot be read.
    #[error("`{line}` is no cron line: {why}")]
    Cron {
        /// The line.
        line: String,
        /// What is wrong with it.
        why: String,
    },
    /// The zone is unknown.
    #[error("`{0}` is no time zone")]
    TimeZone(String),
    /// The line can be read and names no date that there is, such as 30 February.
    #[error("`{0}` is never due")]
    Never(String),
    /// The plan itself cannot be read.
    #[error("the plan cannot be read: {0}")]
    Plan(String),
}

impl ScheduleError {
    pub(super) fn cron(line: &str, why: &croner::errors::CronError) -> Self {
        Self::Cron { line: line.to_owned(), why: why.to_string() }
    }
}
