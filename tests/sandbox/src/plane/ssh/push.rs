//! A push: the real `git receive-pack` on one side, the platform's deployment on the other, the pusher following both.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::server::{Handle, Msg};
use russh::{Channel, Disconnect};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::bytes::{STDERR, Way, feed, output};
use super::git::{Question, Update};
use super::line::Scissors;
use super::repository::{self, Exchange};
use super::{Site, Who};
use crate::plane::ingress::DEFAULT_DOMAIN;
use crate::plane::platform::{Branch, Push, Turn};
use crate::plane::runner::groups::Groups;
use crate::world::Fault;
use crate::world::journal::Draft;

/// What became of a ref, as HTTP would say it: moved; not taken; deployed, and not moved in the end.
const MOVED: u16 = 200;
const REFUSED: u16 = 422;
const UNMOVED: u16 = 409;

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
pub(super) async fn serve(site: Arc<Site>, ends: Ends, channel: Channel<Msg>, who: Who, app: String) {
    if let Err(refusal) = site.platform.may_push(&who.user, &app) {
        return refuse(channel, refusal).await;
    }
    let fault = site.world.faults.take("git", "push", &app);
    let pusher = Pusher { site, who, app, fault, taken: Mutex::default() };
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
    who: Who,
    app: String,
    fault: Option<Fault>,
    taken: Mutex<Option<Taken>>,
}

/// A ref that was deployed and that git moves next: before it asks again, or ends. Whoever deploys after this turn finds it moved.
struct Taken {
    update: Update,
    _turn: Turn,
}

impl Pusher {
    async fn run(&self, channel: Channel<Msg>) -> std::io::Result<Ended> {
        let world = &self.site.world;
        let repository = repository::open(world, &self.app).await?;
        let exchange = Exchange::new(world)?;
        let mut child = repository::receive_pack(world, &repository, &exchange).spawn()?;
        // Ends the whole group (the hook, too) whichever way this future ends.
        let groups = Arc::new(Groups::start("KILL"));
        let group = child.id().map(|leader| groups.adopt(leader));
        let (mut from_client, to_client) = channel.split();
        let stdin = child.stdin.take();
        let way = Way::of(self.fault.as_ref());
        let ended = tokio::select! {
            biased;
            () = feed(&mut from_client, stdin) => Ok(None),
            error = self.answer_hooks(&exchange, &repository) => Err(error),
            ended = output(&mut child, &to_client, way) => ended.map(Some),
        };
        // What git has not done by now it never does.
        drop(group);
        child.wait().await?;
        self.settle(&repository).await?;
        let Some(ended) = ended? else { return Ok(Ended::Gone) };
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
            while let Some(question) = questions.next_line().await? {
                self.settle(repository).await?;
                let mut log = open_log(exchange).await?;
                let accepted = match Question::parse(&question) {
                    Some(Question::All(updates)) => self.judge(&updates, &mut log).await?,
                    Some(Question::One(update)) => self.decide(update, repository, &mut log).await?,
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
                self.record(update, REFUSED);
            }
        }
        Ok(refusals.is_empty())
    }

    /// Deploys one ref, which git may move then, or says why not.
    async fn decide(
        &self,
        update: Update,
        repository: &std::path::Path,
        log: &mut pipe::Sender,
    ) -> std::io::Result<bool> {
        say(log, &format!("<-- Start deployment of [{}] -->", self.app)).await?;
        let outcome = self.deploy(&update, repository, log).await?;
        match outcome {
            Ok(turn) => {
                *self.taken() = Some(Taken { update, _turn: turn });
                say(log, &format!("<-- https://{}.{DEFAULT_DOMAIN} -->", self.app)).await?;
                Ok(true)
            }
            Err(line) => {
                self.record(&update, REFUSED);
                say(log, &format!("!     {line}")).await.map(|()| false)
            }
        }
    }

    /// Writes down what became of the ref that was taken last, and ends its turn.
    async fn settle(&self, repository: &std::path::Path) -> std::io::Result<()> {
        let taken = self.taken().take();
        let Some(Taken { update, _turn }) = taken else { return Ok(()) };
        let now = repository::commit_of(&self.site.world, repository, &update.reference).await?;
        let moved = now.as_deref() == Some(update.new.as_str());
        self.record(&update, if moved { MOVED } else { UNMOVED });
        Ok(())
    }

    fn taken(&self) -> MutexGuard<'_, Option<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
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
            user: self.who.user.clone(),
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

    fn record(&self, update: &Update, status: u16) {
        let at = |commit: &str| {
            let is_somewhere = commit.bytes().any(|b| b != b'0');
            is_somewhere
                .then(|| json!({"refs": [{"app": self.app, "name": update.reference, "commit": commit}]}))
        };
        let moved = status == MOVED;
        let before = at(&update.old).filter(|_| moved);
        let after = at(&update.new).filter(|_| moved);
        let draft = Draft {
            service: "git",
            call: "push".into(),
            caller: self.who.user.clone(),
            resource: format!("{} {} {}", self.app, update.reference, update.new),
            status,
            fault: self.fault.as_ref().map(|fault| fault.kind().to_owned()),
        };
        self.site.world.journal.record_with(draft, self.who.evidence(before, after));
    }
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
