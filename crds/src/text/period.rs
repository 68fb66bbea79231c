//! A length of time as people write it: `30s`, `5m`, `1h30m`, `7d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What a period looks like; the same rule as [`Period::from_str`], for other people's tools.
pub(crate) const PATTERN: &str = "^[0-9]{1,9}(ms|s|m|h|d|w)( ?[0-9]{1,9}(ms|s|m|h|d|w))*$";

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A length of time with a resolution of one millisecond.
///
/// ```
/// # use reprise_crds::Period;
/// # use std::time::Duration;
/// let rto: Period = "1h30m".parse().unwrap();
/// assert_eq!(rto.duration(), Duration::from_secs(5400));
/// assert_eq!(rto.to_string(), "1h30m");
/// assert!("90".parse::<Period>().is_err(), "a unit is always said");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(u64);

/// A text that is no [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a length of time")]
pub struct BadPeriod;

impl Period {
    /// A period of whole seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds as u64 * 1_000)
    }

    /// The same as the standard library's type.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl FromStr for Period {
    type Err = BadPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, mut rest) = part(text)?;
        let mut sum = first;
        while !rest.is_empty() {
            let (millis, after) = part(rest.strip_prefix(' ').unwrap_or(rest))?;
            sum = sum.checked_add(millis).ok_or(BadPeriod)?;
            rest = after;
        }
        Ok(Self(sum))
    }
}

/// The first number with its unit, in milliseconds, and what follows.
fn part(text: &str) -> Result<(u64, &str), BadPeriod> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&digits) {
        return Err(BadPeriod);
    }
    let (number, rest) = text.split_at(digits);
    let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
    let (unit, rest) = rest.split_at(letters);
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(BadPeriod)?;
    let number: u64 = number.parse().map_err(|_| BadPeriod)?;
    Ok((number.checked_mul(*scale).ok_or(BadPeriod)?, rest))
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut left = self.0;
        for (unit, scale) in UNITS {
            let whole = left / scale;
            left %= scale;
            if whole > 0 {
                write!(f, "{whole}{unit}")?;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Period {
    type Error = BadPeriod;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in
            ["", "5", "m", "5 m", "-5m", "5min", "1h  30m", "1h30m ", "1.5h", "9999999999s", "٣s", "5µs"]
        {
            assert_eq!(text.parse::<Period>(), Err(BadPeriod), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_period_reads_back(millis in 0_u64..600_000_000_000_000_000) {
            let period = Period(millis);
            if let Ok(back) = period.to_string().parse::<Period>() {
                prop_assert_eq!(back, period);
            } else {
                // Only more weeks than nine digits can say.
                prop_assert!(millis / UNITS[0].1 > 999_999_999);
            }
        }

        #[test]
        fn the_published_pattern_says_the_same(text in "[0-9mshdw ]{0,12}") {
            let schema = serde_json::json!({ "pattern": PATTERN });
            let valid = jsonschema::is_valid(&schema, &serde_json::json!(text));
            prop_assert_eq!(text.parse::<Period>().is_ok(), valid, "{:?}", text);
        }
    }
}
