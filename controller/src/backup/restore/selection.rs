//! What of a dump is restored into a given target, and whether at all. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::RestoreError;
use crate::backup::accounting::{Rule, skip_rule};
use crate::backup::checks::Occupancy;
use crate::backup::toc::Toc;

/// The entries to restore, and those left out with the rule for each. To have one is to have looked at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    restored: Vec<u32>,
    skipped: BTreeMap<u32, Rule>,
    replaces: bool,
}

impl Selection {
    /// Selects from `toc` what goes into a target that was seen as `occupancy`.
    ///
    /// `ours` says that the ledger proves all of the target's content to be from an earlier attempt of this restore:
    /// then what stands in the way is dropped first. Else a target that is not empty is refused.
    pub fn new(toc: &Toc, occupancy: &Occupancy, ours: bool) -> Result<Self, RestoreError> {
        if !occupancy.is_empty() && !ours {
            return Err(RestoreError::NotEmpty { found: occupancy.to_string() });
        }
        // An attempt that was cut off early may have left no more than a schema.
        let replaces = !occupancy.is_empty() || ours && occupancy.bare > 0;
        let mut selection = Self { restored: Vec::new(), skipped: BTreeMap::new(), replaces };
        for entry in &toc.entries {
            let Some(rule) = skip_rule(entry, occupancy) else {
                selection.restored.push(entry.id);
                continue;
            };
            selection.skipped.insert(entry.id, rule);
        }
        Ok(selection)
    }

    /// The entries to restore, in the archive's order.
    pub fn restored(&self) -> &[u32] {
        &self.restored
    }

    /// The rule by which an entry is left out.
    pub fn skipped(&self, id: u32) -> Option<Rule> {
        self.skipped.get(&id).copied()
    }

    /// Whether what stands in the way is dropped first.
    pub fn replaces(&self) -> bool {
        self.replaces
    }

    /// The list that `pg_restore -L` reads: one number a line.
    pub(super) fn list(&self) -> String {
        let mut list = String::new();
        for id in &self.restored {
            // Writing to a string cannot fail.
            _ = writeln!(list, "{id};");
        }
        list
    }
}
