//! Pushes by git over SSH, into the platform's own queue of deployments.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::json;
use tokio::process::{Child, Command};

use super::{Site, site, until};
use crate::paas::Door;
use crate::plane::ssh::SshServer;

const APP: &str = "demarches-test";

/// Somebody with a clone, and a key that is registered.
struct Dev<'a> {
    site: &'a Site,
    home: tempfile::TempDir,
    ssh: SshServer,
}

async fn dev(site: &Site) -> Dev<'_> {
    let home = tempfile::tempdir().unwrap();
    let mut keygen = std::process::Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(home.path().join("key"));
    assert!(keygen.status().unwrap().success());
    let content = std::fs::read_to_string(home.path().join("key.pub")).unwrap();
    let key = json!({"key": {"name": "dev", "content": content}});
    assert_eq!(site.post("auth:/v1/keys", key).await.0, 201);
    let door = Arc::new(Door(Arc::clone(&site.paas)));
    let plane = &site.paas.plane;
    let ssh = SshServer::start(&site.world, door, &plane.databases, &plane.redis).await.unwrap();
    let dev = Dev { site, home, ssh };
    std::fs::create_dir(dev.clone()).unwrap();
    dev.git(&["init", "-q", "-b", "main"]).await;
    std::fs::write(dev.clone().join("Procfile"), "worker: sleep 600\n").unwrap();
    dev
}

impl Dev<'_> {
    fn clone(&self) -> PathBuf {
        self.home.path().join("clone")
    }

    fn command(&self, folder: &Path, words: &[&str]) -> Command {
        let mut git = Command::new("git");
        let ssh = format!(
            "ssh -F /dev/null -i {} -p {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes",
            self.home.path().join("key").display(),
            self.ssh.addr().port()
        );
        git.current_dir(folder).args(["-c", "user.name=A", "-c", "user.email=a@example.test"]).args(words);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_SSH_COMMAND", ssh);
        git.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        git
    }

    async fn git(&self, words: &[&str]) -> String {
        let output = self.command(&self.clone(), words).output().await.unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    async fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]).await;
        self.git(&["commit", "-q", "--allow-empty", "-m", message]).await;
        self.git(&["rev-parse", "HEAD"]).await
    }

    /// Begins to push what the clone has now; it is queued when this returns.
    async fn push(&self) -> Child {
        let known = self.statuses().len();
        let remote = format!("git@127.0.0.1:{APP}.git");
        let push = self.command(&self.clone(), &["push", &remote, "HEAD:main"]).spawn().unwrap();
        until("the push is queued", async || self.statuses().len() > known).await;
        push
    }

    /// Whether a push succeeded, and what it printed.
    async fn end(&self, push: Child) -> (bool, String) {
        let output = push.wait_with_output();
        tokio::pin!(output);
        loop {
            tokio::select! {
                output = &mut output => {
                    let output = output.unwrap();
                    return (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned());
                }
                () = tokio::time::sleep(std::time::Duration::from_millis(50)) => self.site.advance(20),
            }
        }
    }

    fn statuses(&self) -> Vec<String> {
        let state = self.site.paas.state();
        state.app(APP).unwrap().deployments.iter().map(|one| one.status.clone()).collect()
    }

    /// The commit that serves, and the one that the branch is at.
    async fn now(&self) -> (String, String) {
        let serves = {
            let state = self.site.paas.state();
            let app = state.app(APP).unwrap();
            let last = app.deployments.iter().find(|one| Some(&one.id) == app.last_deployment.as_ref());
            last.and_then(|one| one.git_ref.clone()).unwrap_or_default()
        };
        let repository = self.site.world.dir().join(format!("git/{APP}.git"));
        let branch = self.command(&repository, &["rev-parse", "refs/heads/main"]).output().await.unwrap();
        (serves, String::from_utf8_lossy(&branch.stdout).trim().to_owned())
    }
}

#[tokio::test]
async fn a_push_that_another_overtook_deploys_nothing() {
    let site = site().await;
    site.paas.seed_app(&site.user, APP).unwrap();
    let dev = dev(&site).await;
    let first = dev.commit("first").await;
    let before = dev.push().await;
    let second = dev.commit("second").await;
    let behind = dev.push().await;
    let (pushed, said) = dev.end(before).await;
    assert!(pushed, "{said}");
    let (pushed, said) = dev.end(behind).await;
    assert!(!pushed && said.contains("moved by another push"), "{said}");
    assert_eq!(dev.statuses(), ["success", "aborted"]);
    assert_eq!(dev.now().await, (first.clone(), first));
    // Who has seen the first may push the second.
    let again = dev.push().await;
    let (pushed, said) = dev.end(again).await;
    assert!(pushed, "{said}");
    assert_eq!(dev.now().await, (second.clone(), second));
}

#[tokio::test]
async fn a_push_behind_one_that_fails_is_deployed() {
    let site = site().await;
    site.paas.seed_app(&site.user, APP).unwrap();
    let dev = dev(&site).await;
    std::fs::write(dev.clone().join("Procfile"), "nonsense\n").unwrap();
    dev.commit("first").await;
    let before = dev.push().await;
    std::fs::write(dev.clone().join("Procfile"), "worker: sleep 600\n").unwrap();
    let second = dev.commit("second").await;
    let behind = dev.push().await;
    assert!(!dev.end(before).await.0);
    let (pushed, said) = dev.end(behind).await;
    assert!(pushed, "{said}");
    assert_eq!(dev.statuses(), ["build-error", "success"]);
    assert_eq!(dev.now().await, (second.clone(), second));
}

#[tokio::test]
async fn a_push_whose_refs_would_move_together_later_is_not_taken() {
    let site = site().await;
    site.paas.seed_app(&site.user, APP).unwrap();
    let dev = dev(&site).await;
    dev.commit("first").await;
    let remote = format!("git@127.0.0.1:{APP}.git");
    let words = ["push", "--atomic", &remote, "HEAD:main", "HEAD:master"];
    let (pushed, said) = dev.end(dev.command(&dev.clone(), &words).spawn().unwrap()).await;
    assert!(!pushed && said.contains("does not support --atomic"), "{said}");
    assert_eq!(dev.statuses(), Vec::<String>::new());
}
