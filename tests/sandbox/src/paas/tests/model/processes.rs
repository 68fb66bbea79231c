//! What changes an app's processes, and keeps other changes out meanwhile.

use serde_json::{Value, json};

use super::{Play, until};
use crate::paas::tests::tarball;
use crate::world::Fault;

/// The one type that a deployment here brings.
const TYPE: &str = "kind0";
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

    /// A deployment that ends well: from then on the app has the types of its Procfile, and those that were scaled before run.
    pub(super) async fn succeed(&mut self, name: String) {
        if self.is_busy(&name) || !self.model.apps.contains_key(&name) {
            return self.deploy(name).await;
        }
        let made = self.expect(201, "POST", "/v1/sources", json!({})).await;
        let url = |which: &str| made["source"][which].as_str().unwrap().to_owned();
        let archive = tarball(&[("root/Procfile", &format!("{TYPE}: sleep 600\n"))]);
        let put = self.site.http.put(url("upload_url")).header("content-type", "application/x-gzip");
        assert_eq!(put.body(archive).send().await.unwrap().status().as_u16(), 200);
        let body = json!({"deployment": {"git_ref": "v1", "source_url": url("download_url")}});
        let made = self.expect(201, "POST", &format!("/v1/apps/{name}/deployments"), body).await;
        let id = made["deployment"]["id"].as_str().unwrap();
        let (status, output) = self.site.deployed(&name, id).await;
        assert_eq!(status, "success", "{name}: {output}");
        if let Some(app) = self.model.apps.get_mut(&name) {
            app.deployed = true;
            app.formation.retain(|kind, _| kind == TYPE);
            app.formation.entry(TYPE.to_owned()).or_insert(0);
        }
    }

    fn is_deployed(&self, app: &str) -> bool {
        self.model.apps.get(app).is_some_and(|app| app.deployed)
    }

    pub(super) async fn scale(&mut self, name: String, kind: String, amount: u64) {
        let deployed = self.is_deployed(&name);
        let wanted = match amount {
            _ if self.is_busy(&name) => 409,
            amount if amount > MOST => 422,
            // Who knows the types takes no other.
            _ if deployed && kind != TYPE => 404,
            _ if deployed => 202,
            _ => 200,
        };
        let wanted = self.in_app(&name, wanted);
        let body = json!({"containers": [{"name": kind, "amount": amount}]});
        self.expect(wanted, "POST", &format!("/v1/apps/{name}/scale"), body).await;
        if matches!(wanted, 200 | 202)
            && let Some(app) = self.model.apps.get_mut(&name)
        {
            app.formation.insert(kind, amount);
        }
        if wanted == 202 {
            self.operated(&name).await;
        }
    }

    /// That nothing was ever deployed is said before anything else.
    pub(super) async fn restart(&mut self, name: String) {
        let wanted = match self.is_deployed(&name) {
            false => 400,
            true if self.is_busy(&name) => 409,
            true => 202,
        };
        let wanted = self.in_app(&name, wanted);
        self.expect(wanted, "POST", &format!("/v1/apps/{name}/restart"), Value::Null).await;
        if wanted == 202 {
            self.operated(&name).await;
        }
    }

    /// Waits for the end of the operation that was begun last.
    async fn operated(&self, name: &str) {
        let ended = async || {
            self.site.advance(12);
            let state = self.site.paas.state();
            let last = state.app(name).and_then(|app| app.operations.last());
            last.is_some_and(|operation| operation.status == "done")
        };
        until("the operation is done", ended).await;
    }
}
