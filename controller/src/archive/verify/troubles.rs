//! What is wrong: with contents, whoever names them, and with a run.

use std::collections::BTreeMap;

/// Findings that a report names.
const NAMED: usize = 100;

/// What is wrong with a content that is not listed, or not to be had.
const MISSING: &str = "is missing";

/// What was found wrong with contents, by their keys. The archive keeps those of all its runs: whose they are is told by manifests alone.
#[derive(Debug, Default)]
pub(in crate::archive) struct Troubles {
    /// Not more than a report names. Of the others our own tables know that they are lost or damaged, and not how.
    told: BTreeMap<String, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    how: String,
    /// A manifest names the content.
    named: bool,
}

impl Troubles {
    /// `key` `how`: a sentence.
    pub(in crate::archive) fn add(&mut self, key: String, how: String) {
        if self.told.len() < NAMED || self.told.contains_key(&key) {
            self.told.insert(key, Trouble { how, named: false });
        }
    }

    /// A content is not there.
    pub(in crate::archive) fn missing(&mut self, key: String) {
        self.add(key, MISSING.to_owned());
    }

    pub(in crate::archive) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// What is wrong with a content that is not held, and that a manifest names.
    pub(super) fn of(&mut self, key: &str) -> &str {
        match self.told.get_mut(key) {
            Some(trouble) => {
                trouble.named = true;
                &trouble.how
            }
            None => "is missing or damaged",
        }
    }

    /// What is wrong with contents that no manifest has named so far. One that is not there, and that nobody needs, is none.
    pub(super) fn unnamed(&self) -> impl Iterator<Item = String> + '_ {
        let unnamed = self.told.iter().filter(|(_, trouble)| !trouble.named && trouble.how != MISSING);
        unnamed.map(|(key, trouble)| format!("{key} {}; no run names it", trouble.how))
    }
}

/// What is wrong with one run. So much of it is kept as a report names: there may be as much as there are objects.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<String>);

impl Findings {
    pub(super) fn push(&mut self, finding: String) {
        if self.0.len() < NAMED {
            self.0.push(finding);
        }
    }

    /// The first of them, and whether there are others.
    pub(super) fn first(&self) -> Option<String> {
        let first = self.0.first()?;
        Some(if self.0.len() > 1 { format!("{first}; and more") } else { first.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_last_of_a_content_is_told_and_no_more_than_a_report_names() {
        let mut troubles = Troubles::default();
        assert!(troubles.is_empty());
        for number in 0..2 * NAMED {
            troubles.missing(format!("objects/{number:03}"));
        }
        troubles.add("objects/000".to_owned(), "is damaged: its SHA-256 is 00".to_owned());
        assert_eq!(troubles.of("objects/000"), "is damaged: its SHA-256 is 00");
        assert_eq!(troubles.of("objects/001"), "is missing");
        assert_eq!(troubles.of("objects/150"), "is missing or damaged");
        assert_eq!(troubles.told.len(), NAMED);
    }

    #[test]
    fn damage_that_no_manifest_names_is_told_and_what_nobody_misses_is_not() {
        let mut troubles = Troubles::default();
        troubles.add("objects/named".to_owned(), "has 1 bytes, and should have 2".to_owned());
        troubles.add("objects/other".to_owned(), "has 3 bytes, and should have 4".to_owned());
        troubles.missing("objects/gone".to_owned());
        troubles.of("objects/named");
        let told: Vec<_> = troubles.unnamed().collect();
        assert_eq!(told, ["objects/other has 3 bytes, and should have 4; no run names it"]);
    }
}
