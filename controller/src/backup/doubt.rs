//! Which refusals are believed at once, and which only when a second download, by a new link, comes the same way: a server that answers
//! 200 with a page of its own, once, must not cost the newest backup. Pure.

use std::time::Duration;

use super::Refusal;
use super::ladder::{Climb, Halt};

/// Between the two downloads.
pub const SECOND_LOOK: Duration = Duration::from_secs(30);

impl Refusal {
    /// Whether the transfer may be at fault as well as the backup: the outer layers are not what they should be. What shows inside of whole
    /// containers was not done on the way.
    fn may_be_the_transfer(&self) -> bool {
        matches!(
            self,
            Self::CutShort { .. }
                | Self::Overlong { .. }
                | Self::Empty
                | Self::Foreign { .. }
                | Self::GzipCut { .. }
                | Self::GzipDamaged { .. }
                | Self::GzipTrailing { .. }
                | Self::TarCut { .. }
                | Self::TarDamaged { .. }
                | Self::HeaderCut { .. }
        )
    }

    /// Whether a second download is wanted before this is believed. `before`: the label under which the backup was refused before, for that
    /// was the first look then.
    pub fn is_doubtful(&self, before: Option<&str>) -> bool {
        self.may_be_the_transfer() && before != Some(self.reason())
    }

    /// What is believed of a second download that was refused with this, after the `first` one's refusal.
    #[must_use]
    pub fn after(self, first: &Self) -> Self {
        if self.may_be_the_transfer() && !self.is_the_same(first) {
            return Self::Unsteady { first: first.reason(), again: self.reason() };
        }
        self
    }

    /// A backup that is cut is cut at one place, a line wherever it breaks.
    fn is_the_same(&self, other: &Self) -> bool {
        let is_cut = matches!(self, Self::CutShort { .. } | Self::GzipCut { .. } | Self::TarCut { .. });
        self.reason() == other.reason() && (!is_cut || self.to_string() == other.to_string())
    }
}

impl Climb {
    /// What ended it, where a second download is wanted before that is believed.
    pub fn doubt(&self, before: Option<&str>) -> Option<&Refusal> {
        match &self.halt {
            Some(Halt::Refused(refusal)) => Some(refusal).filter(|refusal| refusal.is_doubtful(before)),
            _ => None,
        }
    }

    /// What is believed of it as the climb after the one that `first` ended.
    #[must_use]
    pub fn after(mut self, first: &Refusal) -> Self {
        self.halt = match self.halt {
            Some(Halt::Refused(again)) => Some(Halt::Refused(again.after(first))),
            halt => halt,
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::refusal::Layer;

    const CUT: Refusal = Refusal::GzipCut { unpacked: 7 };

    #[test]
    fn what_may_be_the_transfers_fault_is_asked_for_twice_unless_it_was_seen_before() {
        assert!(CUT.is_doubtful(None) && Refusal::Empty.is_doubtful(Some("gzip-cut")));
        assert!(!CUT.is_doubtful(Some("gzip-cut")), "that was the first look");
        let inside = Refusal::DigestDiffers { layer: Layer::Member };
        assert!(!inside.is_doubtful(None) && !Refusal::DumpEmpty.is_doubtful(None));
        assert!(!Refusal::Transfer { at: 1, source: "reset".into() }.is_doubtful(None), "it blames nobody");
    }

    #[test]
    fn a_climb_is_no_verdict_where_the_second_download_was_bad_in_another_way() {
        let ended = |halt| Climb { halt, ..Climb::begin() };
        let first = ended(Some(Halt::Refused(CUT)));
        assert!(first.is_conclusive() && first.doubt(Some("gzip-cut")).is_none());
        let doubt = first.doubt(None).expect("a doubt");
        assert!(!ended(Some(Halt::Refused(Refusal::Empty))).after(doubt).is_conclusive());
        assert!(ended(Some(Halt::Refused(CUT))).after(doubt).is_conclusive());
        assert!(ended(None).after(doubt).halt.is_none(), "it came whole");
    }

    #[test]
    fn only_what_is_the_same_twice_is_believed() {
        assert_eq!(CUT.after(&CUT).reason(), "gzip-cut");
        let elsewhere = Refusal::GzipCut { unpacked: 9 }.after(&CUT);
        assert!(elsewhere.reason() == "unsteady" && !elsewhere.blames_backup(), "{elsewhere}");
        assert_eq!(Refusal::Empty.after(&CUT).reason(), "unsteady");
        assert_eq!(Refusal::DumpEmpty.after(&CUT).reason(), "dump-empty", "whole containers are believed");
    }
}
