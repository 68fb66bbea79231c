//! The plan's text, section by section, in the order of docs/plan.md. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::formation::{Containers, containers, formations};
use super::names::{self, Hosts};
use super::page::Page;
use super::places::Places;
use super::seen::{AddonSeen, Estate, Seen};
use super::variables::{Decided, Decision, Table, table};

/// What the sections are written from.
struct Writer<'a> {
    estate: &'a Estate,
    name: &'a str,
    places: Places,
    variables: Table,
    hosts: Hosts,
    /// Containers of all apps alike, then what differs in each.
    formation: (Containers, Vec<Containers>),
}

/// The text, and the paths of the fields that are left empty.
pub(super) fn write(estate: &Estate, name: &str) -> (String, Vec<String>) {
    let places = Places::of(&estate.apps);
    let writer = Writer {
        variables: table(&estate.apps, &places),
        hosts: names::hosts(estate.apps.iter().map(|app| app.domains.as_slice())),
        formation: formations(&estate.apps),
        places,
        estate,
        name,
    };
    let mut page = Page::default();
    page.text("apiVersion", "reprise.dev/v1alpha1");
    page.text("kind", "RecoveryPlan");
    page.map("metadata", |page| page.text("name", name));
    page.map("spec", |page| writer.spec(page));
    page.finish()
}

impl Writer<'_> {
    fn spec(&self, page: &mut Page) {
        page.map("source", |page| self.source(page));
        page.gap();
        page.map("target", |page| self.target(page));
        page.gap();
        let mut taken = self.estate.taken.clone();
        let names = self.estate.apps.iter().enumerate();
        let names = names.map(|(index, app)| (index, names::app(&app.name, index, &mut taken)));
        page.items("apps", names, |page, (index, name)| self.app(page, index, &name));
        page.gap();
        page.map("variables", |page| self.variables(page));
        page.gap();
        page.map("dns", |page| self.dns(page));
        page.gap();
        self.archive(page);
        rest(page);
    }

    fn first(&self) -> Option<&Seen> {
        self.estate.apps.first()
    }

    fn source(&self, page: &mut Page) {
        page.text("region", &self.estate.region);
        page.text("app", self.first().map_or("", |app| &app.name));
        page.text("addon", "postgresql");
        if self.places.bucket.is_none() {
            page.remark("No variable names a bucket. Where there is one after all, its documents need source.bucket, source.objects, target.bucket and archive.");
            return;
        }
        page.map("bucket", |page| {
            page.check("name", "env:S3_SOURCE_BUCKET", "production's bucket");
            store(
                page,
                "SOURCE",
                "the object store's base URL, without the bucket",
                "a key pair that may read it",
            );
        });
        page.remark(
            "Copies of the documents, tried in this order: the newest whole run of the archive below. A zip of a workflow (`artifact`) and a bucket that production is copied into (`mirror`) can be named too.",
        );
        page.items("objects", [()], |page, ()| page.written("archive", "{}"));
    }

    fn target(&self, page: &mut Page) {
        page.check(
            "region",
            &self.estate.region,
            "the old one; another, where the loss of this one is feared",
        );
        let old: BTreeSet<&str> = self.estate.apps.iter().filter_map(|app| app.project.as_deref()).collect();
        let old = old.into_iter().collect::<Vec<_>>().join(", ");
        page.check("project", &names::project(self.name), &format!("a new one; the old one is {old}"));
        if let Some(stack) = self.first().and_then(|app| app.stack.as_deref()) {
            page.text("stack", stack);
        }
        page.map("postgresql", |page| {
            let addon = self.first().and_then(|app| app.postgresql.as_ref());
            plan_of(page, addon, "postgresql");
            if let Some(version) = addon.and_then(|addon| addon.version.as_deref()) {
                page.written("version", &format!("\"{version}\""));
            }
        });
        self.redis(page);
        if self.places.reader.is_some() {
            page.check(
                "readOnlyUser",
                &names::read_only_user(self.name),
                "a second user enters the database; taken for one that only reads",
            );
        }
        if self.places.bucket.is_some() {
            page.map("bucket", |page| {
                page.check(
                    "name",
                    &names::bucket(self.name),
                    "a new one; its name must be free in the whole world",
                );
                store(
                    page,
                    "SOURCE",
                    "where the new bucket is made",
                    "a key pair that may make it; the apps are given it",
                );
                page.text("visibility", "private");
                page.written("versioning", "true");
            });
        }
        self.collaborators(page);
        if !self.formation.0.is_empty() {
            page.map("formation", |page| containers(page, &self.formation.0));
        }
    }

    fn redis(&self, page: &mut Page) {
        let with: Vec<&Seen> = self.estate.apps.iter().filter(|app| app.redis.is_some()).collect();
        let Some(addon) = with.first().and_then(|app| app.redis.as_ref()) else { return };
        if with.len() < self.estate.apps.len() {
            page.remark("CHECK: not every app has a Redis; each recovered one gets one.");
        }
        let others: BTreeSet<&str> =
            with.iter().filter_map(|app| Some(app.redis.as_ref()?.plan.as_str())).collect();
        if others.len() > 1 {
            let others = others.into_iter().collect::<Vec<_>>().join(", ");
            page.remark(&format!("CHECK: the apps have different plans ({others}); there is one for all."));
        }
        page.map("redis", |page| plan_of(page, Some(addon), "redis"));
    }

    fn collaborators(&self, page: &mut Page) {
        let mut seen = BTreeSet::new();
        let all = self.estate.apps.iter().flat_map(|app| &app.collaborators);
        let all: Vec<&str> =
            all.filter(|address| seen.insert(address.to_lowercase())).map(String::as_str).collect();
        if !all.is_empty() {
            page.remark("CHECK: each is invited to every app, and may do everything there.");
            page.list("collaborators", all);
        }
    }

    fn app(&self, page: &mut Page, index: usize, (name, drill_prefix): &(String, Option<String>)) {
        let Some(app) = self.estate.apps.get(index) else { return };
        if let Some(because) = app.because {
            page.remark(&format!(
                "CHECK: {} shares {because}, so it is taken for a part of the estate.",
                app.name
            ));
        }
        page.check("name", name, "the new app's; its default host is made of it");
        if let Some(prefix) = drill_prefix {
            page.text("drillPrefix", prefix);
        }
        page.text("replaces", &app.name);
        page.map("code", |page| code(page, app.code.as_ref()));
        for (domain, why) in self.hosts.left.get(index).into_iter().flatten() {
            page.remark(&format!("CHECK: {domain} is left out: {why}."));
        }
        match self.hosts.kept.get(index) {
            Some(kept) if !kept.is_empty() => page.list("domains", kept.iter().map(String::as_str)),
            _ => page.blank("domains", "at least one public name below dns.zone, as [www.example.org]"),
        }
        if !app.other_addons.is_empty() {
            let others = app.other_addons.join(", ");
            page.remark(&format!(
                "CHECK: {} has addons that a recovery does not bring back: {others}.",
                app.name
            ));
        }
        if index > 0 && app.postgresql.is_some() {
            page.remark(&format!(
                "CHECK: {} has a PostgreSQL of its own, which this plan does not bring back.",
                app.name
            ));
        }
        if let Some(own) = self.formation.1.get(index).filter(|own| !own.is_empty()) {
            page.map("formation", |page| containers(page, own));
        }
        if let Some(own) = self.variables.own.get(index).filter(|own| !own.is_empty()) {
            page.map("variables", |page| values(page, own));
        }
    }

    fn variables(&self, page: &mut Page) {
        page.remark(
            "`keep` is asked of the old app or, where that is gone, taken from the archive, which is encrypted for archive.recipients and opened by archive.identity. A rehearsal sees what is computed, made anew, or marked `drill: keep`; all else is left out of it.",
        );
        page.remark(
            "`template: .env.template` holds these against a file of the repository that lists the variables.",
        );
        if !self.variables.left.is_empty() {
            let left = self.variables.left.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            page.remark(&format!("Left out, since the platform sets them: {left}."));
        }
        if !self.variables.shared.is_empty() {
            page.list("shared", self.variables.shared.iter().map(String::as_str));
        }
        if self.variables.all.is_empty() {
            page.written("values", "{}");
        } else {
            page.map("values", |page| values(page, &self.variables.all));
        }
    }

    fn dns(&self, page: &mut Page) {
        page.check("provider", "alwaysdata", "the only one that Reprise can change; the zone must lie there");
        match &self.hosts.zone {
            Some(zone) => page.check("zone", zone, "what the public names have in common"),
            None => page.blank("zone", "what the public names lie below, as example.org"),
        }
        page.written("ttl", "300");
    }

    fn archive(&self, page: &mut Page) {
        if self.places.bucket.is_none() {
            page.remark("Without a bucket there is nothing to archive yet: neither copies of the database nor variables leave the platform.");
            page.gap();
            return;
        }
        page.remark(
            "Copies of the bucket, the database's backups, the code and the variables, off the platform.",
        );
        page.map("archive", |page| {
            page.check(
                "bucket",
                "env:S3_ARCHIVE_BUCKET",
                &format!("`reprise archive init {}` makes it", self.name),
            );
            store(
                page,
                "ARCHIVE",
                "best at another company than production's",
                "a key pair of its own: list, read, put",
            );
            page.blank_item(
                "recipients",
                "`reprise archive keygen --out KEY` prints it; keep KEY away from this machine",
            );
            page.remark(
                "`identity: file:/PATH` opens what is encrypted. A recovery from the archive alone needs it; give it on the bad day.",
            );
            page.check_written("schedule", "{ cron: \"27 1 * * 1\", timeZone: UTC, jitter: 10m }", "weekly");
        });
        page.gap();
    }
}

/// How it is judged and rehearsed.
fn rest(page: &mut Page) {
    page.remark("CHECK: ask for what only your database holds; these two hold for any.");
    let checks = [
        (
            "there are tables",
            "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
        ),
        (
            "the tables hold rows",
            "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_catalog.pg_class WHERE relkind = 'r'",
        ),
    ];
    page.items("dataChecks", checks, |page, (name, sql)| {
        page.text("name", name);
        page.text("sql", sql);
        page.written("expect", "{ atLeast: 1 }");
    });
    page.gap();
    page.remark("CHECK: what is made for a rehearsal is billed while it stands; `enabled: false` leaves it to `reprise file PLAN --mode drill`.");
    page.map("drill", |page| page.written("enabled", "true"));
    page.gap();
    page.map("objectives", |page| {
        page.check_written("rto", "4h", "how long a recovery may take");
        page.check_written("rpo", "26h", "how old its data may be; the platform makes one backup a day");
    });
}

/// Where an object store is, and the key pair for it, all of it elsewhere.
fn store(page: &mut Page, which: &str, endpoint: &str, pair: &str) {
    page.check("endpoint", &format!("env:S3_{which}_ENDPOINT"), endpoint);
    page.check("region", &format!("env:S3_{which}_REGION"), "the store's, as fr-par");
    page.map("credentials", |page| {
        page.check("accessKeyId", &format!("env:S3_{which}_ACCESS_KEY_ID"), pair);
        page.check("secretAccessKey", &format!("env:S3_{which}_SECRET_ACCESS_KEY"), "its secret half");
    });
}

fn plan_of(page: &mut Page, addon: Option<&AddonSeen>, provider: &str) {
    match addon {
        Some(addon) if addon.free => {
            let why = format!("a plan that is paid for; {} is free, and cannot be had any more", addon.plan);
            page.blank("plan", &why);
        }
        Some(addon) => page.text("plan", &addon.plan),
        None => page
            .blank("plan", &format!("a paid plan, as {provider}-starter-512; no app has a {provider} addon")),
    }
}

fn code(page: &mut Page, code: Option<&(String, Option<String>)>) {
    let (repository, branch) = code.map_or((None, None), |(url, branch)| (Some(url), branch.as_deref()));
    match repository {
        Some(url) => page.text("repository", url),
        None => page.blank(
            "repository",
            "where the code lies beside the platform, as https://host/owner/name.git; it was pushed",
        ),
    }
    match branch.filter(|branch| !branch.is_empty()) {
        Some(branch) => page.text("ref", branch),
        None => page.check("ref", "main", "the branch that production runs"),
    }
}

fn values(page: &mut Page, all: &BTreeMap<String, Decided>) {
    for (name, decided) in all {
        let yaml = match decided.what {
            Decision::Computed(computed) => format!("{{ computed: {} }}", computed.as_str()),
            Decision::KeptOpenly => "{ policy: keep, drill: keep }".to_owned(),
            Decision::Kept => "{ policy: keep }".to_owned(),
            Decision::Regenerated => "{ policy: regenerate }".to_owned(),
        };
        match decided.check {
            Some(why) => page.check_written(name, &yaml, why),
            None => page.written(name, &yaml),
        }
    }
}
