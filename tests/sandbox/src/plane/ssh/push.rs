//! A push: the real `git receive-pack` on one side, the platform's deployment on the other, the pusher following both.

use std::sync::Arc;
use std::time::Duration;

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;

use super::Site;
use super::git::{Question, Update};
use super::line::Scissors;
use super::repository::{self, Exchange};
use crate::plane::ingress::DEFAULT_DOMAIN;
use crate::plane::platform::{Branch, Push, Turn};
use crate::plane::runner::groups::Groups;
use crate::world::Fault;
use crate::world::journal::Draft;

const STDERR: u32 = 1;
const CHUNK: usize = 32 * 1024;
/// How long the hook may take to open its pipe after it asked.
const HOOK_PATIENCE: Duration = Duration::from_secs(10);
const HOOK_POLL: Duration = Duration::from_millis(5);

/// Tells the client a line and ends its channel with code 1.
pub(super) async fn refuse(channel: Channel<Msg>, line: String) {
    let told = async {
        channel.extended_data_bytes(STDERR, format!("{line}\n")).await?;
        channel.exit_status(1).await?;
        channel.eof().await?;
        channel.close().await
    };
    told.await.ok();
}

/// What ends the connection under a push: in order, or as a line that breaks.
pub(super) struct Ends {
    pub(super) handle: Handle,
    pub(super) scissors: Scissors,
}

impl Ends {
    async fn hang_up(&self) {
        let disconnect = self.handle.disconnect(Disconnect::ByApplication, String::new(), String::new());
        disconnect.await.ok();
    }
}

/// Serves one push from its first byte to its exit code.
pub(super) async fn serve(site: Arc<Site>, ends: Ends, channel: Channel<Msg>, user: String, app: String) {
    if let Err(refusal) = site.platform.may_push(&user, &app) {
        return refuse(channel, refusal).await;
    }
    let fault = site.world.faults.take("git", "push", &app);
    let pusher = Pusher { site, user, app, fault };
    match &pusher.fault {
        Some(Fault::Reject { reason }) => return refuse(channel, reason.clone()).await,
        Some(Fault::DropBefore) => return ends.hang_up().await,
        Some(Fault::Reset { after: false }) => return ends.scissors.reset(),
        Some(Fault::Stall) => return never_answer(channel).await,
        Some(Fault::Latency { ms }) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        _ => {}
    }
    match pusher.run(channel).await {
        Ok(Ended::Told | Ended::Gone) => {}
        Ok(Ended::Silent) if matches!(pusher.fault, Some(Fault::Reset { .. })) => ends.scissors.reset(),
        Ok(Ended::Silent) => ends.hang_up().await,
        Err(error) => {
            tracing::warn!(%error, app = pusher.app, "a push broke");
            ends.hang_up().await;
        }
    }
}

/// Says nothing until the pusher has had enough.
async fn never_answer(channel: Channel<Msg>) {
    let (mut from_client, _held) = channel.split();
    feed(&mut from_client, None).await;
}

/// How a push ended for its pusher.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// With an exit code.
    Told,
    /// The pusher left first: the deployment was aborted.
    Gone,
    /// Done, but by a fault nobody is told.
    Silent,
}

struct Pusher {
    site: Arc<Site>,
    user: String,
    app: String,
    fault: Option<Fault>,
}

impl Pusher {
    async fn run(&self, channel: Channel<Msg>) -> std::io::Result<Ended> {
        let world = &self.site.world;
        let repository = repository::open(world, &self.app).await?;
        let exchange = Exchange::new(world)?;
        let mut child = repository::receive_pack(world, &repository, &exchange).spawn()?;
        // Ends the whole group (the hook, too) whichever way this future ends.
        let groups = Arc::new(Groups::start("KILL"));
        let _group = child.id().map(|leader| groups.adopt(leader));
        let (mut from_client, to_client) = channel.split();
        let stdin = child.stdin.take();
        let way = Way::of(self.fault.as_ref());
        let ended = tokio::select! {
            biased;
            () = feed(&mut from_client, stdin) => return Ok(Ended::Gone),
            error = self.answer_hooks(&exchange, &repository) => return Err(error),
            ended = output(&mut child, &to_client, way) => ended?,
        };
        if way == Way::Lost {
            return Ok(Ended::Silent);
        }
        let told = async {
            to_client.exit_status(ended).await?;
            to_client.eof().await?;
            to_client.close().await
        };
        told.await.map(|()| Ended::Told).map_err(std::io::Error::other)
    }

    /// Answers the hooks' questions: about the push, then about each of its refs. Ends only by an error.
    async fn answer_hooks(&self, exchange: &Exchange, repository: &std::path::Path) -> std::io::Error {
        let answered: std::io::Result<()> = async {
            // Opened for writing too: else the pipe would be at its end between two questions.
            let questions = pipe::OpenOptions::new().read_write(true).open_receiver(exchange.question())?;
            let mut questions = BufReader::new(questions).lines();
            // Kept until git has moved the ref, which it does before it asks again or ends: whoever deploys next finds it moved.
            let mut turn: Option<Turn> = None;
            while let Some(question) = questions.next_line().await? {
                drop(turn.take());
                let mut log = open_log(exchange).await?;
                let accepted = match Question::parse(&question) {
                    Some(Question::All(updates)) => self.judge(&updates, &mut log).await?,
                    Some(Question::One(update)) => {
                        turn = self.decide(&update, repository, &mut log).await?;
                        turn.is_some()
                    }
                    None => false,
                };
                exchange.give_verdict(accepted)?;
            }
            Ok(())
        }
        .await;
        answered.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether every ref of the push may be pushed: if one may not, none is, and nothing is deployed.
    async fn judge(&self, updates: &[Update], log: &mut pipe::Sender) -> std::io::Result<bool> {
        let refusals: Vec<_> = updates.iter().filter_map(|update| update.check().err()).collect();
        for refusal in &refusals {
            say(log, &format!("!     {refusal}")).await?;
        }
        if !refusals.is_empty() {
            for update in updates {
                self.record(update, false);
            }
        }
        Ok(refusals.is_empty())
    }

    /// Deploys one ref, or says why not; the turn lets git update it.
    async fn decide(
        &self,
        update: &Update,
        repository: &std::path::Path,
        log: &mut pipe::Sender,
    ) -> std::io::Result<Option<Turn>> {
        say(log, &format!("<-- Start deployment of [{}] -->", self.app)).await?;
        let outcome = self.deploy(update, repository, log).await?;
        self.record(update, outcome.is_ok());
        match outcome {
            Ok(turn) => {
                say(log, &format!("<-- https://{}.{DEFAULT_DOMAIN} -->", self.app)).await?;
                Ok(Some(turn))
            }
            Err(line) => say(log, &format!("!     {line}")).await.map(|()| None),
        }
    }

    async fn deploy(
        &self,
        update: &Update,
        repository: &std::path::Path,
        log: &mut pipe::Sender,
    ) -> std::io::Result<Result<Turn, String>> {
        let (lines, mut said) = mpsc::unbounded_channel();
        let push = Push {
            app: self.app.clone(),
            user: self.user.clone(),
            commit: update.new.clone(),
            repository: repository.to_owned(),
            branch: Branch { reference: update.reference.clone(), seen: update.old.clone() },
        };
        let mut deployment = self.site.platform.deploy(push, lines);
        let outcome = loop {
            tokio::select! {
                biased;
                Some(line) = said.recv() => say(log, &line).await?,
                outcome = &mut deployment => break outcome,
            }
        };
        while let Ok(line) = said.try_recv() {
            say(log, &line).await?;
        }
        Ok(outcome)
    }

    fn record(&self, update: &Update, accepted: bool) {
        let fault = self.fault.as_ref().map(|fault| fault.kind().to_owned());
        self.site.world.journal.record(Draft {
            service: "git",
            call: "push".into(),
            caller: self.user.clone(),
            resource: format!("{} {} {}", self.app, update.reference, update.new),
            status: if accepted { 200 } else { 422 },
            fault,
        });
    }
}

/// The client's bytes to git, and its end. Resolves when the client is gone.
pub(super) async fn feed(from_client: &mut ChannelReadHalf, mut stdin: Option<ChildStdin>) {
    loop {
        match from_client.wait().await {
            None | Some(ChannelMsg::Close) => return,
            Some(ChannelMsg::Eof) => stdin = None,
            Some(ChannelMsg::Data { data }) => {
                // A git that no longer reads has said why on its other end.
                if let Some(pipe) = stdin.as_mut()
                    && pipe.write_all(&data).await.is_err()
                {
                    stdin = None;
                }
            }
            Some(_) => {}
        }
    }
}

/// How git's answers get to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Open,
    /// Only the greeting, without which there would be no push at all, is let through: the rest is what gets lost.
    Lost,
    /// Only so many bytes per second.
    Slow(u64),
}

impl Way {
    fn of(fault: Option<&Fault>) -> Self {
        match fault {
            Some(Fault::DropAfter | Fault::Reset { .. }) => Self::Lost,
            Some(Fault::SlowBody { bytes_per_second }) => Self::Slow(*bytes_per_second),
            _ => Self::Open,
        }
    }

    /// The bytes that go at once, and the time until the next may.
    fn piece(self) -> (usize, Duration) {
        match self {
            // A tenth of a second's bytes at a time.
            Self::Slow(pace) => (
                usize::try_from(pace.div_ceil(10)).unwrap_or(CHUNK).clamp(1, CHUNK),
                Duration::from_millis(100),
            ),
            Self::Open | Self::Lost => (CHUNK, Duration::ZERO),
        }
    }
}

/// git's answers to the client; its exit code.
pub(super) async fn output(
    child: &mut Child,
    to_client: &ChannelWriteHalf<Msg>,
    way: Way,
) -> std::io::Result<u32> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    if way == Way::Lost {
        greet(stdout, to_client).await?;
    } else {
        let piece = way.piece();
        tokio::try_join!(
            forward(stdout, to_client, None, piece),
            forward(stderr, to_client, Some(STDERR), piece)
        )?;
    }
    let status = child.wait().await?;
    Ok(status.code().and_then(|code| u32::try_from(code).ok()).unwrap_or(1))
}

async fn forward(
    stream: Option<impl AsyncRead + Unpin>,
    to_client: &ChannelWriteHalf<Msg>,
    ext: Option<u32>,
    (size, pause): (usize, Duration),
) -> std::io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut chunk = vec![0; size];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        let data = bytes::Bytes::copy_from_slice(&chunk[..read]);
        match ext {
            Some(ext) => to_client.extended_data_bytes(ext, data).await,
            None => to_client.data_bytes(data).await,
        }
        .map_err(std::io::Error::other)?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Passes the list of refs on, up to its flush packet, and swallows the rest.
async fn greet(
    stream: Option<impl AsyncRead + Unpin>,
    to_client: &ChannelWriteHalf<Msg>,
) -> std::io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    loop {
        let mut packet = vec![0; 4];
        stream.read_exact(&mut packet).await?;
        let length = std::str::from_utf8(&packet).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let length = length.ok_or(std::io::ErrorKind::InvalidData)?;
        packet.resize(length.max(4), 0);
        stream.read_exact(&mut packet[4..]).await?;
        to_client.data_bytes(packet).await.map_err(std::io::Error::other)?;
        if length == 0 {
            break;
        }
    }
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}

/// The hook's log, once the hook reads it: what is written before would be lost.
async fn open_log(exchange: &Exchange) -> std::io::Result<pipe::Sender> {
    let opened = async {
        loop {
            match pipe::OpenOptions::new().open_sender(exchange.log()) {
                Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ENXIO as i32) => {
                    tokio::time::sleep(HOOK_POLL).await;
                }
                opened => break opened,
            }
        }
    };
    tokio::time::timeout(HOOK_PATIENCE, opened)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

async fn say(log: &mut pipe::Sender, line: &str) -> std::io::Result<()> {
    log.write_all(format!("{line}\n").as_bytes()).await
}
