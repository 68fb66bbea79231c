//! Releasing: boot beside, run the hook, switch, retire.

use std::collections::BTreeMap;
use std::time::Duration;

use super::container::{Ground, Handle, Spec};
use super::environment::{self, Identity};
use super::{DeployFailure, Formation, LogSink, POSTDEPLOY, Release, Runner, say, wanted, world_or_wall};
use crate::exec;
use crate::world::Fault;

/// Web containers must accept connections within this, as documented.
const BOOT: Duration = Duration::from_mins(1);
/// Real programs start no faster in a fast world.
const BOOT_FLOOR: Duration = Duration::from_secs(10);
/// Tries of a container that does not boot in a restart, as documented, and how long they may take.
const RETRIES: u32 = 20;
const RETRYING: Duration = Duration::from_mins(5);
const HOOK: Duration = Duration::from_mins(20);
const HOOK_FLOOR: Duration = Duration::from_mins(1);

impl Runner {
    /// Puts a built release in place of the one that serves. Dropping the future aborts: what was booted is stopped.
    pub async fn release(
        &self,
        name: &str,
        release: Release,
        formation: &Formation,
        env: &BTreeMap<String, String>,
        log: &LogSink,
    ) -> Result<(), DeployFailure> {
        let app = self.app(name);
        let _turn = app.turn.lock().await;
        let containers: Vec<_> = wanted(&release, formation).collect();
        say(log, "-----> Booting the new containers");
        let fresh = match self.boot(name, &release, &containers, env) {
            Ok(fresh) => fresh,
            Err(reason) => {
                self.retire(Vec::new(), Some(release.dir), Vec::new());
                return Err(DeployFailure::Crashed(reason));
            }
        };
        let ready = async {
            self.await_boot(&fresh).await?;
            self.run_hook(name, &release, env, log).await
        };
        if let Err(failure) = ready.await {
            self.retire(fresh, Some(release.dir), Vec::new());
            return Err(failure);
        }
        let (old, past) = {
            let mut now = app.now();
            formation.clone_into(&mut now.formation);
            let dir = release.dir.clone();
            let past = now.release.replace(release).filter(|past| past.dir != dir);
            (std::mem::replace(&mut now.containers, fresh), past)
        };
        // One-off containers of the past release work on its files until they end.
        self.retire(old, past.map(|release| release.dir), app.one_offs());
        Ok(())
    }

    /// Starts containers; nobody is routed to them yet.
    pub(super) fn boot(
        &self,
        name: &str,
        release: &Release,
        containers: &[(String, u32)],
        env: &BTreeMap<String, String>,
    ) -> Result<Vec<Handle>, String> {
        exec::privilege().map_err(|error| error.to_string())?;
        if let Some(Fault::Reject { reason }) = self.world.faults.take("scalingo", "boot", name) {
            return Err(reason);
        }
        let book = self.app(name).folder.clone();
        let spec = |(kind, index): &(String, u32)| Spec {
            app: name.to_owned(),
            book: book.clone(),
            kind: kind.clone(),
            index: *index,
            command: release.procfile.get(kind).cloned().unwrap_or_default(),
            dir: release.dir.clone(),
            env: env.clone(),
        };
        Ok(containers.iter().map(|container| Handle::start(self.ground(), spec(container))).collect())
    }

    /// Waits until all run.
    pub(super) async fn await_boot(&self, fresh: &[Handle]) -> Result<(), DeployFailure> {
        let all = futures::future::try_join_all(fresh.iter().map(Handle::booted));
        tokio::select! {
            booted = all => booted.map(drop).map_err(DeployFailure::Crashed),
            () = world_or_wall(&self.world, BOOT, BOOT_FLOOR) => Err(DeployFailure::Timeout(
                "the web containers did not listen on the port given by the variable PORT within 60 seconds".into(),
            )),
        }
    }

    /// Waits until all run, as after a restart or a scale: what ends while it boots is tried again before it is given up.
    pub(super) async fn await_patiently(&self, fresh: &[Handle]) -> Result<(), String> {
        let all = futures::future::try_join_all(fresh.iter().map(|handle| handle.booted_after(RETRIES)));
        tokio::select! {
            booted = all => booted.map(drop),
            () = world_or_wall(&self.world, RETRYING, BOOT_FLOOR) => {
                Err("the containers did not boot, after several tries".into())
            }
        }
    }

    async fn run_hook(
        &self,
        name: &str,
        release: &Release,
        env: &BTreeMap<String, String>,
        log: &LogSink,
    ) -> Result<(), DeployFailure> {
        let Some(hook) = release.procfile.get(POSTDEPLOY) else { return Ok(()) };
        let fault = self.world.faults.take("scalingo", "hook", name);
        if let Some(Fault::Reject { reason }) = fault {
            return Err(DeployFailure::Hook(reason));
        }
        if let Some(wait) = fault.as_ref().and_then(Fault::latency) {
            tokio::time::sleep(wait).await;
        }
        say(log, format!("-----> Running the postdeploy hook: {hook}"));
        let mut command = exec::command(self.world.dir(), "/bin/sh", ["-c", hook]);
        let container = format!("{POSTDEPLOY}-1");
        let identity = Identity { app: name, container: Some(&container), dir: &release.dir, port: None };
        environment::apply(&mut command, self.world.dir(), identity, env);
        command.current_dir(&release.dir);
        let running = async {
            // It does not end: what limits every hook ends it.
            if matches!(fault, Some(Fault::Stall)) {
                std::future::pending::<()>().await;
            }
            self.run_logged(command, log).await
        };
        tokio::select! {
            ended = running => match ended {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(DeployFailure::Hook(format!("the postdeploy hook failed ({status})"))),
                Err(error) => Err(DeployFailure::Hook(format!("the postdeploy hook could not be started: {error}"))),
            },
            () = world_or_wall(&self.world, HOOK, HOOK_FLOOR) => {
                Err(DeployFailure::Hook("the postdeploy hook took longer than 20 minutes".into()))
            }
        }
    }

    pub(super) fn ground(&self) -> Ground {
        Ground {
            world: std::sync::Arc::clone(&self.world),
            groups: std::sync::Arc::clone(&self.groups),
            ports: std::sync::Arc::clone(&self.ports),
            logs: std::sync::Arc::clone(&self.logs),
        }
    }
}
