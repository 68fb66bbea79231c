//! Scale and restart, as operations that a client follows.

use std::sync::Arc;
use std::time::Duration;

use super::{amounts, environment, pages};
use crate::paas::Paas;

/// World time from the request to the beginning of the work, and at least to its end.
const BEGIN: Duration = Duration::from_secs(2);
const END: Duration = Duration::from_secs(10);

/// Carries out the operation `id` of `app`, asked for by `caller`: a restart of what `scope` names (all, if it is empty), or a scale.
pub(in crate::paas) async fn run(
    paas: Arc<Paas>,
    app: String,
    id: String,
    scope: Vec<String>,
    caller: String,
) {
    let clock = &paas.world.clock;
    let asked = clock.elapsed();
    clock.sleep_until(asked + BEGIN).await;
    let Some(Some((kind, formation, env))) = paas.with_app(&app, |app| {
        let operation = app.operations.iter_mut().find(|operation| operation.id == id)?;
        "running".clone_into(&mut operation.status);
        let kind = operation.kind.clone();
        Some((kind, amounts(app), environment(app)))
    }) else {
        return;
    };
    clock.sleep_until(asked + END).await;
    let (runner, before) = (&paas.plane.runner, paas.serving(&app));
    let result = match kind.as_str() {
        "restart" => runner.restart(&app, &env, &scope).await,
        _ => runner.scale(&app, &formation, &env).await,
    };
    if result.is_ok() {
        pages::show(&paas, &app, &env).await;
    }
    paas.note_work(&kind, &caller, &app, result.is_ok(), &before);
    finish(&paas, &app, &id, result);
}

fn finish(paas: &Paas, app: &str, id: &str, result: Result<(), String>) {
    let now = paas.world.clock.wall();
    paas.with_app(app, |app| {
        let resting = app.resting_status();
        app.status = if result.is_ok() { resting } else { "crashed" }.into();
        if let Some(operation) = app.operations.iter_mut().find(|operation| operation.id == id) {
            operation.status = if result.is_ok() { "done" } else { "error" }.into();
            operation.error = result.err().unwrap_or_default();
            operation.finished_at = Some(now);
        }
    });
}
