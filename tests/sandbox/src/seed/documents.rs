//! The files in the bucket, by number: the same for the same seed. Keys are as users name files (spaces, accents, `+`, `%`, `#`,
//! quotes, folders); one is empty. All of them fit into a zip of the upload action. Pure.

use bytes::Bytes;

use super::Size;

/// One object of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The exact key.
    pub key: String,
    /// Its type.
    pub content_type: &'static str,
    /// Its content.
    pub bytes: Bytes,
}

/// Objects that no row refers to: the first of the list. Every row refers to an object that is there.
pub const ORPHANS: usize = 2;
/// Sizes between nothing and this, most of them small.
const MAX_BYTES: u64 = 360_000;
/// The first so many are that long; a bucket that holds more is one of very many small files.
const LONG: usize = 2_000;
/// Sizes beyond those.
const MAX_SHORT: u64 = 4_000;

/// The bucket's content, one by one: nobody needs all of it in memory.
pub fn documents(size: Size, seed: u64) -> impl Iterator<Item = Document> + Send {
    let mut noise = Noise::new(seed ^ 0x9e37_79b9_7f4a_7c15);
    (0..size.counts().documents).map(move |index| document(index, &mut noise))
}

fn document(index: usize, noise: &mut Noise) -> Document {
    let fixed = |key: &str, content_type, bytes: &[u8]| Document {
        key: key.to_owned(),
        content_type,
        bytes: Bytes::copy_from_slice(bytes),
    };
    match index {
        0 => fixed("tmp/téléversement interrompu.part", "application/octet-stream", b"debut"),
        1 => {
            fixed("modèles/LISEZ-MOI.txt", "text/plain; charset=utf-8", "Modèles de conventions\n".as_bytes())
        }
        2 => fixed("modèles/vide.txt", "text/plain; charset=utf-8", b""),
        _ => numbered(index, noise),
    }
}

fn numbered(index: usize, noise: &mut Noise) -> Document {
    // The cube of an even draw: many small files, few large ones.
    let draw = noise.next() % 1_000;
    let most = if index < LONG { MAX_BYTES } else { MAX_SHORT };
    let length = usize::try_from(draw * draw * draw * most / 1_000_000_000).unwrap_or(0);
    let (year, folder) = (2019 + index % 8, index / 25);
    let (name, content_type) = match index % 8 {
        0 => (format!("Convention signée n°{index}.pdf"), "application/pdf"),
        1 => (format!("plan+coupe {index}.jpg"), "image/jpeg"),
        2 => (format!("100% réservé ({index}).pdf"), "application/pdf"),
        3 => (format!("l'état des lieux & annexe #{index}.pdf"), "application/pdf"),
        4 => (format!("notes_{index}.txt"), "text/plain; charset=utf-8"),
        5 => (format!("photo=façade~{index}.jpeg"), "image/jpeg"),
        6 => (format!("Œuvre, pièce n° {index} [v2].pdf"), "application/pdf"),
        _ => (format!("{index:05}.pdf"), "application/pdf"),
    };
    let bytes = match content_type {
        "application/pdf" => wrapped(
            b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nstream\n",
            length,
            b"\nendstream\n%%EOF\n",
            noise,
        ),
        "image/jpeg" => wrapped(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", length, b"\xff\xd9", noise),
        _ => text(length),
    };
    Document {
        key: format!("conventions/{year}/dossier {folder:03}/{name}"),
        content_type,
        bytes: bytes.into(),
    }
}

fn wrapped(head: &[u8], length: usize, tail: &[u8], noise: &mut Noise) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(head.len() + length + tail.len());
    bytes.extend_from_slice(head);
    noise.fill(&mut bytes, length);
    bytes.extend_from_slice(tail);
    bytes
}

fn text(length: usize) -> Vec<u8> {
    let line = "L'opération « Les Mûriers » est conventionnée à l'aide personnalisée.\n";
    let mut bytes = line.repeat(length.div_ceil(line.len())).into_bytes();
    bytes.truncate(length);
    bytes
}

/// Bytes that do not compress, cheaply: drawn once (xorshift64*), then cut out at places that are drawn.
struct Noise {
    state: u64,
    pool: Vec<u8>,
}

/// Longer than any file, and not a multiple of the window of a compressor.
const POOL: usize = 786_433;

impl Noise {
    fn new(seed: u64) -> Self {
        let mut noise = Self { state: seed, pool: Vec::with_capacity(POOL + 8) };
        while noise.pool.len() < POOL {
            let word = noise.next();
            noise.pool.extend_from_slice(&word.to_le_bytes());
        }
        noise
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Appends `length` bytes, which differ from those of every other call.
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) {
        let from = usize::try_from(self.next() % (POOL as u64)).unwrap_or(0);
        let first = length.min(POOL - from);
        bytes.extend_from_slice(&self.pool[from..from + first]);
        bytes.extend_from_slice(&self.pool[..length - first]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_same_seed_makes_the_same_files_and_another_others() {
        assert!(documents(Size::Small, 7).eq(documents(Size::Small, 7)));
        assert!(documents(Size::Small, 7).ne(documents(Size::Small, 8)));
    }

    #[test]
    fn keys_are_distinct_and_one_file_is_empty() {
        let all: Vec<Document> = documents(Size::Medium, 1).collect();
        let keys: BTreeSet<&str> = all.iter().map(|document| document.key.as_str()).collect();
        assert_eq!((keys.len(), all.len()), (600, 600));
        assert!(all.iter().any(|document| document.bytes.is_empty()));
        for odd in [" ", "+", "%", "é", "#", "'", "&", "~"] {
            assert!(keys.iter().any(|key| key.contains(odd)), "{odd}");
        }
        let forbidden =
            |key: &&str| key.contains(['"', ':', '<', '>', '|', '*', '?', '\\']) || key.contains("//");
        assert!(!keys.iter().any(forbidden), "the upload action refuses these");
    }
}
