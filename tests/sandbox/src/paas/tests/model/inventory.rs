//! The inventory says what the model says: no more, no less.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{App, Play};

/// One line of a kind: its members in a fixed order.
type Lines = BTreeSet<Vec<String>>;

/// What the inventory lists as `kind`, by these members.
fn listed(inventory: &Value, kind: &str, members: &[&str]) -> Lines {
    let line = |one: &Value| {
        members.iter().map(|member| one[*member].as_str().unwrap_or_default().to_owned()).collect()
    };
    inventory[kind].as_array().expect("a list").iter().map(line).collect()
}

impl Play {
    /// Lines of every app of the model.
    fn of_apps(&self, lines: impl Fn(&str, &App) -> Vec<Vec<String>>) -> Lines {
        self.model.apps.iter().flat_map(|(name, app)| lines(name, app)).collect()
    }

    pub(super) fn check_inventory(&self) {
        let all = self.site.paas.inventory();
        let line = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let apps = self.of_apps(|name, app| {
            vec![line(&[name, app.project.as_deref().unwrap_or("default"), app.status()])]
        });
        assert_eq!(listed(&all, "apps", &["name", "project", "status"]), apps, "apps");
        let own = listed(&all, "variables", &["app", "name", "value_sha256"]);
        let own: Lines = own.into_iter().filter(|line| line[1].starts_with("OWN_")).collect();
        let digest = |value: &str| hex::encode(Sha256::digest(value))[..12].to_owned();
        let variables = self.of_apps(|app, known| {
            known.variables.iter().map(|(name, value)| line(&[app, name, &digest(value)])).collect()
        });
        assert_eq!(own, variables, "variables");
        let domains =
            self.of_apps(|app, known| known.domains.keys().map(|name| line(&[app, name])).collect());
        assert_eq!(listed(&all, "domains", &["app", "name"]), domains, "domains");
        let team = self.of_apps(|app, known| known.team.keys().map(|email| line(&[app, email])).collect());
        assert_eq!(listed(&all, "collaborators", &["app", "email"]), team, "collaborators");
        let keys: Lines = self.model.keys.keys().map(|name| line(&[name])).collect();
        assert_eq!(listed(&all, "ssh_keys", &["name"]), keys, "keys");
        let addons = all["addons"].as_array().map_or(0, Vec::len);
        assert_eq!(addons, self.model.apps.values().map(|app| app.addons.len()).sum::<usize>(), "addons");
        let running = |app: &App| if app.deployed { app.formation.clone() } else { BTreeMap::new() };
        let processes = self.of_apps(|app, known| {
            let kinds = running(known).into_iter().filter(|(_, amount)| *amount > 0);
            kinds.map(|(kind, amount)| line(&[app, &kind, &amount.to_string()])).collect()
        });
        let shown: Lines = all["processes"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| {
                let text = |member: &str| one[member].as_str().unwrap_or_default().to_owned();
                vec![text("app"), text("type"), one["count"].to_string()]
            })
            .collect();
        assert_eq!(shown, processes, "what runs");
    }
}
