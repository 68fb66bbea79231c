//! How fast a run goes, and how long it will still take. Pure.

use std::time::Duration;

use crate::store::Pace;

/// Something that is done bit by bit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// So much is done.
    pub done: i64,
    /// Of so much.
    pub of: i64,
}

impl Share {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn rate(self, seconds: f64) -> f64 {
        self.done as f64 / seconds
    }

    /// Seconds until the rest is done; `None` where nothing is done yet of what there is.
    #[expect(clippy::cast_precision_loss, reason = "a forecast")]
    fn left(self, seconds: f64) -> Option<f64> {
        let left = (self.of - self.done).max(0) as f64;
        match self.rate(seconds) {
            _ if left == 0.0 => Some(0.0),
            rate if rate > 0.0 => Some(left / rate),
            _ => None,
        }
    }
}

/// The pace of what was copied for `elapsed`. Small objects cost requests and large ones bytes: the slower of both tells the end.
pub(super) fn pace(elapsed: Duration, objects: Share, bytes: Share, is_listed: bool) -> Option<Pace> {
    let seconds = elapsed.as_secs_f64();
    if seconds <= 0.0 {
        return None;
    }
    let left = || Some(objects.left(seconds)?.max(bytes.left(seconds)?));
    Some(Pace {
        objects_per_second: objects.rate(seconds),
        bytes_per_second: bytes.rate(seconds),
        seconds_left: left().filter(|_| is_listed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn the_slower_of_objects_and_bytes_tells_the_end_once_all_is_listed() {
        let (objects, bytes) = (Share { done: 100, of: 200 }, Share { done: 1_000, of: 9_000 });
        let told = pace(TEN, objects, bytes, true).unwrap();
        assert_eq!((told.objects_per_second, told.bytes_per_second), (10.0, 100.0));
        assert_eq!(told.seconds_left, Some(80.0));
        assert_eq!(pace(TEN, objects, bytes, false).unwrap().seconds_left, None, "more may come");
        let many = pace(TEN, Share { done: 1, of: 1_000 }, Share { done: 1_000, of: 9_000 }, true).unwrap();
        assert_eq!(many.seconds_left, Some(9_990.0));
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let none = Share { done: 0, of: 0 };
        assert_eq!(pace(Duration::ZERO, none, none, true), None);
        assert_eq!(pace(TEN, none, none, true).unwrap().seconds_left, Some(0.0), "nothing is to be copied");
        let begun = Share { done: 0, of: 5 };
        assert_eq!(pace(TEN, begun, begun, true).unwrap().seconds_left, None);
        // Contents that were there already cost no bytes, and objects may have grown since they were listed.
        let over = pace(TEN, Share { done: 5, of: 5 }, Share { done: 7, of: 5 }, true).unwrap();
        assert_eq!(over.seconds_left, Some(0.0));
    }
}
