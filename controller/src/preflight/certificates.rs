//! How long the certificates under the public names last.

use chrono::{DateTime, TimeDelta, Utc};

use super::Preflight;
use super::finding::{Seen, bad, good, unusable, warning};
use crate::providers::probe::TlsFault;
use crate::recovery::look::Unseen;

/// The platform renews its certificates a month before their end: one that is nearer to it was not renewed.
const SOON: TimeDelta = TimeDelta::days(14);

impl Preflight<'_> {
    /// What is seen, and when the first of them ends, or has ended. A name that does not answer is no obstacle to bringing it back.
    pub(super) async fn certificates(&self) -> (Seen, Option<DateTime<Utc>>) {
        let (mut ends, mut expired, mut silent) = (Vec::new(), Vec::new(), Vec::new());
        for domain in self.spec.apps.iter().flat_map(|app| &app.domains) {
            match self.tools.look_for_certificates(domain).await {
                Err(error) => return (unusable(&error), None),
                // Nobody who looks at the certificate is let in: its date comes from the refusal.
                Ok(Err(Unseen { fault: Some(TlsFault::Expired(since)), .. })) => match since {
                    Some(since) => ends.push((since, domain.as_str())),
                    None => expired.push(format!("{domain} shows one that has expired")),
                },
                Ok(Err(Unseen { why, .. })) => silent.push(format!("{domain} shows none ({why})")),
                // Of its addresses, the one whose certificate ends first.
                Ok(Ok(seen)) => match seen.into_iter().filter_map(|one| one.certificate?.not_after).min() {
                    Some(end) => ends.push((end, domain.as_str())),
                    None => silent.push(format!("{domain} shows none")),
                },
            }
        }
        (judge(&ends, &expired, &silent, self.tools.clock.now()), ends.iter().map(|(end, _)| *end).min())
    }
}

/// `expired`: of those whose date is not known.
fn judge(ends: &[(DateTime<Utc>, &str)], expired: &[String], silent: &[String], now: DateTime<Utc>) -> Seen {
    let told = ends.iter().map(|(end, domain)| format!("{domain} until {}", end.format("%Y-%m-%d")));
    let told: Vec<String> = told.chain(expired.iter().chain(silent).cloned()).collect();
    let told = if told.is_empty() { "the plan has no public name".to_owned() } else { told.join(", ") };
    let first = ends.iter().map(|(end, _)| *end).min();
    match first {
        _ if !expired.is_empty() => bad(told),
        Some(end) if end <= now => bad(format!("one has expired: {told}")),
        Some(end) if end - now < SOON => warning(told),
        _ => good(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Grade;

    #[test]
    fn one_that_ends_soon_is_told_and_a_silent_name_is_no_obstacle() {
        let at = |days| DateTime::UNIX_EPOCH + TimeDelta::days(days);
        let seen = |ends: &[(DateTime<Utc>, &str)]| judge(ends, &[], &["b shows none".to_owned()], at(0)).0;
        assert_eq!(seen(&[(at(14), "a")]), Grade::Good);
        assert_eq!(seen(&[(at(60), "a"), (at(13), "c")]), Grade::Warning);
        assert_eq!(seen(&[]), Grade::Good);
    }

    #[test]
    fn one_that_has_ended_is_bad_whether_or_not_its_date_is_told() {
        let at = |days| DateTime::UNIX_EPOCH + TimeDelta::days(days);
        assert_eq!(judge(&[(at(5), "a"), (at(60), "b")], &[], &[], at(5)).0, Grade::Bad);
        assert_eq!(
            judge(&[(at(60), "b")], &["a shows one that has expired".to_owned()], &[], at(5)).0,
            Grade::Bad
        );
    }
}
