//! Dates between the protocol library's type and chrono's. Pure.

use chrono::{DateTime, Utc};
use s3s::dto::{Timestamp, TimestampFormat};

/// For an answer.
pub(crate) fn to_protocol(date: DateTime<Utc>) -> Timestamp {
    Timestamp::from(std::time::SystemTime::from(date))
}

/// From a request; `None` for a date that chrono cannot hold.
pub(crate) fn from_protocol(date: &Timestamp) -> Option<DateTime<Utc>> {
    let mut text = Vec::new();
    date.format(TimestampFormat::DateTime, &mut text).ok()?;
    let date = DateTime::parse_from_rfc3339(std::str::from_utf8(&text).ok()?).ok()?;
    Some(date.to_utc())
}

/// The form of HTTP headers.
pub(crate) fn http_date(date: DateTime<Utc>) -> String {
    date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_survives_the_way_there_and_back() {
        let date = DateTime::from_timestamp_millis(1_790_000_000_123).unwrap();
        assert_eq!(from_protocol(&to_protocol(date)), Some(date));
    }

    #[test]
    fn a_header_date_has_two_digits_for_the_day() {
        assert_eq!(http_date(DateTime::UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
