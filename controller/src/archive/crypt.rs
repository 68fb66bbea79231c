//! Encryption for `age` recipients, in passing: what is sealed never touches the disk in clear, what is opened never lies there either.
//!
//! The library's writers are synchronous; they run on a blocking thread that a channel feeds.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::iter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use age::x25519;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

/// Pieces on their way between the line and the thread.
const IN_FLIGHT: usize = 16;
/// How much is opened at once.
const PIECE: usize = 64 << 10;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum CryptError {
    /// A recipient cannot be read.
    #[error("`{0}` is no age recipient: it should begin with age1")]
    Recipient(String),
    /// There is nobody to encrypt for.
    #[error("the plan names no age recipient")]
    NoRecipient,
    /// The identity cannot be read.
    #[error("what should be an age identity cannot be read: it should hold a line that begins with AGE-SECRET-KEY-")]
    Identity,
    /// It is encrypted for somebody else, or damaged.
    #[error("it cannot be opened: {0}")]
    Closed(#[from] age::DecryptError),
    /// A file cannot be used, or the line broke.
    #[error("sealing or opening")]
    Io(#[from] std::io::Error),
}

/// Whoever will be able to read it.
#[derive(Debug, Clone)]
pub struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    /// Reads what a plan says.
    pub fn parse(texts: &[String]) -> Result<Self, CryptError> {
        if texts.is_empty() {
            return Err(CryptError::NoRecipient);
        }
        let read = |text: &String| {
            x25519::Recipient::from_str(text).map_err(|_| CryptError::Recipient(text.clone()))
        };
        texts.iter().map(read).collect::<Result<Vec<_>, _>>().map(Self)
    }

    fn writer<W: Write>(&self, out: W) -> std::io::Result<age::stream::StreamWriter<W>> {
        let recipients = self.0.iter().map(|recipient| -> &dyn age::Recipient { recipient });
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(std::io::Error::other)?;
        encryptor.wrap_output(out)
    }

    /// Begins to seal into a new private file.
    pub fn seal(&self, path: &Path) -> Seal {
        let (pieces, feed) = mpsc::channel(IN_FLIGHT);
        let (tell, done) = oneshot::channel();
        let (recipients, path) = (self.clone(), path.to_owned());
        tokio::task::spawn_blocking(move || tell.send(write(&recipients, &path, feed)));
        Seal { pieces, done }
    }

    /// Seals what is in memory into a new private file.
    pub async fn seal_bytes(&self, bytes: Bytes, path: &Path) -> Result<Sealed, CryptError> {
        let seal = self.seal(path);
        seal.pass(bytes).await;
        seal.finish().await
    }
}

/// Something that is being sealed. Dropped, the file is incomplete.
#[derive(Debug)]
pub struct Seal {
    pieces: mpsc::Sender<Piece>,
    done: oneshot::Receiver<std::io::Result<Sealed>>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    End,
}

/// What was sealed.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: [u8; 32],
}

impl Seal {
    /// A sender of the same pieces, for a stream that passes by.
    pub fn tee<S, E>(&self, body: S) -> impl Stream<Item = Result<Bytes, E>> + use<S, E>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let pieces = self.pieces.clone();
        body.then(move |piece| {
            let pieces = pieces.clone();
            async move {
                if let Ok(bytes) = &piece {
                    // A thread that ended tells why when it is asked for the end.
                    pieces.send(Piece::Bytes(bytes.clone())).await.ok();
                }
                piece
            }
        })
    }

    async fn pass(&self, bytes: Bytes) {
        self.pieces.send(Piece::Bytes(bytes)).await.ok();
    }

    /// Everything was passed: ends the file, and waits until it is on disk.
    pub async fn finish(self) -> Result<Sealed, CryptError> {
        self.pieces.send(Piece::End).await.ok();
        drop(self.pieces);
        let gone = || std::io::Error::other("the thread that seals is gone");
        Ok(self.done.await.map_err(|_| gone())??)
    }
}

struct Counted {
    file: BufWriter<File>,
    hash: Sha256,
    size: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn write(recipients: &Recipients, path: &Path, mut feed: mpsc::Receiver<Piece>) -> std::io::Result<Sealed> {
    let file = File::options().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    let out = Counted { file: BufWriter::with_capacity(256 << 10, file), hash: Sha256::new(), size: 0 };
    let mut writer = recipients.writer(out)?;
    loop {
        match feed.blocking_recv() {
            Some(Piece::Bytes(bytes)) => writer.write_all(&bytes)?,
            Some(Piece::End) => break,
            None => return Err(std::io::Error::other("what was to be sealed did not come to its end")),
        }
    }
    let mut out = writer.finish()?;
    out.flush()?;
    out.file.get_ref().sync_all()?;
    Ok(Sealed { path: path.to_owned(), size: out.size, sha256: out.hash.finalize().into() })
}

/// Opens a sealed stream with `identity`, the text of an age identity file. What comes out is whole up to an error: the format
/// authenticates each piece.
pub fn open<S, E>(
    sealed: S,
    identity: SecretString,
) -> impl Stream<Item = Result<Bytes, CryptError>> + Send + use<S, E>
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let (pieces, feed) = mpsc::channel::<std::io::Result<Bytes>>(IN_FLIGHT);
    let (send, mut receive) = mpsc::channel(IN_FLIGHT);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(Feed { feed, rest: Bytes::new() }, &identity, &send) {
            send.blocking_send(Err(error)).ok();
        }
    });
    let feeding = async move {
        let mut sealed = std::pin::pin!(sealed);
        while let Some(piece) = sealed.next().await {
            if pieces.send(piece.map_err(std::io::Error::other)).await.is_err() {
                return;
            }
        }
    };
    let opened = futures::stream::poll_fn(move |context| receive.poll_recv(context));
    // The line is read as long as somebody reads what comes out.
    let feeding = futures::stream::once(feeding).filter_map(|()| std::future::ready(None));
    futures::stream::select(feeding.boxed(), opened.boxed())
}

fn read(
    feed: Feed,
    identity: &SecretString,
    out: &mpsc::Sender<Result<Bytes, CryptError>>,
) -> Result<(), CryptError> {
    let file = age::IdentityFile::from_buffer(identity.expose_secret().as_bytes());
    let identities = file.map_err(|_| CryptError::Identity)?.into_identities().map_err(|_| CryptError::Identity)?;
    if identities.is_empty() {
        return Err(CryptError::Identity);
    }
    let decryptor = age::Decryptor::new_buffered(std::io::BufReader::with_capacity(PIECE, feed))?;
    let mut reader = decryptor.decrypt(identities.iter().map(|identity| identity.as_ref()))?;
    loop {
        let mut piece = BytesMut::zeroed(PIECE);
        let read = reader.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        piece.truncate(read);
        if out.blocking_send(Ok(piece.freeze())).is_err() {
            return Ok(());
        }
    }
}

/// A channel as a reader.
struct Feed {
    feed: mpsc::Receiver<std::io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            match self.feed.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let read = self.rest.len().min(buffer.len());
        iter::zip(buffer.iter_mut(), self.rest.split_to(read)).for_each(|(to, from)| *to = from);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    fn pieces(bytes: Vec<u8>) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
        futures::stream::iter(bytes.chunks(1_000).map(Bytes::copy_from_slice).map(Ok).collect::<Vec<_>>())
    }

    async fn opened(path: &Path, identity: &x25519::Identity) -> Result<Vec<u8>, CryptError> {
        let open = open(pieces(std::fs::read(path).unwrap()), identity.to_string());
        open.try_collect::<Vec<_>>().await.map(|pieces| pieces.concat())
    }

    #[tokio::test]
    async fn what_is_sealed_in_passing_is_opened_by_its_recipient_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealed");
        let (ours, other) = (x25519::Identity::generate(), x25519::Identity::generate());
        let clear: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        let seal = Recipients::parse(&[ours.to_public().to_string()]).unwrap().seal(&path);
        let passed: Vec<Bytes> = seal.tee(pieces(clear.clone())).try_collect().await.unwrap();
        let sealed = seal.finish().await.unwrap();
        assert_eq!(passed.concat(), clear);
        let stored = std::fs::read(&path).unwrap();
        assert_eq!((sealed.size, hex::encode(sealed.sha256)), (stored.len() as u64, hex::encode(Sha256::digest(&stored))));
        assert_eq!(opened(&path, &ours).await.unwrap(), clear);
        assert!(matches!(opened(&path, &other).await, Err(CryptError::Closed(_))));
        std::fs::write(&path, &stored[..stored.len() - 1]).unwrap();
        assert!(opened(&path, &ours).await.is_err(), "a cut file must not look whole");
    }

    #[tokio::test]
    async fn what_breaks_off_is_never_a_sealed_file() {
        let folder = tempfile::tempdir().unwrap();
        let ours = x25519::Identity::generate();
        let Seal { pieces, done } =
            Recipients::parse(&[ours.to_public().to_string()]).unwrap().seal(&folder.path().join("sealed"));
        pieces.send(Piece::Bytes(Bytes::from_static(b"half"))).await.unwrap();
        drop(pieces);
        assert!(done.await.unwrap().is_err());
    }

    #[test]
    fn recipients_are_read_or_named() {
        assert!(matches!(Recipients::parse(&[]), Err(CryptError::NoRecipient)));
        assert!(matches!(Recipients::parse(&["age1x".into()]), Err(CryptError::Recipient(text)) if text == "age1x"));
    }
}
