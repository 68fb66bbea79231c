//! What the platform refuses: names of others, builds and hooks that fail.

use reprise_e2e::plan::{APPS, Plan};
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;
use reqwest::Method;

use crate::evidence::{recovered, recovered_as};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_another_customer_holds_is_told_and_another_name_goes_on() {
    const OTHER: &str = "apilos-siap-pra2";
    play(4, async |stage: &mut Stage| {
        stage.world.take_app_name(APPS[0]).await;
        let request = stage.bad_day(&Plan::example()).await;
        let why = stage.daemon.records().failed(&request).await;
        assert!(why.contains(APPS[0]) && why.contains("taken") && why.contains("What to do: "), "{why}");
        stage.daemon.apply(&Plan::example().with(APPS[0], OTHER)).await;
        stage.daemon.run(&["resume", request.name()]).await;
        stage.daemon.records().succeeded(&request).await;
        assert_eq!(stage.world.count("apps", "name", APPS[0]), 1, "somebody else's app was touched");
        assert_eq!(stage.world.count("addons", "app", APPS[0]), 0, "somebody else's app was touched");
        recovered_as(stage, &request, [OTHER, APPS[1]]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_fails_is_told_and_tried_again_when_asked() {
    a_deployment_fails(5, "build", "build-error").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postdeploy_hook_that_fails_is_told_and_tried_again_when_asked() {
    a_deployment_fails(6, "hook", "hook-error").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_failed_while_nobody_looked_is_told_and_not_run_again_unasked() {
    play(9, async |stage: &mut Stage| {
        stage.world.break_("hook", APPS[0], Some(1), Fault::Reject { reason: "hook-error".to_owned() });
        // The answer that tells how the first deployment ended is long in coming.
        let (key, out) =
            (format!("deploy/{}", APPS[0]), Fault::Status { status: 500, body: None, retry_after: None });
        let request = stage.bad_day(&Plan::example()).await;
        let records = stage.daemon.records();
        let builds = |message: &str| message.contains("builds and deploys");
        records.step_is(&request, &key, |step| builds(&step.message)).await;
        stage.world.break_("GET", "/deployments", None, out);
        let failed = |stage: &Stage| {
            stage.world.faults_left().iter().all(|rule| rule.method.as_deref() != Some("hook"))
        };
        stage.eventually("the hook fails", failed).await;
        records.step_is(&request, &key, |step| step.phase == "Running" && step.attempt > 1).await;
        stage.world.mend();

        let why = records.failed(&request).await;
        assert!(why.contains("hook-error") && why.contains("migrations may be half applied"), "{why}");
        assert_eq!(deployments(stage).await, ["hook-error"], "it was pushed again, and nobody had asked");
        stage.daemon.run(&["resume", request.name()]).await;
        records.succeeded(&request).await;
        assert_eq!(deployments(stage).await, ["success", "hook-error"]);
    })
    .await;
}

/// How the deployments of the first app ended, newest first.
async fn deployments(stage: &Stage) -> Vec<String> {
    let told = stage.world.platform(Method::GET, &format!("apps/{}/deployments", APPS[0]), None).await;
    let all = told["deployments"].as_array().expect("deployments").iter();
    all.map(|one| one["status"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_was_mended_where_it_comes_from_is_what_the_next_try_deploys() {
    play(7, async |stage: &mut Stage| {
        let code = Code::of(stage);
        let whole = code.built();
        code.build(b"#!/bin/sh\nexit 1\n");
        let request = stage.bad_day(&Plan::example()).await;
        let why = stage.daemon.records().failed(&request).await;
        assert!(why.contains("build-error"), "{why}");
        // The same commit would fail for ever.
        let newest = code.build(&whole);
        stage.daemon.run(&["resume", request.name()]).await;
        stage.daemon.records().succeeded(&request).await;
        for app in APPS {
            let step =
                stage.daemon.records().step(&request, &format!("deploy/{app}")).await.expect("the step");
            assert_eq!(step.output["commit"], newest, "{step:?}");
        }
        recovered(stage, &request).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_release_is_deployed_over_one_whose_hook_failed() {
    play(10, async |stage: &mut Stage| {
        let code = Code::of(stage);
        let earlier = code.newest();
        code.put("a-note", b"newer");
        stage.world.break_("hook", APPS[0], Some(1), Fault::Reject { reason: "hook-error".to_owned() });
        let request = stage.bad_day(&Plan::example()).await;
        let why = stage.daemon.records().failed(&request).await;
        assert!(why.contains("hook-error"), "{why}");
        stage.daemon.apply(&Plan::example().with("ref: main", &format!("ref: \"{earlier}\""))).await;
        stage.daemon.run(&["resume", request.name()]).await;
        stage.daemon.records().succeeded(&request).await;
        for app in APPS {
            let step =
                stage.daemon.records().step(&request, &format!("deploy/{app}")).await.expect("the step");
            assert_eq!(step.output["commit"], earlier, "{step:?}");
        }
    })
    .await;
}

/// The repository that the apps' code comes from.
pub(crate) struct Code {
    copy: tempfile::TempDir,
}

impl Code {
    pub(crate) fn of(stage: &Stage) -> Self {
        let copy = tempfile::tempdir().expect("a folder");
        let url = stage.world.variable("CODE_URL");
        git(&["clone", "--quiet", url, &copy.path().display().to_string()]);
        Self { copy }
    }

    /// The ref's commit now.
    fn newest(&self) -> String {
        git(&["-C", &self.copy.path().display().to_string(), "rev-parse", "HEAD"]).trim().to_owned()
    }

    /// What builds it now.
    pub(crate) fn built(&self) -> Vec<u8> {
        std::fs::read(self.copy.path().join("bin/build")).expect("the build")
    }

    /// Another commit on the ref, with this build. Its id.
    pub(crate) fn build(&self, build: &[u8]) -> String {
        self.put("bin/build", build)
    }

    /// Another commit on the ref, with this file. Its id.
    pub(crate) fn put(&self, path: &str, content: &[u8]) -> String {
        let file = self.copy.path().join(path);
        std::fs::create_dir_all(file.parent().expect("below the repository")).expect("a folder");
        std::fs::write(file, content).expect("written");
        let here = self.copy.path().display().to_string();
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        git(&["-C", &here, "add", "--all"]);
        git(&[&["-C", &here], &who[..], &["commit", "--quiet", "-m", "another build"]].concat());
        git(&["-C", &here, "push", "--quiet", "origin", "HEAD:main"]);
        self.newest()
    }
}

fn git(arguments: &[&str]) -> String {
    let mut git = std::process::Command::new("git");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").args(arguments);
    let done = git.output().expect("git runs");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("a text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_that_is_refused_ends_nothing_else() {
    play(8, async |stage: &mut Stage| {
        let refused = Fault::Status { status: 422, body: None, retry_after: None };
        stage.world.break_("POST", "/collaborators", None, refused);
        let request = stage.bad_day(&Plan::example()).await;
        let records = stage.daemon.records();
        let why = records.failed(&request).await;
        assert!(why.contains("collaborators/"), "{why}");
        for step in records.steps(&request).await {
            let side = step.step.starts_with("collaborators/");
            assert_eq!(step.phase, if side { "Failed" } else { "Done" }, "{step:?}");
        }
        stage.world.mend();
        stage.daemon.run(&["resume", request.name()]).await;
        records.succeeded(&request).await;
        assert_eq!(
            records.step(&request, "restore").await.expect("the step").attempt,
            1,
            "it was all done again"
        );
        recovered(stage, &request).await;
    })
    .await;
}

async fn a_deployment_fails(seed: u64, verb: &str, status: &str) {
    play(seed, async |stage: &mut Stage| {
        stage.world.break_(verb, APPS[0], Some(1), Fault::Reject { reason: status.to_owned() });
        let request = stage.bad_day(&Plan::example()).await;
        let why = stage.daemon.records().failed(&request).await;
        for part in [&format!("deploy/{}", APPS[0]), status, "What to do: ", "resume"] {
            assert!(why.contains(part), "`{part}` is not in: {why}");
        }
        stage.daemon.run(&["resume", request.name()]).await;
        stage.daemon.records().succeeded(&request).await;
        recovered(stage, &request).await;
    })
    .await;
}
