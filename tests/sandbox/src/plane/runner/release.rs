//! Releasing: boot beside, run the hook, switch, retire.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::mpsc;

use super::container::{Ground, Handle, Spec};
use super::disk::Disk;
use super::environment::{self, Identity};
use super::{DeployFailure, Formation, LogSink, POSTDEPLOY, Release, Runner, say, wanted, world_or_wall};
use crate::exec;
use crate::world::Fault;

/// Tries of a container that does not boot in a restart, as documented.
const RETRIES: u32 = 20;
/// How long a hook that was told to hang does: no program runs, so it is the world's time that passes.
const HANGING: Duration = Duration::from_mins(20);
const HANGING_FLOOR: Duration = Duration::from_mins(1);

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
            now.is_down = false;
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

    /// Waits until all run. The limit is the programs': it does not count how long their disks take.
    pub(super) async fn await_boot(&self, fresh: &[Handle]) -> Result<(), DeployFailure> {
        let all = futures::future::try_join_all(fresh.iter().map(Handle::booted));
        let limit = async {
            futures::future::join_all(fresh.iter().map(Handle::prepared)).await;
            tokio::time::sleep(self.world.limits().boot).await;
        };
        tokio::select! {
            booted = all => booted.map(drop).map_err(DeployFailure::Crashed),
            () = limit => {
                let why = "the containers did not listen on the port given by the variable PORT within 60 seconds";
                Err(DeployFailure::Timeout(with_hints(why, fresh).await))
            }
        }
    }

    /// Waits until all run, as after a restart or a scale: what ends while it boots is tried again before it is given up.
    pub(super) async fn await_patiently(&self, fresh: &[Handle]) -> Result<(), String> {
        let all = futures::future::try_join_all(fresh.iter().map(|handle| handle.booted_after(RETRIES)));
        tokio::select! {
            booted = all => booted.map(drop),
            () = tokio::time::sleep(self.world.limits().tries) => {
                Err(with_hints("the containers did not boot, after several tries", fresh).await)
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
        let failed =
            |error| DeployFailure::Hook(format!("the postdeploy hook could not be started: {error}"));
        let disk = Disk::new(&self.world, &release.dir).map_err(failed)?;
        let mut command = disk.command(&["/bin/sh", "-c", hook], &[]);
        let container = format!("{POSTDEPLOY}-1");
        let identity = Identity { app: name, container: Some(&container), dir: &release.dir, port: None };
        environment::apply(&mut command, self.world.dir(), identity, env);
        let too_long = || DeployFailure::Hook("the postdeploy hook took longer than 20 minutes".into());
        if matches!(fault, Some(Fault::Stall)) {
            world_or_wall(&self.world, HANGING, HANGING_FLOOR).await;
            return Err(too_long());
        }
        tokio::select! {
            ended = self.run_hook_logged(command, (name, &container), log) => match ended {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(DeployFailure::Hook(format!("the postdeploy hook failed ({status})"))),
                Err(error) => Err(failed(error)),
            },
            () = tokio::time::sleep(self.world.limits().hook) => Err(too_long()),
        }
    }

    /// What the hook prints is in the app's log, as every container's, and in the deployment's.
    async fn run_hook_logged(
        &self,
        command: Command,
        (app, container): (&str, &str),
        log: &LogSink,
    ) -> std::io::Result<ExitStatus> {
        let (printed, mut lines) = mpsc::unbounded_channel::<String>();
        let run = async move {
            // Dropped with this: the end of the lines.
            let printed = printed;
            self.run_logged(command, &printed).await
        };
        let copied = async {
            while let Some(line) = lines.recv().await {
                self.note(app, container, &line);
                say(log, line);
            }
        };
        tokio::join!(run, copied).0
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

/// `why` a boot failed, and what can be told of the containers that did not make it.
async fn with_hints(why: &str, fresh: &[Handle]) -> String {
    let hints = futures::future::join_all(fresh.iter().map(Handle::hint)).await;
    std::iter::once(why.to_owned()).chain(hints.into_iter().flatten()).collect::<Vec<_>>().join("; ")
}
