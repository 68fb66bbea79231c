//! Whether the platform offers the extensions that the newest backup needs.

use super::Preflight;
use super::finding::{Seen, bad, failed, good, unknown, warning};
use crate::providers::scalingo::extensions::{BY_SUPPORT, OFFERED};
use crate::store::Verdict;

impl Preflight<'_> {
    pub(super) async fn extensions(&self) -> Seen {
        match self.tools.store.verdicts(self.plan).await {
            Ok(rows) => needs(&rows).map_or_else(|| unknown(UNREAD), judge),
            Err(error) => failed(&error),
        }
    }
}

const UNREAD: &str = "no backup's table of contents was read so far; `reprise prove` asks for it";

/// What the newest backup needs that was read and not refused.
fn needs(rows: &[Verdict]) -> Option<&[String]> {
    let read = rows.iter().filter(|row| row.kind == "database" && row.refused.is_none());
    let read = read.filter_map(|row| Some((row.taken_at?, row.extensions.as_deref()?)));
    read.max_by_key(|(taken_at, _)| *taken_at).map(|(_, extensions)| extensions)
}

/// A name that is not published is no proof that it is refused: the vendor may have added it since, and the source has it.
fn judge(needed: &[String]) -> Seen {
    let of = |is: &dyn Fn(&str) -> bool| {
        needed.iter().map(String::as_str).filter(|name| is(name)).collect::<Vec<_>>().join(", ")
    };
    let by_support = of(&|name| BY_SUPPORT.contains(&name));
    let unpublished = of(&|name| !OFFERED.contains(&name));
    if !by_support.is_empty() {
        bad(format!(
            "the newest backup needs {by_support}, which only the vendor's support can restore: ask it now how it would"
        ))
    } else if !unpublished.is_empty() {
        warning(format!(
            "the newest backup needs {unpublished}, which the vendor does not publish as offered: ask its support"
        ))
    } else if needed.is_empty() {
        good("the newest backup needs no extension")
    } else {
        good(format!("published as offered: {}", needed.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::preflight::Grade;

    fn row(day: i64, extensions: Option<&[&str]>) -> Verdict {
        Verdict {
            kind: "database".into(),
            taken_at: Some(DateTime::UNIX_EPOCH + TimeDelta::days(day)),
            extensions: extensions.map(|names| names.iter().map(|&name| name.to_owned()).collect()),
            ..Verdict::default()
        }
    }

    fn grade(names: &[&str]) -> Grade {
        judge(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).0
    }

    #[test]
    fn the_newest_backup_that_was_read_and_not_refused_tells_what_is_needed() {
        let refused = Verdict { refused: Some("gzip-cut".into()), ..row(4, Some(&["anon"])) };
        let rows = [row(1, Some(&["cube"])), row(2, Some(&["hstore"])), row(3, None), refused];
        assert_eq!(needs(&rows), Some(["hstore".to_owned()].as_slice()));
        assert_eq!(needs(&rows[2..]), None);
    }

    #[test]
    fn what_only_the_support_restores_is_bad_and_what_nobody_publishes_a_warning() {
        assert_eq!((grade(&[]), grade(&["hstore", "uuid-ossp"])), (Grade::Good, Grade::Good));
        assert_eq!(grade(&["hstore", "pg_cron"]), Grade::Warning);
        assert_eq!(grade(&["pg_cron", "timescaledb"]), Grade::Bad);
    }
}
