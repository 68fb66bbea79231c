//! Starting a one-off container: an operation to follow, then a process of its own or somebody's to attach to.

use std::sync::Arc;
use std::time::Duration;

use crate::paas::Paas;
use crate::paas::one_offs::Known;
use crate::paas::state::StartedOneOff;

/// World time from the request to the beginning of the work, and to its end.
const BEGIN: Duration = Duration::from_secs(1);
const END: Duration = Duration::from_secs(4);
/// How long an exit code can still be asked for: in world time, and at least of the wall's.
const KEPT: Duration = Duration::from_hours(1);
const KEPT_FLOOR: Duration = Duration::from_mins(2);

/// Carries out the operation `id` of `app`, then forgets the container a while after its end. The app is named by its id: it may be
/// renamed meanwhile.
pub(in crate::paas) async fn start(paas: Arc<Paas>, app: String, id: String, known: Known) {
    let clock = &paas.world.clock;
    let asked = clock.elapsed();
    clock.sleep_until(asked + BEGIN).await;
    set(&paas, &app, &id, |operation| "running".clone_into(&mut operation.status));
    clock.sleep_until(asked + END).await;
    paas.one_offs.mark_started(&known.id);
    let started = StartedOneOff { container_id: known.id.clone(), attach_url: paas.attach_url(&known.id) };
    let now = clock.wall();
    set(&paas, &app, &id, |operation| {
        "done".clone_into(&mut operation.status);
        operation.finished_at = Some(now);
        operation.one_off = Some(started);
    });
    if known.detached && known.real.claim() {
        known.real.detach().await;
    }
    known.real.ended().await;
    tokio::join!(clock.sleep(KEPT), tokio::time::sleep(KEPT_FLOOR));
    paas.one_offs.remove(&known.id);
}

fn set(paas: &Paas, app: &str, id: &str, change: impl FnOnce(&mut crate::paas::state::Operation)) {
    paas.with_app(app, |app| app.operations.iter_mut().find(|one| one.id == id).map(change));
}
