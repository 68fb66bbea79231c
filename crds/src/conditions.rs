//! Conditions, as Kubernetes keeps them: one a type, with the time of its last *change*.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// A new observation of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// `Accepted`, `Progressing`…: what is being said.
    pub kind: &'static str,
    /// Whether it holds; `None` if that is not known.
    pub holds: Option<bool>,
    /// Why, as one word in `CamelCase`.
    pub reason: &'static str,
    /// Why, as a sentence.
    pub message: String,
    /// The generation of the spec that was looked at.
    pub generation: Option<i64>,
}

/// Puts an observation among the conditions, in the place of the older one of its type. Returns whether
/// anything changed; the time moves only when the status itself does, so a repeat is free.
pub fn observe(conditions: &mut Vec<Condition>, observation: Observation, now: Time) -> bool {
    let status = match observation.holds {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let old = conditions.iter().position(|condition| condition.type_ == observation.kind);
    let since = old.and_then(|i| conditions.get(i)).filter(|old| old.status == status);
    let new = Condition {
        last_transition_time: since.map_or(now, |old| old.last_transition_time.clone()),
        message: observation.message,
        observed_generation: observation.generation,
        reason: observation.reason.to_owned(),
        status: status.to_owned(),
        type_: observation.kind.to_owned(),
    };
    match old.and_then(|i| conditions.get_mut(i)) {
        Some(slot) if *slot == new => false,
        Some(slot) => {
            *slot = new;
            true
        }
        None => {
            conditions.push(new);
            true
        }
    }
}

/// The condition of a type.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// A time of Kubernetes from microseconds since 1970, the resolution of the database; the nearest one that can be said
/// if it is out of range.
pub fn time_from_micros(micros: i64) -> Time {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Time(Timestamp::from_microsecond(micros).unwrap_or(nearest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(holds: bool, message: &str) -> Observation {
        let reason = if holds { "Valid" } else { "Invalid" };
        Observation {
            kind: "Accepted",
            holds: Some(holds),
            reason,
            message: message.to_owned(),
            generation: Some(1),
        }
    }

    #[test]
    fn the_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        assert!(observe(&mut conditions, accepted(false, "a"), time_from_micros(1_000_000)));
        assert!(!observe(&mut conditions, accepted(false, "a"), time_from_micros(2_000_000)));
        assert!(observe(&mut conditions, accepted(false, "b"), time_from_micros(3_000_000)));
        assert_eq!(conditions[0].last_transition_time, time_from_micros(1_000_000));
        assert!(observe(&mut conditions, accepted(true, "c"), time_from_micros(4_000_000)));
        assert_eq!(conditions.len(), 1);
        assert_eq!(find(&conditions, "Accepted").unwrap().last_transition_time, time_from_micros(4_000_000));
    }
}
