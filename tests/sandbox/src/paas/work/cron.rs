//! Tasks of `cron.json`: detached one-off containers, started by the world's calendar, whatever the formation is.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::paas::Paas;
use crate::paas::api::Wanted;
use crate::paas::one_offs::Known;

mod file;

pub(in crate::paas) use file::{FILE, Task, parse};

/// How often it is looked whether a task is due: expressions have minutes.
const LOOK: Duration = Duration::from_mins(1);
/// In a very fast world, not more often than this.
const LOOK_FLOOR: Duration = Duration::from_millis(200);

/// Starts every task when it is due. A world that is pushed forward starts each once, however often it was due meanwhile; one that
/// was made what it was at another time goes on from there.
pub(in crate::paas) async fn periodic(paas: Arc<Paas>) {
    let clock = &paas.world.clock;
    let (mut times_set, mut seen) = (clock.times_set(), paas.moment());
    loop {
        tokio::join!(clock.sleep(LOOK), tokio::time::sleep(LOOK_FLOOR));
        let was = std::mem::replace(&mut times_set, clock.times_set());
        let now = paas.moment();
        if was == times_set {
            for (app, task) in due(&paas, seen, now) {
                start(&paas, &app, &task, now);
            }
        }
        seen = now;
    }
}

/// What is due after `seen` and not later than `now`: apps by id.
pub(in crate::paas) fn due(paas: &Paas, seen: DateTime<Utc>, now: DateTime<Utc>) -> Vec<(String, Task)> {
    let apps: Vec<(String, String)> = {
        let state = paas.state();
        let deployed = state.apps.iter().filter(|app| app.was_deployed());
        deployed.map(|app| (app.id.clone(), app.name.clone())).collect()
    };
    let mut due = Vec::new();
    for (id, name) in apps {
        // Nothing runs where a disaster has struck.
        if paas.plane.runner.is_down(&name) {
            continue;
        }
        let tasks = tasks(paas, &name).into_iter();
        due.extend(
            tasks.filter(|task| task.next(seen).is_some_and(|at| at <= now)).map(|task| (id.clone(), task)),
        );
    }
    due
}

/// The tasks of the version that serves.
pub(in crate::paas) fn tasks(paas: &Paas, app: &str) -> Vec<Task> {
    let text = paas.plane.runner.release_file(app, FILE);
    text.and_then(|text| parse(&text).ok()).unwrap_or_default()
}

fn start(paas: &Arc<Paas>, app_id: &str, task: &Task, now: DateTime<Utc>) {
    let wanted = Wanted::detached(&task.command, &task.size);
    let known = {
        let mut state = paas.state();
        let Some(app) = state.apps.iter_mut().find(|app| app.id == app_id) else { return };
        let owner = app.owner.clone();
        app.cron_runs.insert(task.line.clone(), now);
        paas.new_one_off(&owner, app, wanted)
    };
    let Ok(known) = known else {
        tracing::warn!(app_id, "a scheduled task could not be started");
        return;
    };
    paas.one_offs.add(known.clone());
    paas.one_offs.mark_started(&known.id);
    paas.world.tasks.spawn("scheduled task", run(Arc::clone(paas), known));
}

/// Runs it to its end, which comes with the platform's limit at the latest.
async fn run(paas: Arc<Paas>, known: Known) {
    if known.real.claim() {
        let limit = async {
            tokio::time::sleep(paas.world.limits().task).await;
            known.real.stop();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = known.real.detach() => {}
            () = limit => {}
        }
    }
    paas.one_offs.remove(&known.id);
}
