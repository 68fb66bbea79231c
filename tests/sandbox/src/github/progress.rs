//! What the code host has, for the journal: before and after a request, and at each step of a run, which goes on by itself long
//! after the request that asked for it.

use serde_json::{Value, json};

use super::Github;
use super::state::{Artifact, Run, State};
use crate::world::journal::{Draft, Evidence, change};

impl Github {
    /// Runs and artifacts, without what changes by itself.
    pub(crate) fn holdings(&self) -> Value {
        shown(&self.state(), |_| true)
    }

    /// Does `step` of a run, and writes down what it changed: the caller is who asked for the run.
    pub(super) fn stepped<T>(&self, id: u64, step: impl FnOnce() -> T) -> T {
        let mine = |run: u64| run == id;
        let before = shown(&self.state(), mine);
        let done = step();
        let (after, draft) = {
            let state = self.state();
            (shown(&state, mine), state.runs.get(&id).map(|run| draft(&state, run)))
        };
        let (before, after) = change::between(&before, &after);
        if let Some(draft) = draft {
            self.world.journal.record_with(draft, Evidence { before, after, ..Evidence::default() });
        }
        done
    }
}

/// Named like the dispatch that made the run.
fn draft(state: &State, run: &Run) -> Draft {
    let file = state.workflows.get(&run.workflow).map_or("", |workflow| workflow.file.as_str());
    Draft {
        service: "github",
        call: "run".into(),
        caller: run.actor.clone(),
        resource: format!("run/{} {file}", run.id),
        status: 200,
        fault: None,
    }
}

/// The runs that are meant, and their artifacts.
fn shown(state: &State, meant: impl Fn(u64) -> bool) -> Value {
    let run = |run: &Run| {
        json!({"id": run.id, "workflow": run.workflow, "event": run.event, "actor": run.actor,
               "status": run.status, "conclusion": run.conclusion})
    };
    let artifact = |one: &Artifact| json!({"id": one.id, "run": one.run, "name": one.name, "size": one.size, "digest": one.digest});
    let runs = state.runs.values().filter(|run| meant(run.id)).map(run);
    let artifacts = state.artifacts.values().filter(|one| meant(one.run)).map(artifact);
    json!({"workflow_runs": runs.collect::<Value>(), "artifacts": artifacts.collect::<Value>()})
}
