//! One test's stage: set, played on, and cleared whichever way the test ends.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;

use futures::FutureExt as _;
use reprise_sandbox::control::Disaster;
use reqwest::Method;
use serde_json::json;

use crate::daemon::Daemon;
use crate::plan::{NAME, Plan};
use crate::records::{Request, poll};
use crate::stranger::Stranger;
use crate::world::World;

/// How many times faster than the wall durations pass.
pub const SPEED: u32 = 60;

/// The sandbox, and the daemon that works in it.
#[derive(Debug)]
pub struct Stage {
    /// The vendors, and what lies there.
    pub world: World,
    /// The process under test; not started yet.
    pub daemon: Daemon,
    /// Where all of it lies. Containers see it, and nothing else of the machine's `/tmp`.
    dir: PathBuf,
}

/// Plays `scene` in a world drawn from `seed`, then stops and removes everything.
pub async fn play(seed: u64, scene: impl AsyncFnOnce(&mut Stage)) {
    let dir = tempfile::Builder::new().prefix("reprise-e2e-").tempdir().expect("a folder");
    let world = Box::pin(World::start(&dir.path().join("world"), seed, SPEED)).await;
    let daemon = Daemon::new(dir.path(), world.variables(), SPEED);
    let mut stage = Stage { world, daemon, dir: dir.path().to_owned() };
    let played = AssertUnwindSafe(scene(&mut stage)).catch_unwind().await;
    if played.is_err() {
        stage.daemon.tell_last_words();
    }
    let findings = stage.world.findings(false);
    stage.daemon.stop().await;
    let cleared = stage.world.stop().await;
    if let Err(panic) = played {
        resume_unwind(panic);
    }
    assert!(findings.is_empty(), "the journal shows what should not have been done: {findings:#?}");
    assert!(cleared, "the sandbox did not stop in time");
}

impl Stage {
    /// The beginning of most bad days: the daemon runs with `plan`, the production estate is lost, and a request is filed.
    pub async fn bad_day(&mut self, plan: &Plan) -> Request {
        self.daemon.start().await;
        self.daemon.apply(plan).await;
        self.world.strike(Disaster::Data).await;
        self.file().await
    }

    /// A store that offers next to nothing, and has no bucket yet.
    pub async fn stranger(&self) -> Stranger {
        Stranger::empty(self.world.kept(), false).await
    }

    /// A folder of this stage's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// Waits until `wanted` holds.
    pub async fn eventually(&self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let seen = poll(async || wanted(self).then_some(())).await;
        assert!(seen.is_some(), "{what} was not seen in time");
    }

    /// Runs `sql` from a container of the production app, in the database of `url` (a shell's word), and waits until it is done.
    pub async fn psql(&self, url: &str, sql: &str) {
        let done = self.dir.join("done");
        let command = format!("psql -v ON_ERROR_STOP=1 -c \"{sql}\" \"{url}\" && touch {}", done.display());
        let run = json!({ "command": command, "detached": true });
        self.world.platform(Method::POST, "apps/apilos-siap/run", Some(run)).await;
        self.eventually(sql, |_| done.exists()).await;
        std::fs::remove_file(&done).expect("seen");
    }

    /// The value of a variable of `app`, once it is there.
    pub async fn eventual_variable(&self, app: &str, name: &str) -> String {
        let value = poll(async || self.world.variables_of(app).await.get(name).cloned()).await;
        value.unwrap_or_else(|| panic!("{app} never had {name}"))
    }

    /// Files a request for the example plan by plain SQL.
    pub async fn file(&self) -> Request {
        let records = self.daemon.records();
        records
            .execute(&format!("INSERT INTO recovery_requests (name, plan) VALUES ('the-bad-day', '{NAME}')"))
            .await;
        Request::named("the-bad-day")
    }
}
