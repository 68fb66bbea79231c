//! Several daemons on one database: a request is worked on by one of them, and goes on with another when that one dies, stands still, is
//! cut off or is told to stop.

use std::time::Duration;

use reprise_e2e::daemon::Daemon;
use reprise_e2e::plan::Plan;
use reprise_e2e::records::{Request, poll};
use reprise_e2e::shared::Shared;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;
use reprise_sandbox::control::Disaster;
use tokio::time::Instant;

use crate::evidence::recovered;

/// A lease, in seconds: short, and long enough for a machine that is busy with other scenes.
const LEASE: &str = "20";
/// What is given back need not end by itself.
const AT_ONCE: Duration = Duration::from_secs(8);
const OWNER: &str = "SELECT lease_holder FROM recovery_requests WHERE name = 'the-bad-day' AND lease_expires_at > clock_timestamp()";

/// A server for the daemon's records, which others may share.
async fn shared(stage: &mut Stage) -> Shared {
    let shared = Shared::start(&stage.folder("server")).await;
    stage.daemon.set("DATABASE_URL", &shared.url());
    stage.daemon.set("REPRISE_LEASE_SECONDS", LEASE);
    shared
}

/// Waits until `daemon` owns the request.
async fn owned_by(shared: &Shared, daemon: &Daemon) {
    let owned = async || {
        let owner = shared.records.column(OWNER).await;
        owner.first().is_some_and(|owner| daemon.is_called(owner)).then_some(())
    };
    assert!(poll(owned).await.is_some(), "nobody took over:\n{}", daemon.printed());
}

/// Waits until so many more things were done.
async fn deeds(stage: &Stage, more: usize) {
    let before = stage.world.journal().len();
    stage.eventually("more deeds", |stage| stage.world.journal().len() >= before + more).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_goes_on_with_another_daemon_whatever_becomes_of_its_own() {
    play(91, async |stage: &mut Stage| {
        let shared = shared(stage).await;
        // What comes after the restore takes its time, so that there is something left to take over.
        stage.world.break_("POST", "/v1/apps", None, Fault::Latency { ms: 200 });
        let request = stage.bad_day(&Plan::example()).await;
        let mut twin = stage.daemon.twin(&stage.folder("twin"));
        twin.start().await;
        owned_by(&shared, &stage.daemon).await;
        let told = twin.say(&["-o", "json", "describe", request.name()]).await.json();
        assert!(told["lease"]["holder"].as_str().is_some_and(|one| stage.daemon.is_called(one)), "{told}");
        let told = twin.run(&["describe", request.name()]).await;
        assert!(told.contains("\nWorker:   "), "{told}");

        // It dies with its disk while it restores.
        shared.records.step_is(&request, "restore", |step| step.phase == "Running").await;
        stage.eventually("pg_restore at work", |stage| stage.daemon.restores_now()).await;
        stage.daemon.kill().await;
        stage.daemon.lose_downloads();
        owned_by(&shared, &twin).await;
        stage.daemon.start().await;
        shared.records.step_is(&request, "restore", |step| step.phase == "Done" && step.attempt > 1).await;

        // The next one stands still for longer than its lease, in the middle of something.
        deeds(stage, 2).await;
        twin.freeze();
        owned_by(&shared, &stage.daemon).await;
        let standing = shared.records.standing(&request).await;
        assert_eq!(standing.phase, "Running", "it ended too soon for this scene");
        deeds(stage, 2).await;
        twin.thaw();

        // And the one after it is told to stop.
        deeds(stage, 2).await;
        stage.daemon.stop().await;
        let began = Instant::now();
        let end = shared.records.standing(&request).await;
        if end.phase == "Running" {
            owned_by(&shared, &twin).await;
            assert!(began.elapsed() < AT_ONCE, "it was handed over after {:?}", began.elapsed());
        }
        stage.daemon.start().await;
        shared.records.succeeded(&request).await;
        let lost = twin.printed();
        assert!(lost.contains("lease lost") || lost.contains("no longer ours"), "{lost}");
        nothing_is_left(&[&stage.daemon, &twin]).await;
        recovered(stage, &request).await;
        twin.stop().await;
    })
    .await;
}

/// Whoever ends the request, what each of them has downloaded goes.
async fn nothing_is_left(daemons: &[&Daemon]) {
    for daemon in daemons {
        let gone = poll(async || daemon.litter().is_empty().then_some(())).await;
        assert!(gone.is_some(), "left behind: {:?}", daemon.litter());
    }
}

const HELD: &str = "SELECT lease_holder FROM recovery_requests WHERE lease_expires_at > clock_timestamp()";

/// Waits until `daemon` owns all six.
async fn owns_all(shared: &Shared, daemon: &Daemon) {
    let all = async || {
        let held = shared.records.column(HELD).await;
        (held.len() == 6 && held.iter().all(|one| daemon.is_called(one))).then_some(())
    };
    assert!(poll(all).await.is_some(), "{:?}\n{}", shared.records.column(HELD).await, daemon.printed());
}

/// The end of a `serve` that must not start.
async fn refused(daemon: &Daemon) -> String {
    let serve = daemon.say(&["serve", "--dev", "--listen", "127.0.0.1:0"]);
    let said = tokio::time::timeout(Duration::from_mins(1), serve).await.expect("it does not start");
    assert_ne!(said.code, 0, "{}", said.err);
    said.err
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_requests_are_shared_by_two_daemons_one_of_which_is_cut_off_and_has_a_wrong_clock() {
    play(92, async |stage: &mut Stage| {
        let shared = shared(stage).await;
        stage.daemon.start().await;
        // Each of them waits for a person once it has chosen.
        let asks = Plan::example().with("\n    stall: 5m", "\n    stall: 5m\n    lossWithoutApproval: 1m");
        stage.daemon.apply(&asks).await;
        stage.world.strike(Disaster::Data).await;
        let way = shared.way().await;
        let mut twin = stage.daemon.twin(&stage.folder("twin"));
        twin.set("DATABASE_URL", way.url());
        for (name, value) in crate::archive::ten_minutes_ahead() {
            twin.set(name, &value);
        }
        twin.start().await;
        let file = "INSERT INTO recovery_requests (name, plan) SELECT 'day-' || n, 'apilos' FROM generate_series(1, 6) AS n";
        shared.records.execute(file).await;
        let waiting = "SELECT name FROM recovery_requests WHERE phase = 'WaitingApproval'";
        let all = poll(async || (shared.records.column(waiting).await.len() == 6).then_some(())).await;
        assert!(all.is_some(), "{:?}", shared.records.column("SELECT name || phase || status FROM recovery_requests").await);
        let (one, other) = (&stage.daemon, &twin);
        let held = shared.records.column(HELD).await;
        assert!(held.iter().any(|it| one.is_called(it)) && held.iter().any(|it| other.is_called(it)), "{held:?}");
        let owners = "SELECT name || ' has had owner ' || lease_epoch FROM recovery_requests WHERE lease_epoch > 1";
        assert_eq!(shared.records.column(owners).await, [""; 0], "a lease was taken from its owner");
        let cut = "SELECT request || ' ' || step FROM recovery_events WHERE reason = 'StepCutOff'";
        assert_eq!(shared.records.column(cut).await, [""; 0], "somebody began what another was at");
        for daemon in [one, other] {
            let throttled = daemon.metrics_with("outcome=\"throttled\",provider=\"scalingo\"").await;
            assert!(throttled.abs() < f64::EPSILON, "they spent more than the account has: {throttled}");
        }

        way.cut();
        owns_all(&shared, &stage.daemon).await;
        let held = twin.metric("reprise_lease_held").await;
        assert_eq!(held, Some(0.0), "it goes on with what is another's");
        let told = poll(async || Some(twin.readiness().await.1).filter(|told| told.contains("does not answer")));
        assert!(told.await.is_some(), "{:?}", twin.readiness().await);
        way.mend();
        let back = poll(async || twin.readiness().await.0.then_some(())).await;
        assert!(back.is_some(), "{:?}\n{}", twin.readiness().await, twin.printed());

        assert!(refused(&twin).await.contains("another daemon uses"));
        stage.daemon.stop().await;
        let began = Instant::now();
        owns_all(&shared, &twin).await;
        assert!(began.elapsed() < AT_ONCE, "they were handed over after {:?}", began.elapsed());

        // A newer release has been there: who is at work goes on, and no other of this release begins.
        let newer = "ALTER TABLE recovery_plans ADD COLUMN of_a_newer_release text;
             INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9001, 'newer', true, '', 0)";
        shared.records.execute(newer).await;
        let told = refused(&stage.daemon).await;
        assert!(told.contains("a newer release of Reprise") && told.contains("change 9001"), "{told}");
        twin.run(&["pause", "day-1"]).await;
        shared.records.stands(&Request::named("day-1"), |now| now.phase == "Paused").await;
        twin.stop().await;
    })
    .await;
}
