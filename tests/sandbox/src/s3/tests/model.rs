//! Any sequence of writes and deletions leaves what a simple model says, also after a restart.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use proptest::prelude::*;

use super::support::{Setup, start};

#[derive(Debug, Clone)]
enum Action {
    Put(u8, u8),
    Delete(u8),
    DeleteVersion(u8, prop::sample::Index),
    Copy(u8, u8),
    Versioning(bool),
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => (0..3_u8, any::<u8>()).prop_map(|(key, body)| Action::Put(key, body)),
        3 => (0..3_u8).prop_map(Action::Delete),
        2 => (0..3_u8, any::<prop::sample::Index>()).prop_map(|(key, at)| Action::DeleteVersion(key, at)),
        2 => (0..3_u8, 0..3_u8).prop_map(|(from, to)| Action::Copy(from, to)),
        1 => any::<bool>().prop_map(Action::Versioning),
        1 => Just(Action::Restart),
    ]
}

/// Versions of each key, oldest first: identifier, and the body unless it is a delete marker.
#[derive(Debug, Default)]
struct Model {
    keeps: Option<bool>,
    keys: BTreeMap<String, Vec<(String, Option<u8>)>>,
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
                client.put_object().bucket("bucket").key(name(*key)).body(ByteStream::from(vec![*body]));
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
            let (id, _) = versions.remove(at.index(versions.len()));
            client.delete_object().bucket("bucket").key(name(*key)).version_id(id).send().await.unwrap();
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
        Action::Versioning(on) => {
            let status =
                if *on { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
            let configuration = VersioningConfiguration::builder().status(status).build();
            let put = client.put_bucket_versioning().bucket("bucket").versioning_configuration(configuration);
            put.send().await.unwrap();
            model.keeps = Some(*on);
        }
        Action::Restart => {}
    }
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
            Ok(got) => Some(got.body.collect().await.unwrap().into_bytes()[0]),
            Err(_) => None,
        };
        assert_eq!(got, model.current(&name(key)));
    }
}

async fn run(actions: Vec<Action>) {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let mut model = Model::default();
    for action in &actions {
        if matches!(action, Action::Restart) {
            setup.stop().await;
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
    fn any_sequence_leaves_what_the_model_says(actions in prop::collection::vec(action(), 1..25)) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(run(actions));
    }
}
