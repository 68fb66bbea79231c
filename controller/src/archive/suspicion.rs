//! The guard against archiving the damage: has more changed than a plan allows, and do bytes look encrypted?
//!
//! Changes are to be counted against the newest run that is *not* suspicious. Against the last run of all, the run after an
//! attack would find nothing changed, look innocent, and end the protection of the copies before it.

use reprise_crds::plan::SuspicionSpec;

mod noise;

pub use noise::Noise;

/// What became of the objects of an earlier run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// How many objects the earlier run has.
    pub before: u64,
    /// How many of these are gone.
    pub deleted: u64,
    /// How many of these have another content, scrambled ones included.
    pub rewritten: u64,
    /// How many of these were [`scrambled`].
    pub scrambled: u64,
}

/// Whether an object went from a content that could be compressed to one that looks like noise. JPEGs, PDFs, archives and
/// office documents look like noise all their life: that they were encrypted cannot be seen here, only that they were rewritten.
pub const fn scrambled(noise_before: bool, noise_after: bool) -> bool {
    !noise_before && noise_after
}

/// Why the changes are suspicious, a sentence a reason; `None` if they are within what the plan allows.
///
/// A limit of 100 percent is none, but for one thing: a bucket from which every object is gone is always suspicious.
pub fn suspicion(changes: &Changes, spec: &SuspicionSpec) -> Option<Vec<String>> {
    let Changes { before, deleted, rewritten, scrambled } = *changes;
    let emptied = before > 0 && deleted >= before;
    let judged = [
        (deleted, spec.deleted_percent, emptied, "were deleted"),
        (rewritten, spec.rewritten_percent, false, "were rewritten"),
        (
            scrambled,
            spec.scrambled_percent,
            false,
            "turned into what looks like noise, as encryption leaves it",
        ),
    ];
    let reasons: Vec<String> = judged
        .into_iter()
        .filter(|(count, percent, always, _)| *always || exceeds(*count, before, *percent))
        .map(|(count, percent, _, what)| {
            let share = share(count, before);
            format!("{count} of {before} objects ({share} %) {what}; the plan allows {percent} %")
        })
        .collect();
    (!reasons.is_empty()).then_some(reasons)
}

/// Of so few it is not told what all are like, unless these are all.
const ENOUGH: u64 = 50;

/// Why what turned into noise is suspicious, where of the rewritten objects only `known` were read both before and after. What of these
/// turned into noise is taken for the share of all; of a few, nothing is said.
pub fn suspicion_of_part(changes: &Changes, known: u64, spec: &SuspicionSpec) -> Option<String> {
    let Changes { before, rewritten, scrambled, .. } = *changes;
    if known == 0 || known < rewritten.min(ENOUGH) {
        return None;
    }
    let all = u128::from(scrambled) * u128::from(rewritten) / u128::from(known);
    let all = u64::try_from(all).unwrap_or(u64::MAX);
    exceeds(all, before, spec.scrambled_percent).then(|| {
        format!(
            "of {known} rewritten objects that were read since, {scrambled} turned into what looks like noise, as encryption leaves it; of all \
             {rewritten} that would be {all} of {before} objects ({share} %), and the plan allows {limit} %",
            share = share(all, before),
            limit = spec.scrambled_percent
        )
    })
}

/// Whether `count` is more than `percent` of `before`. Of nothing, nothing can be said.
fn exceeds(count: u64, before: u64, percent: u32) -> bool {
    before > 0 && u128::from(count) * 100 > u128::from(before) * u128::from(percent)
}

/// The share in percent, with one decimal, rounded up: what is above a limit never reads as if it were at it.
fn share(count: u64, before: u64) -> String {
    let tenths = (u128::from(count) * 1_000).div_ceil(u128::from(before.max(1)));
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
