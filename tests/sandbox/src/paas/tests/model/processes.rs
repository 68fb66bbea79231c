//! What changes an app's processes, and keeps other changes out meanwhile.

use serde_json::{Value, json};

use super::{Play, until};
use crate::world::Fault;

/// So many containers of one type there may be.
const MOST: u64 = 10;

impl Play {
    fn is_busy(&self, app: &str) -> bool {
        self.model.apps.get(app).is_some_and(|app| app.busy)
    }

    pub(super) async fn deploy(&mut self, name: String) {
        let wanted = self.in_app(&name, 201);
        let body = json!({"deployment": {"git_ref": "v1", "source_url": "http://127.0.0.1:1/never"}});
        if wanted == 201 {
            // It never ends, so that it is known at any time what is busy.
            let rule = self.at_build(&name, Fault::Stall);
            self.held.entry(name.clone()).or_default().push(rule);
        }
        // Deployments queue: a second one is not refused.
        self.expect(wanted, "POST", &format!("/v1/apps/{name}/deployments"), body).await;
        if let Some(app) = self.model.apps.get_mut(&name) {
            app.busy = true;
        }
    }

    /// A deployment that ends badly leaves the app as it was; one behind a deployment that is held up waits with it.
    pub(super) async fn fail(&mut self, name: String) {
        if self.is_busy(&name) || !self.model.apps.contains_key(&name) {
            return self.deploy(name).await;
        }
        let rule = self.at_build(&name, Fault::Reject { reason: "build-error".into() });
        let body = json!({"deployment": {"git_ref": "v1", "source_url": "http://127.0.0.1:1/never"}});
        let made = self.expect(201, "POST", &format!("/v1/apps/{name}/deployments"), body).await;
        let ended = async || {
            self.site.advance(30);
            let state = self.site.paas.state();
            let mine = state.app(&name).and_then(|app| app.deployments.last());
            mine.is_some_and(|one| one.id == made["deployment"]["id"] && one.status == "build-error")
        };
        until("the deployment has failed", ended).await;
        assert!(!self.site.world.faults.remove(rule), "it failed by itself");
    }

    pub(super) async fn scale(&mut self, name: String, kind: String, amount: u64) {
        let wanted = match amount {
            _ if self.is_busy(&name) => 409,
            0..=MOST => 200,
            _ => 422,
        };
        let wanted = self.in_app(&name, wanted);
        let body = json!({"containers": [{"name": kind, "amount": amount}]});
        self.expect(wanted, "POST", &format!("/v1/apps/{name}/scale"), body).await;
        if wanted == 200
            && let Some(app) = self.model.apps.get_mut(&name)
        {
            app.formation.insert(kind, amount);
        }
    }

    /// Nothing was ever deployed: that is said before anything else.
    pub(super) async fn restart(&mut self, name: String) {
        let wanted = self.in_app(&name, 400);
        self.expect(wanted, "POST", &format!("/v1/apps/{name}/restart"), Value::Null).await;
    }
}
