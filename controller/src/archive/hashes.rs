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
    state: State,
    /// How many there were.
    pub(super) bytes: u64,
}

#[derive(Debug, Clone)]
enum State {
    Going {
        sha256: Sha256,
        md5: Option<Md5>,
    },
    /// Nothing comes any more. What is put down of them holds no byte of the content.
    Ended {
        sha256: [u8; 32],
        md5: Option<String>,
    },
}

/// Digests that were put down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Midway {
    written: String,
    sha256: String,
    md5: Option<String>,
    bytes: u64,
    ended: bool,
}

impl Hashes {
    /// Of nothing. An MD5 is as dear as all else together: only where something is to be compared with it.
    pub(super) fn new(with_md5: bool) -> Self {
        Self { state: State::Going { sha256: Sha256::new(), md5: with_md5.then(Md5::new) }, bytes: 0 }
    }

    /// The next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let State::Going { sha256, md5 } = &mut self.state {
            sha256.update(bytes);
            if let Some(md5) = md5 {
                md5.update(bytes);
            }
        }
        self.bytes += bytes.len() as u64;
    }

    /// Nothing comes any more.
    pub(super) fn ended(self) -> Self {
        Self { state: State::Ended { sha256: self.sha256(), md5: self.md5() }, bytes: self.bytes }
    }

    /// Whether the MD5 is computed.
    pub(super) const fn has_md5(&self) -> bool {
        match &self.state {
            State::Going { md5, .. } => md5.is_some(),
            State::Ended { md5, .. } => md5.is_some(),
        }
    }

    /// The SHA-256 up to here.
    pub(super) fn sha256(&self) -> [u8; 32] {
        match &self.state {
            State::Going { sha256, .. } => sha256.clone().finalize().into(),
            State::Ended { sha256, .. } => *sha256,
        }
    }

    /// The MD5 up to here, in hex.
    pub(super) fn md5(&self) -> Option<String> {
        match &self.state {
            State::Going { md5, .. } => md5.clone().map(|md5| hex::encode(md5.finalize())),
            State::Ended { md5, .. } => md5.clone(),
        }
    }

    /// Puts them down. Between two blocks, where parts end, nothing of the content is in them.
    pub(super) fn midway(&self) -> Midway {
        let (sha256, md5, ended) = match &self.state {
            State::Going { sha256, md5 } => {
                let md5 = md5.as_ref().map(|md5| hex::encode(md5.serialize()));
                (hex::encode(sha256.serialize()), md5, false)
            }
            State::Ended { sha256, md5 } => (hex::encode(sha256), md5.clone(), true),
        };
        Midway { written: WRITTEN.to_owned(), sha256, md5, bytes: self.bytes, ended }
    }

    /// Takes them up again. `None`: they were put down in another way, or are not those of `with_md5`.
    pub(super) fn taken_up(midway: &Midway, with_md5: bool) -> Option<Self> {
        if midway.written != WRITTEN || midway.md5.is_some() != with_md5 {
            return None;
        }
        let bytes = midway.bytes;
        if midway.ended {
            let mut sha256 = [0; 32];
            hex::decode_to_slice(&midway.sha256, &mut sha256).ok()?;
            return Some(Self { state: State::Ended { sha256, md5: midway.md5.clone() }, bytes });
        }
        let md5 = match &midway.md5 {
            Some(state) => Some(state_of(state)?),
            None => None,
        };
        Some(Self { state: State::Going { sha256: state_of(&midway.sha256)?, md5 }, bytes })
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
            let ended = Hashes::taken_up(&hashes.clone().ended().midway(), with_md5).unwrap();
            prop_assert_eq!((ended.sha256(), ended.md5()), (hashes.sha256(), hashes.md5()));
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
            Midway { ended: true, ..kept.clone() },
            Midway { md5: Some(String::new()), ..kept },
        ] {
            assert!(Hashes::taken_up(&other, true).is_none(), "{other:?}");
        }
    }
}
