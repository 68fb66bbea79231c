//! What must hold after every recovery that succeeded, whatever happened on its way.

use std::collections::BTreeMap;

use reprise_e2e::plan::{APPS, BUCKET, DOMAINS};
use reprise_e2e::records::{LedgerLine, Request};
use reprise_e2e::stage::Stage;
use reprise_e2e::world::World;

/// Both sites answer, exactly one of each resource is there, each was created once, and nothing that must not stay has stayed.
pub(crate) async fn recovered(stage: &Stage, request: &Request) {
    recovered_as(stage, request, APPS).await;
}

/// The same, where the apps are called otherwise.
pub(crate) async fn recovered_as(stage: &Stage, request: &Request, apps: [&str; 2]) {
    let Stage { world, daemon, .. } = stage;
    assert_eq!(daemon.records().standing(request).await.state, "dns-ok");
    one_of_each(world, apps);
    created_once(world);
    let findings = world.findings(true);
    assert!(findings.is_empty(), "the checker says: {findings:#?}");
    for (app, domain) in apps.iter().zip(DOMAINS) {
        let front = world.visit(domain, "/").await;
        assert_eq!((front.status.as_u16(), &front.json()["app"]), (200, &(*app).into()), "{domain}");
    }
    // What is gone on purpose: the key, the intent to create an app under a name that turned out to be taken, and what was to be deployed
    // until another commit was.
    let may_be_gone = |row: &LedgerLine| {
        ["ssh-key", "deployment"].contains(&&*row.kind)
            || (row.kind == "app" && !apps.contains(&row.name.as_str()))
    };
    let mut open = daemon.records().ledger(request).await;
    open.retain(|row| row.state != "present" && !(row.state == "deleted" && may_be_gone(row)));
    assert!(open.is_empty(), "the ledger does not know what became of {open:?}");
    assert!(daemon.litter().is_empty(), "left behind: {:?}", daemon.litter());
    let keys = world.inventory()["ssh_keys"].to_string();
    assert!(!keys.contains("reprise-"), "a key of ours is still registered: {keys}");
}

fn one_of_each(world: &World, apps: [&str; 2]) {
    let each = [
        ("projects", "name", "apilos-pra", 1),
        ("apps", "name", apps[0], 1),
        ("apps", "name", apps[1], 1),
        ("addons", "app", apps[0], 2),
        ("addons", "app", apps[1], 1),
        ("collaborators", "app", apps[0], 1),
        ("collaborators", "app", apps[1], 1),
        ("database_users", "name", "apilosreadonly", 1),
        ("domains", "name", DOMAINS[0], 1),
        ("domains", "name", DOMAINS[1], 1),
    ];
    for (kind, field, value, expected) in each {
        assert_eq!(world.count(kind, field, value), expected, "{kind} whose {field} is {value}");
    }
    for label in ["siap", "standalone"] {
        assert_eq!(world.aliases(label).len(), 1, "aliases of {label}");
    }
    let bucket = &world.inventory()["buckets"]["source"][BUCKET];
    assert_eq!((&bucket["private"], &bucket["versioning"]), (&true.into(), &"Enabled".into()), "{bucket}");
    assert_eq!(bucket["objects"], bucket["versions"], "an object was written twice: {bucket}");
}

/// What is billed or seen by people is created once: each call that created something, by its exact words and what it was about.
fn created_once(world: &World) {
    let mut calls = BTreeMap::<(String, String), u32>::new();
    for entry in world.journal() {
        let creates = ["POST /v1/", "PUT /v1/", "CreateBucket", "PutObject", "deploy"];
        let repeatable = ["/token", "/tokens", "/variables", "/scale", "/keys"];
        let took_effect = (200..300).contains(&entry.status);
        if took_effect
            && creates.iter().any(|call| entry.call.starts_with(call))
            && !repeatable.iter().any(|end| entry.call.contains(end))
        {
            *calls.entry((entry.call, entry.resource)).or_default() += 1;
        }
    }
    let twice: Vec<_> = calls.iter().filter(|(_, times)| **times > 1).collect();
    assert!(!calls.is_empty() && twice.is_empty(), "done twice: {twice:?}");
}
