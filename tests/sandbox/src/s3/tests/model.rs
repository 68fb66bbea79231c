//! Any sequence of writes and deletions leaves what a simple model says, also after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, ObjectLockLegalHold,
    ObjectLockLegalHoldStatus, VersioningConfiguration,
};
use proptest::prelude::*;

use super::support::{Setup, start};

#[derive(Debug, Clone)]
enum Action {
    Put(u8, u8),
    Delete(u8),
    DeleteVersion(u8, prop::sample::Index),
    Copy(u8, u8),
    Versioning(bool),
    Multipart(u8, u8),
    Hold(u8, bool),
    Restart,
    Crash(u8),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => (0..3_u8, any::<u8>()).prop_map(|(key, body)| Action::Put(key, body)),
        3 => (0..3_u8).prop_map(Action::Delete),
        2 => (0..3_u8, any::<prop::sample::Index>()).prop_map(|(key, at)| Action::DeleteVersion(key, at)),
        2 => (0..3_u8, 0..3_u8).prop_map(|(from, to)| Action::Copy(from, to)),
        1 => any::<bool>().prop_map(Action::Versioning),
        1 => (0..3_u8, any::<u8>()).prop_map(|(key, body)| Action::Multipart(key, body)),
        1 => (0..3_u8, any::<bool>()).prop_map(|(key, on)| Action::Hold(key, on)),
        1 => Just(Action::Restart),
        1 => any::<u8>().prop_map(Action::Crash),
    ]
}

/// Versions of each key, oldest first: identifier, and the body unless it is a delete marker.
#[derive(Debug, Default)]
struct Model {
    keeps: Option<bool>,
    keys: BTreeMap<String, Vec<(String, Option<u8>)>>,
    /// Whether objects may be locked.
    locks: bool,
    /// Versions under a legal hold.
    held: BTreeSet<String>,
}

impl Model {
    fn write(&mut self, key: &str, id: Option<&str>, body: Option<u8>) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        if self.keeps == Some(true) {
            versions.push((id.unwrap().to_owned(), body));
        } else {
            versions.retain(|(id, _)| id != "null");
            if body.is_some() || self.keeps.is_some() {
                versions.push(("null".to_owned(), body));
            }
        }
    }

    fn current(&self, key: &str) -> Option<u8> {
        self.keys.get(key)?.last()?.1
    }
}

async fn act(setup: &Setup, model: &mut Model, action: &Action) {
    let client = setup.client("FULL");
    match action {
        Action::Put(key, body) => {
            let put =
                client.put_object().bucket("bucket").key(name(*key)).body(ByteStream::from(bytes(*body)));
            model.write(&name(*key), put.send().await.unwrap().version_id(), Some(*body));
        }
        Action::Delete(key) => {
            let deleted = client.delete_object().bucket("bucket").key(name(*key)).send().await.unwrap();
            model.write(&name(*key), deleted.version_id(), None);
        }
        Action::DeleteVersion(key, at) => {
            let Some(versions) = model.keys.get_mut(&name(*key)).filter(|versions| !versions.is_empty())
            else {
                return;
            };
            let at = at.index(versions.len());
            let id = versions[at].0.clone();
            let deleted =
                client.delete_object().bucket("bucket").key(name(*key)).version_id(&id).send().await;
            assert_eq!(deleted.is_err(), model.held.contains(&id), "a held version stays, another goes");
            if deleted.is_ok() {
                versions.remove(at);
            }
        }
        Action::Copy(from, to) => {
            let source = format!("bucket/{}", name(*from));
            let copied =
                client.copy_object().bucket("bucket").key(name(*to)).copy_source(source).send().await;
            match model.current(&name(*from)) {
                Some(body) if from != to => model.write(&name(*to), copied.unwrap().version_id(), Some(body)),
                _ => assert!(copied.is_err(), "nothing to copy, or onto itself"),
            }
        }
        Action::Versioning(_) if model.locks => {}
        Action::Versioning(on) => {
            let status =
                if *on { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
            let configuration = VersioningConfiguration::builder().status(status).build();
            let put = client.put_bucket_versioning().bucket("bucket").versioning_configuration(configuration);
            put.send().await.unwrap();
            model.keeps = Some(*on);
        }
        Action::Multipart(key, body) => {
            let key = name(*key);
            let begun = client.create_multipart_upload().bucket("bucket").key(&key).send().await.unwrap();
            let upload = begun.upload_id().unwrap();
            let part = client.upload_part().bucket("bucket").key(&key).upload_id(upload).part_number(1);
            let part = part.body(ByteStream::from(bytes(*body))).send().await.unwrap();
            let part = CompletedPart::builder().part_number(1).e_tag(part.e_tag().unwrap()).build();
            let parts = CompletedMultipartUpload::builder().parts(part).build();
            let complete = client.complete_multipart_upload().bucket("bucket").key(&key).upload_id(upload);
            let completed = complete.multipart_upload(parts).send().await.unwrap();
            model.write(&key, completed.version_id(), Some(*body));
        }
        Action::Hold(key, on) => {
            let status = if *on { ObjectLockLegalHoldStatus::On } else { ObjectLockLegalHoldStatus::Off };
            let hold = ObjectLockLegalHold::builder().status(status).build();
            let put =
                client.put_object_legal_hold().bucket("bucket").key(name(*key)).legal_hold(hold).send().await;
            let current = model.keys.get(&name(*key)).and_then(|versions| versions.last());
            match current.filter(|(_, body)| model.locks && body.is_some()) {
                Some((id, _)) if *on => drop((put.unwrap(), model.held.insert(id.clone()))),
                Some((id, _)) => drop((put.unwrap(), model.held.remove(id))),
                None => assert!(put.is_err(), "nothing to hold"),
            }
        }
        Action::Restart | Action::Crash(_) => {}
    }
}

/// A body that is told apart from others; one in four has a file of its own on the disk.
fn bytes(body: u8) -> Vec<u8> {
    let size = if body.is_multiple_of(4) { 200_000 } else { 1 };
    vec![body; size]
}

fn name(key: u8) -> String {
    format!("key/{key}")
}

async fn compare(client: &Client, model: &Model) {
    let listed = client.list_object_versions().bucket("bucket").send().await.unwrap();
    for key in 0..3 {
        let mut expected = model.keys.get(&name(key)).cloned().unwrap_or_default();
        expected.reverse();
        let of_key = |found: Option<&str>| found == Some(&*name(key));
        let bodies = expected.iter().filter(|(_, body)| body.is_some()).map(|(id, _)| id.clone());
        let found = listed.versions().iter().filter(|version| of_key(version.key()));
        let found: Vec<String> =
            found.filter_map(|version| version.version_id().map(str::to_owned)).collect();
        assert_eq!(found, bodies.collect::<Vec<_>>());
        let markers = listed.delete_markers().iter().filter(|marker| of_key(marker.key())).count();
        assert_eq!(markers, expected.iter().filter(|(_, body)| body.is_none()).count());
        let got = client.get_object().bucket("bucket").key(name(key)).send().await;
        let got = match got {
            Ok(got) => Some(got.body.collect().await.unwrap().into_bytes()),
            Err(_) => None,
        };
        let expected = model.current(&name(key)).map(bytes);
        assert!(got.as_deref() == expected.as_deref(), "{key}: {:?}", got.map(|got| got.len()));
    }
}

/// The folder as a crash of the process leaves it: whatever is there at this moment, the log torn in the middle of its next line. What
/// a loss of power would take is not seen by who reads; for that the order of syncs is looked at (`durability.rs`).
fn crash(dir: &Path, torn: u8) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let target = copy.path().join(entry.path().strip_prefix(dir).unwrap());
            if entry.file_type().unwrap().is_dir() {
                std::fs::create_dir_all(&target).unwrap();
                folders.push(entry.path());
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let mut log = std::fs::OpenOptions::new().append(true).open(copy.path().join("s3/index.log")).unwrap();
    let line = b"00000000 {\"VersionGone\":{\"bucket\":\"bucket\",\"key\":\"key/0\",\"id\":1}}\n";
    log.write_all(&line[..usize::from(torn) % line.len()]).unwrap();
    copy
}

async fn run(actions: Vec<Action>, locks: bool) {
    let mut dir = tempfile::tempdir().unwrap();
    let mut setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, locks).await.unwrap();
    let mut model = Model { locks, keeps: locks.then_some(true), ..Model::default() };
    for action in &actions {
        if matches!(action, Action::Restart) {
            setup.stop().await;
            setup = start(dir.path()).await;
        }
        if let Action::Crash(torn) = action {
            // A write that is under way when the crash comes, and that nobody is told of.
            let unanswered = setup.client("FULL").put_object().bucket("bucket").key("unanswered");
            let unanswered = unanswered.body(ByteStream::from_static(b"x")).send();
            let (_, copy) = futures::join!(unanswered, async { crash(dir.path(), *torn) });
            setup.stop().await;
            dir = copy;
            setup = start(dir.path()).await;
        }
        act(&setup, &mut model, action).await;
        compare(&setup.client("FULL"), &model).await;
    }
    setup.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_sequence_leaves_what_the_model_says(actions in prop::collection::vec(action(), 1..25), locks in any::<bool>()) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(run(actions, locks));
    }
}
