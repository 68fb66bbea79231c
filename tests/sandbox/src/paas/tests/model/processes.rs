//! What changes an app's processes, and keeps other changes out meanwhile.

use serde_json::{Value, json};

use super::Play;

/// So many containers of one type there may be.
const MOST: u64 = 10;

impl Play {
    fn is_busy(&self, app: &str) -> bool {
        self.model.apps.get(app).is_some_and(|app| app.busy)
    }

    pub(super) async fn deploy(&mut self, name: String) {
        let wanted = self.in_app(&name, 201);
        let body = json!({"deployment": {"git_ref": "v1", "source_url": "http://127.0.0.1:1/never"}});
        // Deployments queue: a second one is not refused.
        self.expect(wanted, "POST", &format!("/v1/apps/{name}/deployments"), body).await;
        if let Some(app) = self.model.apps.get_mut(&name) {
            app.busy = true;
        }
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
