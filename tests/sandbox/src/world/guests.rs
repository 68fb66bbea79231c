//! Programs that `reprise-sandbox exec` runs in this world: they are at home in it, as the processes of its apps are.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far up the line of parents is looked: deeper nests are not ours to know.
const ANCESTORS: usize = 64;

/// The processes that were announced, each with the moment of its start: numbers are given out again.
#[derive(Debug, Default)]
pub struct Guests(Mutex<BTreeMap<u32, u64>>);

impl Guests {
    /// From now on `pid` is a guest, and so are the processes below it. `false` if there is no such process.
    pub fn welcome(&self, pid: u32) -> bool {
        let Some(seen) = Seen::of(pid) else { return false };
        let mut known = self.known();
        known.retain(|pid, started| Seen::of(*pid).is_some_and(|now| now.started == *started));
        known.insert(pid, seen.started);
        true
    }

    /// Whether `pid` is a guest or descends from one.
    pub fn owns(&self, pid: u32) -> bool {
        let known = self.known().clone();
        if known.is_empty() {
            return false;
        }
        let look = |pid: u32| Seen::of(pid).map(|seen| (pid, seen));
        let line = std::iter::successors(look(pid), |(_, seen)| look(seen.parent));
        line.take(ANCESTORS).any(|(pid, seen)| known.get(&pid) == Some(&seen.started))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u32, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that is there.
#[derive(Debug, Clone, Copy)]
struct Seen {
    parent: u32,
    /// In ticks since the machine's start.
    started: u64,
}

impl Seen {
    fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses, and may itself contain spaces and parentheses.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
        Some(Self { parent: fields.next()?.parse().ok()?, started: fields.nth(17)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_and_what_it_starts_are_owned_and_its_parent_is_not() {
        let guests = Guests::default();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(guests.welcome(child.id()));
        assert!(guests.owns(child.id()) && !guests.owns(std::process::id()));
        assert!(guests.welcome(std::process::id()));
        assert!(guests.owns(child.id()) && guests.owns(std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!guests.owns(child.id()) && !guests.welcome(child.id()));
    }

    #[test]
    fn another_process_with_the_number_of_a_guest_is_none() {
        let (guests, us) = (Guests::default(), std::process::id());
        assert!(guests.welcome(us));
        guests.known().entry(us).and_modify(|started| *started -= 1);
        assert!(!guests.owns(us));
    }
}
