//! Lists in the order of the keys' bytes, as S3 has it. A store that lists in another order (folder by folder, by UTF-16, by place) is
//! found out by its pages; from then on its lists are sorted before they are read, on disk, so that their length does not matter.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Seek as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};

use super::{ObjectSummary, S3, S3Error, objects::each};

/// Objects that are held at once, of a list that is sorted.
const HELD: usize = 1 << 16;
/// Objects of a sorted page.
const PAGE: usize = 1_000;

type Pages<'a> = BoxStream<'a, Result<Vec<ObjectSummary>, S3Error>>;

/// What is known of the order of a store's lists. Clones know the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Order(Arc<AtomicBool>);

impl Order {
    /// A list of this store was seen to be in another order.
    pub(super) fn is_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl S3 {
    /// Pages of all objects whose keys begin with `prefix`, in the order of the keys' bytes; or [`S3Error::Disordered`] where a page does not
    /// go on where the one before it ended: of two lists that are compared while both are read, objects would be taken for missing. Begun
    /// again after that, they come in order.
    pub fn list_pages_in_order<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
    ) -> impl Stream<Item = Result<Vec<ObjectSummary>, S3Error>> + Send + 'a {
        let pages: Pages<'a> = self.list_pages(bucket, prefix).boxed();
        if self.order.is_lost() { sorted(pages, HELD) } else { self.checked(pages) }
    }

    /// The same, one by one.
    pub fn list_in_order<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
    ) -> impl Stream<Item = Result<ObjectSummary, S3Error>> + Send + 'a {
        self.list_pages_in_order(bucket, prefix).map_ok(each).try_flatten()
    }

    fn checked<'a>(&'a self, pages: Pages<'a>) -> Pages<'a> {
        let mut last = None::<String>;
        let follow = move |page| {
            let page = follows(&mut last, page);
            self.order.0.fetch_or(page.is_err(), Ordering::Relaxed);
            std::future::ready(page)
        };
        pages.and_then(follow).boxed()
    }
}

/// The page, if it goes on after the key `last`, which becomes its own.
fn follows(last: &mut Option<String>, page: Vec<ObjectSummary>) -> Result<Vec<ObjectSummary>, S3Error> {
    let (Some(first), Some(end)) = (page.first(), page.last()) else { return Ok(page) };
    if let Some(before) = last.as_ref().filter(|before| **before >= first.key) {
        return Err(S3Error::Disordered { key: first.key.clone(), before: before.clone() });
    }
    *last = Some(end.key.clone());
    Ok(page)
}

/// All pages in order, of which at most `held` objects are in memory at once.
fn sorted(pages: Pages<'_>, held: usize) -> Pages<'_> {
    let sorter = Sorter { held: Vec::new(), most: held, files: Vec::new() };
    let gathered = pages.try_fold(sorter, |mut sorter, page| {
        std::future::ready(sorter.add(page).map(|()| sorter).map_err(wrong))
    });
    let merged = async { gathered.await?.merged().map_err(wrong) };
    futures::stream::once(merged).map_ok(futures::stream::iter).try_flatten().boxed()
}

/// Sorts in batches, which it keeps in files without a name.
struct Sorter {
    held: Vec<ObjectSummary>,
    most: usize,
    files: Vec<File>,
}

impl Sorter {
    fn add(&mut self, page: Vec<ObjectSummary>) -> std::io::Result<()> {
        self.held.extend(page);
        if self.held.len() < self.most {
            return Ok(());
        }
        let mut file = tempfile::tempfile()?;
        let mut out = BufWriter::with_capacity(1 << 18, &mut file);
        for object in self.batch() {
            serde_json::to_writer(&mut out, &object)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        drop(out);
        file.rewind()?;
        self.files.push(file);
        Ok(())
    }

    fn batch(&mut self) -> Vec<ObjectSummary> {
        let mut batch = std::mem::take(&mut self.held);
        batch.sort_by(|a, b| a.key.cmp(&b.key));
        batch
    }

    fn merged(mut self) -> std::io::Result<Merged> {
        let rest = Batch::Held(self.batch().into());
        let files = self.files.into_iter().map(|file| Batch::File(BufReader::with_capacity(1 << 16, file)));
        let mut merged =
            Merged { batches: files.chain([rest]).collect(), heads: BinaryHeap::new(), last: None };
        (0..merged.batches.len()).try_for_each(|batch| merged.refill(batch))?;
        Ok(merged)
    }
}

/// A sorted part of a list.
enum Batch {
    Held(VecDeque<ObjectSummary>),
    File(BufReader<File>),
}

impl Batch {
    fn next(&mut self) -> std::io::Result<Option<ObjectSummary>> {
        let file = match self {
            Self::Held(held) => return Ok(held.pop_front()),
            Self::File(file) => file,
        };
        let mut line = Vec::new();
        if file.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&line)?))
    }
}

/// Pages of all batches together.
struct Merged {
    batches: Vec<Batch>,
    /// The next object of each.
    heads: BinaryHeap<Reverse<Head>>,
    last: Option<String>,
}

/// An object, and from which batch.
struct Head(ObjectSummary, usize);

impl Merged {
    fn refill(&mut self, batch: usize) -> std::io::Result<()> {
        let next = self.batches.get_mut(batch).map(Batch::next).transpose()?.flatten();
        self.heads.extend(next.map(|object| Reverse(Head(object, batch))));
        Ok(())
    }

    fn page(&mut self) -> std::io::Result<Vec<ObjectSummary>> {
        let mut page = Vec::new();
        while page.len() < PAGE {
            let Some(Reverse(Head(object, batch))) = self.heads.pop() else { break };
            self.refill(batch)?;
            // What was put while the list was read may be on two of its pages.
            if self.last.as_ref() != Some(&object.key) {
                self.last = Some(object.key.clone());
                page.push(object);
            }
        }
        Ok(page)
    }
}

impl Iterator for Merged {
    type Item = Result<Vec<ObjectSummary>, S3Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let page = self.page().map_err(wrong);
        page.map(|page| Some(page).filter(|page| !page.is_empty())).transpose()
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.0.key, self.1).cmp(&(&other.0.key, other.1))
    }
}

fn wrong(source: std::io::Error) -> S3Error {
    S3Error::File { call: "objects.list", source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whatever_the_order_of_a_list_it_is_sorted_with_few_objects_in_memory() {
        let object = |number: usize| {
            let key = format!("é{:06}", number * 7_919 % 5_000);
            ObjectSummary { key, size: 1, etag: "e".into(), modified: None, storage_class: None }
        };
        let all: Vec<_> = (0..5_000).chain(100..110).map(object).collect();
        let pages: Vec<_> = all.chunks(130).map(|page| Ok(page.to_vec())).collect();
        let pages: Vec<_> = sorted(futures::stream::iter(pages).boxed(), 400).try_collect().await.unwrap();
        assert!(pages.iter().all(|page| page.len() <= PAGE));
        let keys: Vec<_> = pages.concat().into_iter().map(|object| object.key).collect();
        assert_eq!(keys, (0..5_000).map(|number| format!("é{number:06}")).collect::<Vec<_>>());
    }
}
