//! Digests of a content on its way. They can be put down and taken up again: what goes on in the middle reads nothing twice.

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sha2::digest::Digest;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

/// How the crates `sha2` and `md-5` put their states down: raise it with their minor versions, between which that may change.
const WRITTEN: &str = "sha2 0.11, md-5 0.11";

/// Digests of all bytes so far.
#[derive(Debug, Clone)]
pub(super) struct Hashes {
    sha256: Sha256,
    md5: Option<Md5>,
    /// How many there were.
    pub(super) bytes: u64,
}

/// Digests that were put down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Midway {
    written: String,
    sha256: String,
    md5: Option<String>,
    bytes: u64,
}

impl Hashes {
    /// Of nothing. An MD5 is as dear as all else together: only where something is to be compared with it.
    pub(super) fn new(with_md5: bool) -> Self {
        Self { sha256: Sha256::new(), md5: with_md5.then(Md5::new), bytes: 0 }
    }

    /// The next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.bytes += bytes.len() as u64;
    }

    /// Whether the MD5 is computed.
    pub(super) const fn has_md5(&self) -> bool {
        self.md5.is_some()
    }

    /// The SHA-256 up to here.
    pub(super) fn sha256(&self) -> [u8; 32] {
        self.sha256.clone().finalize().into()
    }

    /// The MD5 up to here, in hex.
    pub(super) fn md5(&self) -> Option<String> {
        self.md5.clone().map(|md5| hex::encode(md5.finalize()))
    }

    /// Puts them down.
    pub(super) fn midway(&self) -> Midway {
        let md5 = self.md5.as_ref().map(|md5| hex::encode(md5.serialize()));
        let sha256 = hex::encode(self.sha256.serialize());
        Midway { written: WRITTEN.to_owned(), sha256, md5, bytes: self.bytes }
    }

    /// Takes them up again. `None`: they were put down in another way, or are not those of `with_md5`.
    pub(super) fn taken_up(midway: &Midway, with_md5: bool) -> Option<Self> {
        if midway.written != WRITTEN || midway.md5.is_some() != with_md5 {
            return None;
        }
        let md5 = match &midway.md5 {
            Some(state) => Some(state_of(state)?),
            None => None,
        };
        Some(Self { sha256: state_of(&midway.sha256)?, md5, bytes: midway.bytes })
    }
}

fn state_of<D: SerializableState>(state: &str) -> Option<D> {
    let state = hex::decode(state).ok()?;
    D::deserialize(SerializedState::<D>::slice_as_array(&state)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_on_in_the_middle_ends_as_what_was_never_put_down(
            bytes in proptest::collection::vec(any::<u8>(), 0..2_000), cut in any::<proptest::sample::Index>(), with_md5: bool,
        ) {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let mut hashes = Hashes::new(with_md5);
            hashes.update(first);
            let kept = serde_json::to_string(&hashes.midway()).unwrap();
            let mut hashes = Hashes::taken_up(&serde_json::from_str(&kept).unwrap(), with_md5).unwrap();
            hashes.update(second);
            prop_assert_eq!(hashes.sha256(), <[u8; 32]>::from(Sha256::digest(&bytes)));
            prop_assert_eq!(hashes.md5(), with_md5.then(|| hex::encode(Md5::digest(&bytes))));
            prop_assert_eq!(hashes.bytes, bytes.len() as u64);
        }
    }

    #[test]
    fn what_somebody_else_put_down_is_not_taken_up() {
        let kept = Hashes::new(true).midway();
        assert!(Hashes::taken_up(&kept, true).is_some());
        assert!(Hashes::taken_up(&kept, false).is_none());
        for other in [
            Midway { written: "sha2 0.12".into(), ..kept.clone() },
            Midway { sha256: "00".into(), ..kept.clone() },
            Midway { sha256: "no hex".into(), ..kept.clone() },
            Midway { md5: Some(String::new()), ..kept },
        ] {
            assert!(Hashes::taken_up(&other, true).is_none(), "{other:?}");
        }
    }
}
