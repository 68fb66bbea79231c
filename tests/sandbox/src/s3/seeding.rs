//! Many objects at once, from inside the sandbox: the index is changed, and the disk written, once for thousands of them.

use bytes::Bytes;
use s3s::S3Result;

use super::conditions::WriteConditions;
use super::intake;
use super::model::{Attributes, Headers, StorageClass};
use super::objects::{Target, write};
use super::store::Store;

/// One object to be.
#[derive(Debug, Clone)]
pub struct Seeded {
    /// Its key.
    pub key: String,
    /// Its type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: Bytes,
}

/// How many objects share one write to the disk.
const TOGETHER: usize = 5_000;
/// And how many bytes, about.
const BYTES: usize = 32 << 20;

/// Puts `objects`; gives their number.
pub(crate) async fn put_many(
    store: &Store,
    bucket: &str,
    class: StorageClass,
    mut objects: impl Iterator<Item = Seeded> + Send,
) -> S3Result<u64> {
    let mut count = 0;
    loop {
        let (mut arrived, mut bytes) = (Vec::new(), 0);
        while arrived.len() < TOGETHER && bytes < BYTES {
            let Some(one) = objects.next() else { break };
            bytes += one.body.len();
            arrived.push((one.key, one.content_type, intake::take(&store.disk, one.body).await?));
        }
        if arrived.is_empty() {
            return Ok(count);
        }
        count += arrived.len() as u64;
        let written = store.change(|draft| {
            draft.bucket(bucket)?;
            arrived.into_iter().try_for_each(|(key, content_type, arrived)| {
                let headers = Headers { content_type: Some(content_type.to_owned()), ..Headers::default() };
                let attributes = Attributes { class, headers, ..Attributes::default() };
                let target = Target { bucket, key: &key, conditions: WriteConditions::default() };
                write(draft, &target, arrived, attributes).map(drop)
            })
        });
        written.await?;
    }
}
