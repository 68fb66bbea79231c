//! An object store of the sandbox as one of its customers sees it: what lies there, put and taken with the vendor's own SDK.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ObjectCannedAcl, Tag, Tagging};
use bytes::Bytes;
use reprise_sandbox::s3::{Durability, Key, Rates, S3, S3Config, Seeded};
use reprise_sandbox::world::World;
use sha2::{Digest as _, Sha256};

/// World time that cold storage takes to thaw.
const THAW: Duration = Duration::from_mins(1);

/// The region of every store here.
pub const REGION: &str = "fr-par";

/// One store, and what opens it.
#[derive(Debug)]
pub struct Shelf {
    s3: Arc<S3>,
    world: Arc<World>,
    name: &'static str,
    keys: Vec<Key>,
    client: Client,
}

/// An object with all that travels with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// In bytes.
    pub size: u64,
    /// The digest of its content.
    pub sha256: String,
    /// Its headers: media type, cache control, disposition, encoding, language.
    pub headers: [Option<String>; 7],
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What others than its owner may do: a permission, and to whom.
    pub grants: Vec<(String, String)>,
}

impl Shelf {
    /// Starts a store called `name`, with a pair that may do everything, one that reads, one that adds, a second one that
    /// may do everything: what a bucket's policy then allows it is all it may; and the daemon's, so that what it did is told from
    /// what a scene did.
    pub(crate) async fn start(world: &Arc<World>, name: &'static str) -> Self {
        // Of this store alone, so that it is seen when a pair is shown to another.
        let id = |who: &str| format!("SCW-{name}-{who}").to_uppercase();
        let pair = |who: &str| (id(who), format!("secret-of-{name}-{who}"));
        let mut keys = Key::set(pair("owner")).to_vec();
        keys.extend(["guest", "daemon"].into_iter().flat_map(|who| Key::set(pair(who)).into_iter().take(1)));
        let config = S3Config { name, region: REGION.into(), keys: keys.clone(), thaw: THAW };
        let dir = world.folder(name).expect("a folder");
        let started = S3::start_with(world, Path::new(&dir), config, Durability::Relaxed).await;
        let s3 = started.expect("an object store");
        let client = client(&s3.endpoint(), &keys[0]);
        Self { s3, world: Arc::clone(world), name, keys, client }
    }

    /// The same store once more.
    pub(crate) fn again(&self) -> Self {
        let (s3, world) = (Arc::clone(&self.s3), Arc::clone(&self.world));
        Self { s3, world, name: self.name, keys: self.keys.clone(), client: self.client.clone() }
    }

    /// The secret halves of all pairs.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = String> {
        self.keys.iter().map(|key| key.secret_access_key.clone())
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        self.s3.endpoint()
    }

    /// The address that it listens on.
    pub fn address(&self) -> std::net::SocketAddr {
        self.s3.addr()
    }

    /// The vendor's SDK, with the owner's pair.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The pair that may do everything.
    pub fn owner(&self) -> &Key {
        &self.keys[0]
    }

    /// The pair that reads and adds, and never replaces or deletes.
    pub fn adder(&self) -> &Key {
        &self.keys[2]
    }

    /// Another customer's pair, which may do what a bucket's policy allows it.
    pub fn guest(&self) -> &Key {
        &self.keys[3]
    }

    /// The pair that the daemon has, unless a scene gives it another. It may do everything.
    pub fn daemon(&self) -> &Key {
        &self.keys[4]
    }

    /// Makes a bucket.
    pub async fn bucket(&self, name: &str, versioning: bool, lock: bool) {
        self.s3.make_bucket(name, versioning, lock).await.expect("a bucket");
    }

    /// Puts an object.
    pub async fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        let body = ByteStream::from(body.into());
        let put = self.client.put_object().bucket(bucket).key(key).body(body).send().await;
        put.unwrap_or_else(|error| panic!("{key} was not put: {error:?}"));
    }

    /// Puts an object by way of an upload of one part.
    pub async fn put_in_parts(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        put_in_parts(&self.client, bucket, key, body).await;
    }

    /// Puts an object with everything that can travel with one.
    pub async fn put_dressed(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        let put = self.client.put_object().bucket(bucket).key(key).body(ByteStream::from(body.into()));
        let put = put
            .content_type("application/vnd.oddity+json; charset=utf-8")
            .cache_control("private, max-age=60")
            .content_disposition("attachment; filename=\"a b.pdf\"")
            .content_encoding("identity")
            .content_language("fr")
            .expires(aws_sdk_s3::primitives::DateTime::from_secs(1_956_528_000))
            .website_redirect_location("/elsewhere.pdf")
            .metadata("dossier", "75-2026/ 3 & more")
            .metadata("empty-ish", "-")
            .acl(ObjectCannedAcl::PublicRead);
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().expect("a tag");
        let tags = Tagging::builder().tag_set(tag("kind", "convention")).tag_set(tag("a b", "c+d=e"));
        put.send().await.expect("a dressed object");
        let tagged = self.client.put_object_tagging().bucket(bucket).key(key);
        tagged.tagging(tags.build().expect("tags")).send().await.expect("its tags");
    }

    /// Puts many small objects at once.
    pub async fn seed(&self, bucket: &str, objects: impl Iterator<Item = (String, Bytes)> + Send) {
        let seeded =
            objects.map(|(key, body)| Seeded { key, content_type: "application/octet-stream", body });
        self.s3.seed_many(bucket, "STANDARD", seeded).await.expect("seeded objects");
    }

    /// Deletes an object.
    pub async fn delete(&self, bucket: &str, key: &str) {
        self.client.delete_object().bucket(bucket).key(key).send().await.expect("a deletion");
    }

    /// What lies under a key.
    pub async fn get(&self, bucket: &str, key: &str) -> Bytes {
        let found = self.client.get_object().bucket(bucket).key(key).send().await;
        let found = found.unwrap_or_else(|error| panic!("{key} is not there: {error:?}"));
        found.body.collect().await.expect("its bytes").into_bytes()
    }

    /// Keys and sizes below `prefix`.
    pub async fn list(&self, bucket: &str, prefix: &str) -> Vec<(String, i64)> {
        let mut pages = self.client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.expect("a page").contents.unwrap_or_default();
            found.extend(page.into_iter().map(|one| (one.key.unwrap_or_default(), one.size.unwrap_or(-1))));
        }
        found
    }

    /// Everything below `prefix`, by keys without it.
    pub async fn whole(&self, bucket: &str, prefix: &str) -> BTreeMap<String, Thing> {
        let mut all = BTreeMap::new();
        for (key, _) in self.list(bucket, prefix).await {
            let thing = self.thing(bucket, &key).await;
            all.insert(key[prefix.len()..].to_owned(), thing);
        }
        all
    }

    /// One object.
    pub async fn thing(&self, bucket: &str, key: &str) -> Thing {
        let found = self.client.get_object().bucket(bucket).key(key).send().await;
        let found = found.unwrap_or_else(|error| panic!("{key} is not there: {error:?}"));
        let tags = self.client.get_object_tagging().bucket(bucket).key(key).send().await.expect("tags");
        let headers = [
            found.content_type,
            found.cache_control,
            found.content_disposition,
            found.content_encoding,
            found.content_language,
            found.expires_string,
            found.website_redirect_location,
        ];
        let bytes = found.body.collect().await.expect("its bytes").into_bytes();
        Thing {
            size: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
            headers,
            metadata: found.metadata.unwrap_or_default().into_iter().collect(),
            tags: tags.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect(),
            grants: self.grants(bucket, key).await,
        }
    }

    /// What others than its owner may do with an object.
    pub async fn grants(&self, bucket: &str, key: &str) -> Vec<(String, String)> {
        let seen = self.client.get_object_acl().bucket(bucket).key(key).send().await.expect("its grants");
        let owner = seen.owner().and_then(|owner| owner.id());
        let others = seen.grants().iter().filter_map(|grant| {
            let (grantee, permission) = (grant.grantee()?, grant.permission()?.as_str());
            let to = grantee.uri().or_else(|| grantee.id()).filter(|to| Some(*to) != owner)?;
            Some((permission.to_owned(), to.to_owned()))
        });
        others.collect()
    }

    /// Lets one other customer read an object.
    pub async fn share(&self, bucket: &str, key: &str, with: &str) {
        let seen = self.client.get_object_acl().bucket(bucket).key(key).send().await.expect("its grants");
        let owner = seen.owner().and_then(|owner| owner.id()).expect("an owner").to_owned();
        let put = self.client.put_object_acl().bucket(bucket).key(key).grant_read(format!("id=\"{with}\""));
        put.grant_full_control(format!("id=\"{owner}\"")).send().await.expect("a grant");
    }

    /// Lets everybody read an object, or nobody but its owner.
    pub async fn publish(&self, bucket: &str, key: &str, public: bool) {
        let acl = if public { ObjectCannedAcl::PublicRead } else { ObjectCannedAcl::Private };
        self.client.put_object_acl().bucket(bucket).key(key).acl(acl).send().await.expect("a list");
    }

    /// Answers 503 to who writes more often than so many times a second.
    pub fn limit_writes(&self, a_second: f64) {
        // Rates count in the world's time.
        self.s3.limit(Rates { reads: None, writes: Some(a_second / self.world.clock.speed()) });
    }

    /// How often `call` was answered with `status` on paths that contain `path`.
    pub fn answers(&self, call: &str, path: &str, status: u16) -> usize {
        let entries = self.world.journal.entries();
        let meant = entries.iter().filter(|entry| {
            entry.service == self.name
                && entry.call == call
                && entry.resource.contains(path)
                && entry.status == status
        });
        meant.count()
    }

    /// How often `call` took effect here on paths that contain `path`.
    pub fn effects(&self, call: &str, path: &str) -> usize {
        let entries = self.world.journal.entries();
        let meant = entries.iter().filter(|entry| {
            entry.service == self.name
                && entry.call == call
                && entry.resource.contains(path)
                && (200..300).contains(&entry.status)
        });
        meant.count()
    }
}

/// Puts an object by way of an upload of one part: its tag tells nothing of its bytes.
pub async fn put_in_parts(client: &Client, bucket: &str, key: &str, body: impl Into<Bytes>) {
    let begun = client.create_multipart_upload().bucket(bucket).key(key);
    let begun = begun.send().await.expect("an upload");
    let upload = begun.upload_id().expect("its id");
    let part = client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(1);
    let part = part.body(ByteStream::from(body.into())).send().await.expect("a part");
    let part = CompletedPart::builder().part_number(1).set_e_tag(part.e_tag).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let done = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(upload);
    done.multipart_upload(parts).send().await.expect("an object");
}

/// A client of the store at `endpoint` that signs with `key`.
pub fn client(endpoint: &str, key: &Key) -> Client {
    let pair = Credentials::new(&key.access_key_id, &key.secret_access_key, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(pair)
        .force_path_style(true);
    Client::from_conf(config.build())
}
