//! What a restore counts and learns on its way.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::dress::Dress;
use super::lost::Lost;
use super::thaw::Thaws;
use crate::archive::acl::Acls;
use crate::archive::error::ArchiveError;
use crate::archive::tags::Tags;

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub right: AtomicU64,
    pub objects: AtomicU64,
    pub bytes: AtomicU64,
    pub copied: AtomicU64,
    pub copied_bytes: AtomicU64,
    pub acls: Acls,
    pub tags: Tags,
    pub thaws: Thaws,
    pub lost: Lost,
    pub dress: Dress,
    /// The first denial of a content.
    pub denial: Mutex<Option<ArchiveError>>,
}

impl Tally {
    /// For what is begun again: what was copied counts.
    pub(super) fn again(&self, manifest: &std::path::Path) -> Self {
        let count = |counter: &AtomicU64| AtomicU64::new(counter.load(Ordering::Relaxed));
        let (copied, copied_bytes) = (count(&self.copied), count(&self.copied_bytes));
        Self { copied, copied_bytes, thaws: Thaws::of(manifest), ..Self::default() }
    }

    /// What could be neither put back nor compared, or does not stay.
    pub(super) fn notes(&self) -> Vec<String> {
        let told = |what: &str, why: Option<String>| {
            why.map(|why| format!("{what} were not all put back and compared: {why}"))
        };
        let lists = told("access control lists", self.acls.why());
        lists.into_iter().chain(told("tags", self.tags.why())).chain(self.dress.told()).collect()
    }
}
