use reprise_crds::RecoveryPlan;

use super::*;
use crate::recovery::cut::Cut;

fn graph() -> Graph {
    let text = include_str!("../../../../deploy/examples/apilos.yaml");
    Graph::compile(&RecoveryPlan::parse_yaml(text).expect("the example is valid").spec, &Cut::default())
}

fn situation<'a>(
    graph: &'a Graph,
    desired: Desired,
    phases: &'a BTreeMap<Step, StepPhase>,
    busy: &'a BTreeSet<Step>,
) -> Situation<'a> {
    Situation {
        graph,
        drill: None,
        unapproved: false,
        again: false,
        desired,
        state: Milestone::Pending,
        phase: Phase::Running,
        phases,
        busy,
    }
}

/// Runs the recovery on paper: every step that is started is done by the next turn.
fn walk(graph: &Graph) -> Vec<Vec<Step>> {
    let (mut phases, busy, mut turns) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    loop {
        let decision = decide(&situation(graph, Desired::Run, &phases, &busy));
        if decision.phase == Phase::Succeeded {
            assert_eq!(decision.state, Milestone::DnsOk);
            return turns;
        }
        assert!(!decision.start.is_empty(), "stuck after {turns:?}");
        phases.extend(decision.start.iter().map(|step| (step.clone(), StepPhase::Done)));
        turns.push(decision.start);
    }
}

#[test]
fn nothing_is_created_before_both_sources_are_chosen() {
    let turns = walk(&graph());
    assert_eq!(turns[0], [Step::ChooseBackup, Step::ChooseObjects]);
}

#[test]
fn the_bucket_is_refilled_while_the_database_is_prepared() {
    let turns = walk(&graph());
    let turn_of = |wanted: &Step| turns.iter().position(|turn| turn.contains(wanted)).expect("it is run");
    assert!(turn_of(&Step::Refill) < turn_of(&Step::Restore));
}

#[test]
fn every_step_is_run_exactly_once() {
    let graph = graph();
    let mut run: Vec<Step> = walk(&graph).into_iter().flatten().collect();
    run.sort_unstable();
    assert_eq!(run, graph.steps().cloned().collect::<Vec<_>>());
}

#[test]
fn two_apps_never_migrate_the_database_at_once() {
    let graph = graph();
    let deploys: Vec<&Step> = graph.steps().filter(|step| matches!(step, Step::Deploy(_))).collect();
    assert_eq!(deploys.len(), 2);
    assert!(
        walk(&graph)
            .iter()
            .all(|turn| turn.iter().filter(|step| matches!(step, Step::Deploy(_))).count() < 2)
    );
}

#[test]
fn a_milestone_needs_all_of_its_steps_and_all_before_it() {
    let graph = graph();
    let late: BTreeSet<Step> =
        graph.steps().filter(|step| step.milestone() > Milestone::Addons).cloned().collect();
    assert_eq!(graph.reached(|step| late.contains(step)), Milestone::Pending);
    let early = |step: &Step| step.milestone() <= Milestone::Addons;
    assert_eq!(graph.reached(early), Milestone::Addons);
}

#[test]
fn a_step_that_was_cut_off_starts_again() {
    let (graph, busy) = (graph(), BTreeSet::new());
    let phases =
        BTreeMap::from([(Step::ChooseBackup, StepPhase::Running), (Step::ChooseObjects, StepPhase::Done)]);
    assert_eq!(decide(&situation(&graph, Desired::Run, &phases, &busy)).start, [Step::ChooseBackup]);
}

#[test]
fn after_a_failure_what_runs_ends_then_it_is_cleaned_up_then_it_is_final() {
    let graph = graph();
    let mut phases = BTreeMap::from([(Step::ChooseBackup, StepPhase::Failed)]);
    let running = BTreeSet::from([Step::ChooseObjects]);
    let first = decide(&situation(&graph, Desired::Run, &phases, &running));
    assert_eq!((first.stop, first.start.len(), first.phase), (false, 0, Phase::Running));
    let idle = BTreeSet::new();
    phases.insert(Step::ChooseObjects, StepPhase::Done);
    assert_eq!(decide(&situation(&graph, Desired::Run, &phases, &idle)).start, [Step::Cleanup]);
    let cleaning = BTreeSet::from([Step::Cleanup]);
    assert!(!decide(&situation(&graph, Desired::Run, &phases, &cleaning)).stop);
    phases.insert(Step::Cleanup, StepPhase::Failed);
    assert_eq!(decide(&situation(&graph, Desired::Run, &phases, &idle)).phase, Phase::Failed);
}

#[test]
fn what_does_not_need_the_failed_step_is_done_before_the_end() {
    let graph = graph();
    let app = graph.steps().find_map(Step::app).expect("an app").to_owned();
    let side = Step::Collaborators(app);
    let (mut phases, idle) = (BTreeMap::from([(side.clone(), StepPhase::Failed)]), BTreeSet::new());
    loop {
        let decision = decide(&situation(&graph, Desired::Run, &phases, &idle));
        assert!(!decision.stop && !decision.start.contains(&side), "{decision:?}");
        phases.extend(decision.start.iter().map(|step| (step.clone(), StepPhase::Done)));
        if decision.start == [Step::Cleanup] {
            break;
        }
        assert!(!decision.start.is_empty() && !decision.start.contains(&Step::Cleanup), "{decision:?}");
    }
    let open: Vec<&Step> = graph.steps().filter(|step| phases.get(step) != Some(&StepPhase::Done)).collect();
    assert_eq!(open, [&side]);
    assert_eq!(decide(&situation(&graph, Desired::Run, &phases, &idle)).phase, Phase::Failed);
}

#[test]
fn what_is_cleaned_up_after_a_failure_is_not_taken_up_again() {
    let graph = graph();
    let (mut phases, idle) = (BTreeMap::from([(Step::ChooseBackup, StepPhase::Failed)]), BTreeSet::new());
    // Cut off in the middle of it, under a plan that has more to do by now.
    phases.insert(Step::Cleanup, StepPhase::Running);
    assert_eq!(decide(&situation(&graph, Desired::Run, &phases, &idle)).start, [Step::Cleanup]);
    let cleaning = BTreeSet::from([Step::Cleanup]);
    assert!(decide(&situation(&graph, Desired::Run, &phases, &cleaning)).start.is_empty());
    // Cut off between two tries.
    phases.insert(Step::Cleanup, StepPhase::Pending);
    assert_eq!(decide(&situation(&graph, Desired::Run, &phases, &idle)).start, [Step::Cleanup]);
}

#[test]
fn who_asks_for_another_try_stops_nothing_that_goes_on() {
    let graph = graph();
    let phases = BTreeMap::from([(Step::ChooseBackup, StepPhase::Failed)]);
    let looking = BTreeSet::from([Step::ChooseObjects]);
    let asked = Situation { again: true, ..situation(&graph, Desired::Run, &phases, &looking) };
    let decision = decide(&asked);
    assert!(!decision.stop && decision.start.is_empty() && decision.phase == Phase::Running, "{decision:?}");
}

#[test]
fn what_was_paused_beside_a_failure_is_paused_and_nothing_is_closed() {
    let (graph, idle) = (graph(), BTreeSet::new());
    let mut phases = BTreeMap::from([(Step::ChooseBackup, StepPhase::Failed)]);
    let running = BTreeSet::from([Step::ChooseObjects]);
    let first = decide(&situation(&graph, Desired::Pause, &phases, &running));
    assert_eq!((first.start.len(), first.stop, first.phase), (0, true, Phase::Running));
    let then = decide(&situation(&graph, Desired::Pause, &phases, &idle));
    assert_eq!((then.start.len(), then.stop, then.phase), (0, false, Phase::Paused));
    phases.insert(Step::Cleanup, StepPhase::Pending);
    let closing = decide(&situation(&graph, Desired::Pause, &phases, &idle));
    assert_eq!(closing.start, [Step::Cleanup], "what closes it was begun");
    phases.insert(Step::Cleanup, StepPhase::Done);
    assert_eq!(decide(&situation(&graph, Desired::Pause, &phases, &idle)).phase, Phase::Failed);
}

#[test]
fn what_has_ended_is_not_paused() {
    let (graph, idle) = (graph(), BTreeSet::new());
    let phases = BTreeMap::from([(Step::Cleanup, StepPhase::Done)]);
    for phase in [Phase::Cancelled, Phase::Failed] {
        let now = Situation { phase, ..situation(&graph, Desired::Pause, &phases, &idle) };
        let decision = decide(&now);
        assert_eq!((decision.start.len(), decision.phase), (0, phase));
    }
}

#[test]
fn a_drill_that_has_ended_stays_what_it_was_whatever_is_asked_of_it() {
    let (graph, idle) = (graph().rehearsed(), BTreeSet::new());
    let phases = BTreeMap::from([(Step::ChooseBackup, StepPhase::Done), (Step::TearDown, StepPhase::Done)]);
    let drill = Some(Drill { expired: false, blind: false });
    for phase in [Phase::Cancelled, Phase::Failed] {
        for desired in [Desired::Run, Desired::Pause, Desired::Cancel] {
            let now = Situation { drill, phase, ..situation(&graph, desired, &phases, &idle) };
            assert_eq!(decide(&now).phase, phase, "{desired:?}");
        }
    }
}

#[test]
fn a_failure_starts_nothing_while_somebody_has_to_agree() {
    let graph = graph();
    let (phases, idle) = (BTreeMap::from([(Step::ChooseBackup, StepPhase::Failed)]), BTreeSet::new());
    let held = |phases| {
        decide(&Situation { unapproved: true, ..situation(&graph, Desired::Run, phases, &idle) }).start
    };
    assert_eq!(held(&phases), [Step::ChooseObjects]);
    let chosen = BTreeMap::from([
        (Step::ChooseBackup, StepPhase::Done),
        (Step::ChooseObjects, StepPhase::Done),
        (Step::Inventory, StepPhase::Failed),
    ]);
    assert!(!held(&chosen).contains(&Step::Project), "nothing is made before somebody agreed");
}

#[test]
fn a_reached_milestone_is_kept_when_a_step_reopens() {
    let (graph, phases, busy) = (graph(), BTreeMap::new(), BTreeSet::new());
    let now = Situation { state: Milestone::Restored, ..situation(&graph, Desired::Run, &phases, &busy) };
    assert_eq!(decide(&now).state, Milestone::Restored);
}

#[test]
fn a_cancelled_request_starts_nothing_but_its_cleanup() {
    let (graph, phases, idle) = (graph(), BTreeMap::new(), BTreeSet::new());
    assert_eq!(decide(&situation(&graph, Desired::Cancel, &phases, &idle)).start, [Step::Cleanup]);
    let clean = decide(&situation(&graph, Desired::TearDown, &phases, &idle));
    assert_eq!((clean.start, clean.phase), (vec![Step::TearDown], Phase::TearingDown));
}

#[test]
fn what_is_wanted_again_waits_for_the_cleanup() {
    let (graph, phases) = (graph(), BTreeMap::from([(Step::Cleanup, StepPhase::Running)]));
    let cleaning = BTreeSet::from([Step::Cleanup]);
    let again = Situation { again: true, ..situation(&graph, Desired::Run, &phases, &cleaning) };
    let decision = decide(&again);
    assert_eq!((decision.start.len(), decision.stop, decision.phase), (0, false, Phase::Running));
}

#[test]
fn what_has_ended_well_cannot_be_cancelled_but_torn_down() {
    let (graph, idle) = (graph(), BTreeSet::new());
    let phases: BTreeMap<Step, StepPhase> =
        graph.steps().map(|step| (step.clone(), StepPhase::Done)).collect();
    assert_eq!(decide(&situation(&graph, Desired::Cancel, &phases, &idle)).phase, Phase::Succeeded);
    assert_eq!(decide(&situation(&graph, Desired::TearDown, &phases, &idle)).start, [Step::TearDown]);
}

/// A drill whose steps stand as `phases` says.
fn drilled(desired: Desired, phases: &BTreeMap<Step, StepPhase>, expired: bool) -> Decision {
    drilled_as(Drill { expired, blind: false }, desired, phases)
}

fn drilled_as(drill: Drill, desired: Desired, phases: &BTreeMap<Step, StepPhase>) -> Decision {
    let (graph, idle) = (graph().rehearsed(), BTreeSet::new());
    decide(&Situation { drill: Some(drill), ..situation(&graph, desired, phases, &idle) })
}

fn all_done() -> BTreeMap<Step, StepPhase> {
    graph().rehearsed().steps().map(|step| (step.clone(), StepPhase::Done)).collect()
}

#[test]
fn a_drill_writes_down_what_there_is_before_it_makes_anything() {
    let turns = walk(&graph().rehearsed());
    let turn_of = |wanted: &Step| turns.iter().position(|turn| turn.contains(wanted)).expect("it is run");
    for made in [Step::Project, Step::SshKey, Step::Bucket] {
        assert!(turn_of(&Step::Inventory) < turn_of(&made), "{made}");
    }
}

#[test]
fn a_drill_is_torn_down_before_it_has_succeeded() {
    let mut phases = all_done();
    let first = drilled(Desired::Run, &phases, false);
    assert_eq!((first.start, first.phase), (vec![Step::TearDown], Phase::TearingDown));
    assert_eq!(first.state, Milestone::DnsOk);
    phases.insert(Step::TearDown, StepPhase::Failed);
    assert_eq!(drilled(Desired::Run, &phases, false).phase, Phase::Failed, "something was left behind");
    phases.insert(Step::TearDown, StepPhase::Done);
    assert_eq!(drilled(Desired::Run, &phases, false).phase, Phase::Succeeded);
}

#[test]
fn a_drill_that_fails_expires_or_is_cancelled_is_torn_down_too() {
    let failed = BTreeMap::from([(Step::ChooseBackup, StepPhase::Failed)]);
    let begun = BTreeMap::from([(Step::ChooseBackup, StepPhase::Done)]);
    for (desired, phases, expired, end) in [
        (Desired::Run, &failed, false, Phase::Failed),
        (Desired::Run, &begun, true, Phase::Failed),
        (Desired::Cancel, &begun, false, Phase::Cancelled),
        (Desired::TearDown, &begun, false, Phase::Cancelled),
    ] {
        let mut phases = phases.clone();
        assert_eq!(drilled(desired, &phases, expired).start, [Step::TearDown], "{end:?}");
        phases.insert(Step::TearDown, StepPhase::Done);
        assert_eq!(drilled(desired, &phases, expired).phase, end);
    }
}

#[test]
fn a_drill_that_cannot_read_its_own_choice_makes_nothing_more() {
    let blind = Drill { expired: false, blind: true };
    let mut phases = BTreeMap::from([(Step::ChooseBackup, StepPhase::Done)]);
    assert_eq!(drilled_as(blind, Desired::Run, &phases).start, [Step::TearDown]);
    phases.insert(Step::TearDown, StepPhase::Done);
    assert_eq!(drilled_as(blind, Desired::Run, &phases).phase, Phase::Failed);
}

#[test]
fn a_drill_that_was_killed_while_it_was_torn_down_starts_nothing_else() {
    let phases =
        BTreeMap::from([(Step::ChooseBackup, StepPhase::Pending), (Step::TearDown, StepPhase::Running)]);
    assert_eq!(drilled(Desired::Run, &phases, false).start, [Step::TearDown]);
}

#[test]
fn without_approval_only_what_makes_nothing_goes_on() {
    let graph = graph();
    let (idle, looking) = (BTreeSet::new(), BTreeSet::from([Step::ChooseObjects]));
    let mut phases = BTreeMap::from([(Step::ChooseBackup, StepPhase::Done)]);
    let held = |phases: &BTreeMap<Step, StepPhase>, busy: &BTreeSet<Step>| {
        decide(&Situation { unapproved: true, ..situation(&graph, Desired::Run, phases, busy) })
    };
    assert_eq!(
        (held(&phases, &idle).start, held(&phases, &idle).phase),
        (vec![Step::ChooseObjects], Phase::Running)
    );
    assert_eq!(held(&phases, &looking).phase, Phase::Running);
    phases.insert(Step::ChooseObjects, StepPhase::Done);
    let waits = held(&phases, &idle);
    assert_eq!((waits.start, waits.stop, waits.phase), (vec![], false, Phase::WaitingApproval));
    assert!(!decide(&situation(&graph, Desired::Run, &phases, &idle)).start.is_empty());
    let cancelled = Situation { unapproved: true, ..situation(&graph, Desired::Cancel, &phases, &idle) };
    assert_eq!(decide(&cancelled).start, [Step::Cleanup]);
}

#[test]
fn a_paused_request_stops_what_runs_and_starts_nothing() {
    let (graph, idle) = (graph(), BTreeSet::new());
    let phases = BTreeMap::from([(Step::ChooseBackup, StepPhase::Done)]);
    let running = BTreeSet::from([Step::ChooseObjects]);
    let first = decide(&situation(&graph, Desired::Pause, &phases, &running));
    assert_eq!((first.start.len(), first.stop, first.phase), (0, true, Phase::Running));
    let then = decide(&situation(&graph, Desired::Pause, &phases, &idle));
    assert_eq!((then.start.len(), then.stop, then.phase), (0, false, Phase::Paused));
}

#[test]
fn a_drill_can_be_paused_and_expires_all_the_same() {
    let begun = BTreeMap::from([(Step::ChooseBackup, StepPhase::Done)]);
    assert_eq!(drilled(Desired::Pause, &begun, false).phase, Phase::Paused);
    assert_eq!(drilled(Desired::Pause, &begun, true).start, [Step::TearDown]);
}
