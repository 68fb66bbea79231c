//! How long the certificates under the public names last.

use chrono::{DateTime, TimeDelta, Utc};

use super::Preflight;
use super::finding::{Seen, good, unusable, warning};

/// The platform renews its certificates a month before their end: one that is nearer to it was not renewed.
const SOON: TimeDelta = TimeDelta::days(14);

impl Preflight<'_> {
    /// What is seen, and when the first of them ends. A name that does not answer is no obstacle to bringing it back.
    pub(super) async fn certificates(&self) -> (Seen, Option<DateTime<Utc>>) {
        let (mut ends, mut silent) = (Vec::new(), Vec::new());
        for domain in self.spec.apps.iter().flat_map(|app| &app.domains) {
            match self.tools.look(domain, "/").await {
                Err(error) => return (unusable(&error), None),
                Ok(Err(why)) => silent.push(format!("{domain} shows none ({why})")),
                // Of its addresses, the one whose certificate ends first.
                Ok(Ok(seen)) => match seen.into_iter().filter_map(|one| one.certificate?.not_after).min() {
                    Some(end) => ends.push((end, domain.as_str())),
                    None => silent.push(format!("{domain} shows none")),
                },
            }
        }
        (judge(&ends, &silent, self.tools.clock.now()), ends.iter().map(|(end, _)| *end).min())
    }
}

fn judge(ends: &[(DateTime<Utc>, &str)], silent: &[String], now: DateTime<Utc>) -> Seen {
    let told = ends.iter().map(|(end, domain)| format!("{domain} until {}", end.format("%Y-%m-%d")));
    let told: Vec<String> = told.chain(silent.iter().cloned()).collect();
    let told = if told.is_empty() { "the plan has no public name".to_owned() } else { told.join(", ") };
    if ends.iter().any(|(end, _)| *end - now < SOON) { warning(told) } else { good(told) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Grade;

    #[test]
    fn one_that_ends_soon_is_told_and_a_silent_name_is_no_obstacle() {
        let at = |days| DateTime::UNIX_EPOCH + TimeDelta::days(days);
        let seen = |ends: &[(DateTime<Utc>, &str)]| judge(ends, &["b shows none".to_owned()], at(0)).0;
        assert_eq!(seen(&[(at(14), "a")]), Grade::Good);
        assert_eq!(seen(&[(at(60), "a"), (at(13), "c")]), Grade::Warning);
        assert_eq!(seen(&[]), Grade::Good);
    }
}
