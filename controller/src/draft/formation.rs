//! Containers of the apps: what they have alike, and what each has beside. Pure.

use std::collections::BTreeMap;

use reprise_crds::plan::ContainerSize;

use super::page::Page;
use super::seen::Seen;
use crate::providers::scalingo::formation::ContainerType;

/// The most containers of a type.
const MOST: u32 = 10;

/// Containers as a plan has them: how many, and of which size, by type.
pub(super) type Containers = BTreeMap<String, (u32, Option<String>)>;

/// Writes them.
pub(super) fn containers(page: &mut Page, all: &Containers) {
    for (name, (amount, size)) in all {
        let size = size.as_ref().map_or_else(String::new, |size| format!(", size: {size}"));
        page.written(name, &format!("{{ amount: {amount}{size} }}"));
    }
}

/// Containers that all apps have alike, and what each has beside.
pub(super) fn formations(apps: &[Seen]) -> (Containers, Vec<Containers>) {
    let mut own: Vec<Containers> =
        apps.iter().map(|app| app.formation.iter().map(container).collect()).collect();
    let mut common = own.first().cloned().unwrap_or_default();
    common.retain(|name, containers| own.iter().all(|all| all.get(name) == Some(containers)));
    for all in &mut own {
        all.retain(|name, _| !common.contains_key(name));
    }
    (common, own)
}

/// An app that was stopped has to answer again, and a size that a plan does not know is left to the platform.
fn container(seen: &ContainerType) -> (String, (u32, Option<String>)) {
    let least = u32::from(seen.name == "web");
    let known = |size: &&String| ContainerSize::ALL.iter().any(|known| known.as_str() == size.as_str());
    (seen.name.clone(), (seen.amount.clamp(least, MOST), seen.size.as_ref().filter(known).cloned()))
}
