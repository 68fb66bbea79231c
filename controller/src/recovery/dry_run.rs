//! What a recovery would do: every external call of every step, in the order of the milestones, nothing sent. No I/O.

use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::{AppSpec, Needs, ObjectSource, Policy};
use serde::Serialize;

use super::cut::Cut;
use super::graph::Graph;
use super::step::{Site, Step};
use super::steps::of_database;

/// When the hand-over goes on: no milestone waits for it.
const AFTERWARDS: &str = "after dns-ok";

/// One step of the dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// Its key.
    pub step: String,
    /// The milestone of which it is a part; of the hand-over, which nothing waits for, `after dns-ok`.
    pub milestone: &'static str,
    /// The steps that it waits for.
    pub needs: Vec<String>,
    /// What it would send.
    pub calls: Vec<PlannedCall>,
}

/// One external call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedCall {
    /// To whom: `scalingo`, `github`, `s3`, `alwaysdata`, `ssh`, `git`, `dns`, `https`, `postgresql`, `person`.
    pub to: &'static str,
    /// What.
    pub call: String,
    /// Whether it changes something there.
    pub changes: bool,
}

/// The dry run of `graph` for `plan`, as its cut has it.
pub fn dry_run(plan: &RecoveryPlanSpec, cut: &Cut, graph: &Graph) -> Vec<PlannedStep> {
    let planned = |step: &Step| PlannedStep {
        step: step.to_string(),
        milestone: step.milestone().as_str(),
        needs: graph.needs(step).map(ToString::to_string).collect(),
        calls: calls(plan, cut, step),
    };
    let goes_on = plan.hand_over.is_some() && graph.steps().any(|step| *step == Step::Project);
    let afterwards = goes_on.then(|| PlannedStep {
        milestone: AFTERWARDS,
        needs: vec![Step::Cleanup.to_string()],
        ..planned(&Step::HandOver)
    });
    graph.steps().map(planned).chain(afterwards).collect()
}

fn read(to: &'static str, call: impl Into<String>) -> PlannedCall {
    PlannedCall { to, call: call.into(), changes: false }
}

fn change(to: &'static str, call: impl Into<String>) -> PlannedCall {
    PlannedCall { to, call: call.into(), changes: true }
}

#[expect(clippy::too_many_lines, reason = "one flat table, an arm a step")]
fn calls(plan: &RecoveryPlanSpec, cut: &Cut, step: &Step) -> Vec<PlannedCall> {
    let (target, first) = (&plan.target, plan.apps[0].name.as_str());
    match step {
        Step::Inventory => vec![
            read("scalingo", "GET /apps, /projects, /keys"),
            read("scalingo", "GET /addon_providers/{postgresql, redis}/plans, for their prices"),
            read("alwaysdata", format!("GET /record/?domain={{{}}}", plan.dns.zone)),
        ],
        Step::ChooseBackup => vec![
            read("scalingo", format!("GET /apps/{}/addons", plan.source.app)),
            read("scalingo", "GET /databases/{addon}/backups"),
            read(
                "scalingo",
                "GET /databases/{addon}/backups/{newest first}/archive, and download until one is whole",
            ),
        ],
        Step::ChooseObjects => plan.source.objects.iter().flat_map(objects).collect(),
        Step::Target(app) => vec![read(
            "scalingo",
            format!("GET /apps/{app}, its variables and its newest deployment; nothing is changed"),
        )],
        Step::Project => vec![
            read("scalingo", "GET /projects"),
            change("scalingo", format!("POST /projects {{name: {}}}", target.project)),
        ],
        Step::SshKey => vec![
            read("scalingo", "GET /keys"),
            change(
                "scalingo",
                "POST /keys, only if the configured key is not registered; removed at the end",
            ),
        ],
        Step::App(app) => vec![
            read("scalingo", format!("GET /apps/{app}")),
            change("scalingo", format!("POST /apps {{name: {app}, project: {}}}", target.project)),
            change("scalingo", format!("PUT /apps/{app}/variables {{REPRISE_REQUEST}}")),
        ],
        Step::Collaborators(app) => {
            let invite = |email| {
                change("scalingo", format!("POST /apps/{app}/collaborators {{{email}, not limited}}"))
            };
            std::iter::once(read("scalingo", format!("GET /apps/{app}/collaborators")))
                .chain(target.collaborators.iter().map(invite))
                .collect()
        }
        Step::Postgres => addon(first, "postgresql", &target.postgresql.plan),
        Step::Redis(app) => {
            addon(app, "redis", target.redis.as_ref().map_or("", |redis| redis.plan.as_str()))
        }
        Step::ReadOnlyUser => read_only_user(plan, cut),
        Step::Restore => vec![
            read("scalingo", format!("GET /apps/{first}/variables")),
            change("ssh", "tunnel to the new database, host key pinned"),
            change(
                "postgresql",
                format!("pg_restore --jobs={} into the empty database", plan.limits.restore_jobs),
            ),
        ],
        Step::CheckDatabase => vec![
            change("postgresql", "ANALYZE; GRANT SELECT to the read-only user"),
            read(
                "postgresql",
                format!(
                    "counts, sequences, indexes, constraints, grants; {} checks of the plan",
                    plan.data_checks.len()
                ),
            ),
        ],
        Step::Bucket => bucket(plan),
        Step::Refill => vec![
            read("s3", "ListObjectsV2 of the new bucket"),
            change("s3", format!("PutObject of each object, {} at once", plan.limits.copy_concurrency)),
        ],
        Step::Variables(app) => variables(plan, cut, app),
        Step::Switch(app) => vec![
            read("scalingo", format!("GET /apps/{app}/variables, /addons")),
            change(
                "scalingo",
                format!(
                    "PUT /apps/{app}/variables {{{}, and what each was}}",
                    switched(plan, app).join(", ")
                ),
            ),
            change("scalingo", format!("POST /apps/{app}/restart")),
        ],
        Step::Deploy(app) => {
            let code = plan
                .app(app)
                .map(|spec| format!("{} at {}", spec.code.repository.as_str(), spec.code.git_ref));
            vec![
                read("git", format!("fetch {}", code.unwrap_or_default())),
                change("git", format!("push the commit to {app} over SSH, host key pinned")),
                read("scalingo", format!("GET /apps/{app}/deployments/{{id}}, until it is finished")),
            ]
        }
        Step::Formation(app) => vec![
            read("scalingo", format!("GET /apps/{app}/containers")),
            change("scalingo", format!("POST /apps/{app}/scale")),
        ],
        Step::Health(app) => {
            vec![read("https", format!("GET {} on the default host of {app}", health_path(plan, app)))]
        }
        Step::ForceHttps(app) => vec![
            read("scalingo", format!("GET /apps/{app}")),
            change("scalingo", format!("PUT /apps/{app} {{force_https}}, unless it is so")),
        ],
        Step::Cleanup => vec![change("scalingo", "DELETE /keys/{ephemeral key}, if one was registered")],
        Step::HandOver => hand_over(plan),
        Step::TearDown => Vec::new(),
        Step::Domain(site)
        | Step::Cname(site)
        | Step::Authoritative(site)
        | Step::Resolver(site)
        | Step::Certificate(site)
        | Step::Probe(site) => of_site(plan, cut, step, site),
    }
}

/// Looks, with days between them where people take days.
fn hand_over(plan: &RecoveryPlanSpec) -> Vec<PlannedCall> {
    let Some(spec) = &plan.hand_over else { return Vec::new() };
    let (to, project) = (&spec.to, &plan.target.project);
    let is_invited = plan.target.collaborators.iter().any(|known| known.eq_ignore_ascii_case(to));
    let of_app = |app: &reprise_crds::plan::AppSpec| {
        let app = &app.name;
        let invite = (to.contains('@') && !is_invited)
            .then(|| change("scalingo", format!("POST /apps/{app}/collaborators {{{to}, not limited}}")));
        std::iter::once(read("scalingo", format!("GET /apps/{app}/collaborators, until {to} has accepted")))
            .chain(invite)
    };
    let calls = [
        read("scalingo", "GET /apps"),
        read("scalingo", format!("GET /projects/{{{project}}}/transfer_invitations?status=all")),
    ];
    let offer = [
        read("person", format!("{to} accepts the invitation to each app")),
        read("scalingo", format!("GET /projects/{{{project}}}/eligible_new_owners, until {to} is one")),
        change("scalingo", format!("POST /projects/{{{project}}}/transfer_invitations {{{to}}}, once")),
        read("person", format!("{to} accepts project {project}")),
    ];
    calls.into_iter().chain(plan.apps.iter().flat_map(of_app)).chain(offer).collect()
}

/// The variables that lead an existing app to the new database, those that it has of them.
fn switched(plan: &RecoveryPlanSpec, app: &str) -> Vec<String> {
    let names = plan.app(app).map(|app| of_database(plan, app));
    names.into_iter().flatten().map(|(name, _)| name).collect()
}

/// Its credentials go to the apps that are made and use them. One that was there gets them when it is led to the database.
fn read_only_user(plan: &RecoveryPlanSpec, cut: &Cut) -> Vec<PlannedCall> {
    let user = plan.target.read_only_user.as_deref().unwrap_or_default();
    let uses = |app: &&AppSpec| {
        !cut.is_standing(&app.name)
            && of_database(plan, app).values().any(|computed| computed.needs() == Needs::ReadOnlyUser)
    };
    let put =
        |app: &AppSpec| change("scalingo", format!("PUT /apps/{}/variables {{its credentials}}", app.name));
    [
        read("scalingo", "GET /databases/{addon}/users"),
        change("scalingo", format!("POST /databases/{{addon}}/users {{{user}, read only}}")),
    ]
    .into_iter()
    .chain(plan.apps.iter().filter(uses).map(put))
    .collect()
}

fn variables(plan: &RecoveryPlanSpec, cut: &Cut, app: &str) -> Vec<PlannedCall> {
    let Some(app) = plan.app(app) else { return Vec::new() };
    let old = app.replaces.as_deref().unwrap_or(&plan.source.app);
    let given = plan.variables.values.iter().filter(|(name, _)| !app.variables.contains_key(*name));
    let asked = given.chain(&app.variables).filter(|(_, variable)| variable.policy == Some(Policy::Ask));
    let asked = asked
        .map(|(name, _)| read("person", format!("is asked for {name}: `reprise answer REQUEST {name}`")));
    let given = cut.givers.get(&app.name).map(|giver| {
        read("scalingo", format!("GET /apps/{giver}/variables: what leads to what is not brought back"))
    });
    [
        read("scalingo", format!("GET /apps/{old} and its parts; from the archive if it is gone")),
        change("scalingo", format!("PUT /apps/{}/variables, all in one call", app.name)),
    ]
    .into_iter()
    .chain(given)
    .chain(asked)
    .collect()
}

fn of_site(plan: &RecoveryPlanSpec, cut: &Cut, step: &Step, site: &Site) -> Vec<PlannedCall> {
    let Site { app, domain } = site;
    match step {
        Step::Domain(_) => {
            let from = plan.app(app).map(|spec| cut.taken_from(spec)).unwrap_or_default();
            let taken = from.into_iter().map(|from| {
                change("scalingo", format!("DELETE /apps/{from}/domains/{{{domain}}}, if it has the name"))
            });
            let attached = change("scalingo", format!("POST /apps/{app}/domains {{{domain}}}"));
            std::iter::once(read("scalingo", format!("GET /apps/{app}/domains")))
                .chain(taken)
                .chain([attached])
                .collect()
        }
        Step::Cname(_) => vec![
            read("alwaysdata", format!("GET /record/ of {domain}")),
            change(
                "alwaysdata",
                format!(
                    "PATCH or POST /record/ {{CNAME {domain} → default host of {app}, TTL {}}}",
                    plan.dns.ttl
                ),
            ),
        ],
        Step::Authoritative(_) => vec![read("dns", format!("CNAME {domain} at every authoritative server"))],
        Step::Resolver(_) => {
            vec![read("dns", format!("CNAME {domain} at the resolvers, once the old TTL is over"))]
        }
        Step::Certificate(_) => vec![
            read("scalingo", format!("GET /apps/{app}/domains, until the certificate is there")),
            read("https", format!("TLS handshake for {domain}")),
        ],
        _ => vec![read("https", format!("GET https://{domain}{}", health_path(plan, app)))],
    }
}

fn health_path<'a>(plan: &'a RecoveryPlanSpec, app: &str) -> &'a str {
    plan.app(app).map_or("/", |spec| spec.health_path.as_str())
}

fn addon(app: &str, provider: &str, plan: &str) -> Vec<PlannedCall> {
    vec![
        read("scalingo", format!("GET /addon_providers/{provider}/plans")),
        read("scalingo", format!("GET /apps/{app}/addons")),
        change("scalingo", format!("POST /apps/{app}/addons {{{plan}}}")),
    ]
}

fn bucket(plan: &RecoveryPlanSpec) -> Vec<PlannedCall> {
    let Some(bucket) = &plan.target.bucket else { return Vec::new() };
    let mut calls = vec![
        read("s3", format!("HeadBucket {}", bucket.name)),
        change("s3", format!("CreateBucket {}, then its access list and its tags", bucket.name)),
    ];
    if bucket.versioning {
        calls.push(change("s3", format!("PutBucketVersioning {} Enabled", bucket.name)));
    }
    calls
}

fn objects(source: &ObjectSource) -> Vec<PlannedCall> {
    let artifact = source.artifact.iter().flat_map(|artifact| {
        [
            read(
                "github",
                format!(
                    "GET /repos/{}/actions/workflows/{}/runs",
                    artifact.repository.as_str(),
                    artifact.workflow.as_str()
                ),
            ),
            read(
                "github",
                format!(
                    "GET the artifact {} of the newest run, and download until one is whole",
                    artifact.name.as_str()
                ),
            ),
        ]
    });
    let mirror = source.mirror.iter().flat_map(|mirror| {
        [
            read("s3", format!("ListObjectsV2 {}", mirror.bucket.as_str())),
            change("s3", format!("RestoreObject of what is in GLACIER in {}", mirror.bucket.as_str())),
        ]
    });
    let archive = source.archive.iter().flat_map(|_| {
        [
            read("s3", "ListObjectsV2 of the archive: its runs, and the contents that they name".to_owned()),
            read("s3", "GetObject of the record and the manifest of the newest run that is whole".to_owned()),
        ]
    });
    archive.chain(artifact).chain(mirror).collect()
}

#[cfg(test)]
mod tests;
