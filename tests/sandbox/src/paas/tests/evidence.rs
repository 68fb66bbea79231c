//! What the journal says of work that ends long after its request: which code serves, and which containers.

use serde_json::{Value, json};

use super::{Site, site, until};
use crate::world::Entry;

const APP: &str = "/v1/apps/demarches-test";

/// The entry that says how the newest `call` of the app ended, once there is one more than `known`.
async fn ended(site: &Site, call: &str, known: usize) -> Entry {
    let mut found = Vec::new();
    until("the end is in the journal", async || {
        site.advance(12);
        found = site.world.journal.entries();
        found.retain(|entry| entry.call == call && entry.resource == "demarches-test");
        found.len() > known
    })
    .await;
    found.pop().unwrap()
}

/// The containers of one side, by name, and when each was started.
fn containers(side: Option<&Value>) -> Vec<(String, String)> {
    let listed = side.into_iter().flat_map(|side| side["containers"].as_array().into_iter().flatten());
    let text = |one: &Value, member: &str| one[member].as_str().unwrap().to_owned();
    listed.map(|one| (text(one, "name"), text(one, "started_at"))).collect()
}

#[tokio::test]
async fn the_end_of_a_scale_and_of_a_restart_tells_which_containers_came_and_went() {
    let site = site().await;
    site.idle_app().await;
    let scale = async |amount: u32| {
        let body = json!({"containers": [{"name": "worker", "amount": amount}]});
        assert_eq!(site.post(&format!("{APP}/scale"), body).await.0, 202);
    };
    scale(2).await;
    let up = ended(&site, "scale", 0).await;
    assert_eq!((up.caller.as_str(), up.status), (site.user.as_str(), 200));
    let started = containers(up.evidence.after.as_ref());
    let names: Vec<&str> = started.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((containers(up.evidence.before.as_ref()).len(), names), (0, vec!["worker-1", "worker-2"]));
    let scope = json!({"scope": ["worker-1"]});
    assert_eq!(site.post(&format!("{APP}/restart"), scope).await.0, 202);
    let again = ended(&site, "restart", 0).await;
    let (before, after) =
        (containers(again.evidence.before.as_ref()), containers(again.evidence.after.as_ref()));
    assert_eq!(before, started[..1], "only the one that was meant");
    assert!(after.len() == 1 && after[0].0 == "worker-1" && after[0].1 != before[0].1, "{after:?}");
    scale(0).await;
    let down = ended(&site, "scale", 1).await;
    assert_eq!((containers(down.evidence.before.as_ref()).len(), &down.evidence.after), (2, &None));
}

#[tokio::test]
async fn the_end_of_a_deployment_tells_the_version_before_and_after() {
    let site = site().await;
    site.idle_app().await;
    let first = ended(&site, "deploy archive", 0).await;
    let version = |side: &Option<Value>| side.as_ref().map(|side| side["code"][0]["version"].clone());
    assert_eq!((version(&first.evidence.before), version(&first.evidence.after)), (None, Some(json!("v1"))));
    assert_eq!(site.paas.inventory()["apps"][0]["deployed"], "v1");
    let body = json!({"deployment": {"git_ref": "v2", "source_url": "http://127.0.0.1:1/never"}});
    assert_eq!(site.post(&format!("{APP}/deployments"), body).await.0, 201);
    let failed = ended(&site, "deploy archive", 1).await;
    assert_eq!((failed.status, &failed.evidence.before, &failed.evidence.after), (422, &None, &None));
}
