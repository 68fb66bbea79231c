//! A small object store as nobody here has seen one: it lists in an order of its own, its entity tags are no digests, and it has never
//! heard of versions, tags, locks and access control lists. In memory; signatures are not looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use reprise_sandbox::world::World;
use sha2::{Digest as _, Sha256};

/// Keys of a page.
const PAGE: usize = 3;

type Shelves = BTreeMap<(String, String), (Bytes, String)>;

/// The store.
#[derive(Debug, Clone)]
pub struct Stranger {
    endpoint: String,
    things: Arc<Mutex<Shelves>>,
    /// Its buckets, where they have to be made; else there is whatever is asked for.
    buckets: Option<Arc<Mutex<BTreeSet<String>>>>,
    /// It says that it encrypts.
    says_so: bool,
    /// Its lists show no content yet that is there.
    late: Arc<AtomicBool>,
}

impl Stranger {
    /// Serves for as long as the world lasts.
    pub(crate) async fn start(world: &Arc<World>, says_so: bool) -> Self {
        Self::serve(world, says_so, None).await
    }

    /// The same without a bucket.
    pub(crate) async fn empty(world: &Arc<World>, says_so: bool) -> Self {
        Self::serve(world, says_so, Some(Arc::default())).await
    }

    async fn serve(world: &Arc<World>, says_so: bool, buckets: Option<Arc<Mutex<BTreeSet<String>>>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let stranger = Self { endpoint, things: Arc::default(), buckets, says_so, late: Arc::default() };
        let routes = Router::new()
            .route("/{bucket}", axum::routing::any(bucket))
            .route("/{bucket}/", axum::routing::any(bucket))
            .route("/{bucket}/{*key}", axum::routing::any(object))
            .with_state(stranger.clone());
        world.tasks.spawn("stranger", async move { axum::serve(listener, routes).await.expect("it serves") });
        stranger
    }

    /// Whether its lists are late from now on.
    pub fn is_late(&self, late: bool) {
        self.late.store(late, Ordering::Relaxed);
    }

    /// Takes an object out.
    pub fn remove(&self, bucket: &str, key: &str) {
        self.things.lock().expect("the shelves").remove(&(bucket.to_owned(), key.to_owned()));
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Puts an object.
    pub fn put(&self, bucket: &str, key: &str, content: impl Into<Bytes>) {
        let (mut things, content) = (self.things.lock().expect("the shelves"), content.into());
        // As long as an MD5, and other for the same bytes each time.
        let number = things.len() + usize::from(things.contains_key(&(bucket.to_owned(), key.to_owned())));
        let tag = hex::encode(Sha256::digest(format!("{bucket}{key}{number}")))[..32].to_owned();
        things.insert((bucket.to_owned(), key.to_owned()), (content, tag));
    }

    /// Whether there is such a bucket.
    pub fn has(&self, bucket: &str) -> bool {
        let made =
            |buckets: &Arc<Mutex<BTreeSet<String>>>| buckets.lock().expect("the buckets").contains(bucket);
        self.buckets.as_ref().is_none_or(made)
    }

    /// What lies in a bucket below `prefix`, by key.
    pub fn things(&self, bucket: &str, prefix: &str) -> BTreeMap<String, Bytes> {
        let things = self.things.lock().expect("the shelves");
        let here = things.iter().filter(|((one, key), _)| one == bucket && key.starts_with(prefix));
        here.map(|((_, key), (content, _))| (key.clone(), content.clone())).collect()
    }

    fn get(&self, bucket: &str, key: &str) -> Option<(Bytes, String)> {
        self.things.lock().expect("the shelves").get(&(bucket.to_owned(), key.to_owned())).cloned()
    }

    fn dressed(&self, tag: &str, response: impl IntoResponse) -> Response {
        let mut response = response.into_response();
        let headers = response.headers_mut();
        headers.insert("etag", format!("\"{tag}\"").parse().expect("a tag"));
        if self.says_so {
            headers.insert("x-amz-server-side-encryption", "aws:kms".parse().expect("a word"));
        }
        response
    }
}

type Words = Query<HashMap<String, String>>;

/// Whatever it has never heard of.
fn unknown(words: &HashMap<String, String>) -> Option<Response> {
    let strange = ["versions", "versioning", "uploads", "acl", "tagging", "object-lock", "retention"];
    let asked = strange.iter().any(|word| words.contains_key(*word));
    asked.then(|| (StatusCode::NOT_IMPLEMENTED, "<Error><Code>NotImplemented</Code></Error>").into_response())
}

/// Buckets belong to whoever makes them: nobody is to be told who may read them.
async fn bucket(
    State(store): State<Stranger>,
    Path(bucket): Path<String>,
    Query(words): Words,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if let Some(answer) = unknown(&words) {
        return answer;
    }
    let Some(buckets) = &store.buckets else { return list(&store, &bucket, &words) };
    let error = |status, code: &str| (status, format!("<Error><Code>{code}</Code></Error>")).into_response();
    match method {
        Method::PUT if headers.contains_key("x-amz-acl") => {
            error(StatusCode::BAD_REQUEST, "InvalidBucketAclWithObjectOwnership")
        }
        Method::PUT => {
            buckets.lock().expect("the buckets").insert(bucket);
            StatusCode::OK.into_response()
        }
        _ if !store.has(&bucket) => error(StatusCode::NOT_FOUND, "NoSuchBucket"),
        Method::DELETE if !store.things(&bucket, "").is_empty() => {
            error(StatusCode::CONFLICT, "BucketNotEmpty")
        }
        Method::DELETE => {
            buckets.lock().expect("the buckets").remove(&bucket);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => list(&store, &bucket, &words),
    }
}

fn list(store: &Stranger, bucket: &str, words: &HashMap<String, String>) -> Response {
    let word = |name: &str| words.get(name).map(String::as_str).unwrap_or_default();
    let mut keys: Vec<_> = store.things(bucket, word("prefix")).into_keys().collect();
    keys.reverse();
    keys.retain(|key| !(store.late.load(Ordering::Relaxed) && key.contains("/objects/")));
    let from: usize = word("continuation-token").parse().unwrap_or_default();
    let entry = |key: &String| {
        let (content, tag) = store.get(bucket, key).expect("a thing");
        let key = key.replace('&', "&amp;").replace('<', "&lt;");
        format!("<Contents><Key>{key}</Key><Size>{}</Size><ETag>{tag}</ETag></Contents>", content.len())
    };
    let entries: String = keys.iter().skip(from).take(PAGE).map(entry).collect();
    let (next, more) = (from + PAGE, keys.len() > from + PAGE);
    let next =
        if more { format!("<NextContinuationToken>{next}</NextContinuationToken>") } else { String::new() };
    format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{next}{entries}</ListBucketResult>")
        .into_response()
}

async fn object(
    State(store): State<Stranger>,
    Path((bucket, key)): Path<(String, String)>,
    Query(words): Words,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(answer) = unknown(&words) {
        return answer;
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if method == Method::PUT {
        let from = header("x-amz-copy-source").map(|from| from.trim_start_matches('/').to_owned());
        let from = from.as_deref().and_then(|from| from.split_once('/'));
        let content = match from {
            Some((bucket, key)) => store.get(bucket, key).expect("what is copied").0,
            None => body,
        };
        store.put(&bucket, &key, content);
        let (_, tag) = store.get(&bucket, &key).expect("what was put");
        let answer = from.map(|_| format!("<CopyObjectResult><ETag>{tag}</ETag></CopyObjectResult>"));
        return store.dressed(&tag, answer.unwrap_or_default());
    }
    if method == Method::DELETE {
        store.remove(&bucket, &key);
        return StatusCode::NO_CONTENT.into_response();
    }
    let Some((content, tag)) = store.get(&bucket, &key) else { return StatusCode::NOT_FOUND.into_response() };
    let range = header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let content = match range {
        Some((from, to)) => {
            let place = |text: &str| text.parse::<usize>().expect("a place");
            content.slice(place(from)..(place(to) + 1).min(content.len()))
        }
        None => content,
    };
    store.dressed(&tag, content)
}
