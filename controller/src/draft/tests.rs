use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;

use super::seen::{AddonSeen, Seen};
use super::variables::tests::app;
use super::*;
use crate::providers::scalingo::formation::ContainerType;

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 30).unwrap()
}

fn containers(name: &str, amount: u32, size: &str) -> ContainerType {
    ContainerType {
        name: name.into(),
        amount,
        size: Some(size.into()),
        command: Some("run --key s3cr3t".into()),
    }
}

fn addon(plan: &str) -> AddonSeen {
    AddonSeen { plan: plan.into(), free: plan.ends_with("sandbox"), version: Some("16".into()) }
}

/// Two apps of which everything is known that the platform can tell.
fn estate() -> Estate {
    let variables = [
        ("AWS_STORAGE_BUCKET_NAME", "v-the-documents"),
        ("AWS_SECRET_ACCESS_KEY", "v-bucket-secret"),
        ("DB_READONLY", "postgres://vexplorer:v-hidden@app-42.db.example:31000/app_42"),
        ("DATABASE_URL", "$SCALINGO_POSTGRESQL_URL"),
        ("SECRET_KEY", "v-session-key"),
        ("PARTNER_TOKEN", "v-partner\ntoken: x # y"),
        ("ALLOWED_HOSTS", "front.example.org,v-more.example.com"),
    ];
    let seen = |name: &str, domain: &str| Seen {
        name: name.into(),
        project: Some("pro\nject: x".into()),
        stack: Some("scalingo-24".into()),
        domains: vec![domain.into()],
        redis: Some(addon("redis-starter-256")),
        collaborators: vec!["Ops@example.org".into(), "ops@example.org".into()],
        code: Some(("https://github.com/owner/code".into(), Some("production".into()))),
        ..app(&variables)
    };
    let mut front = seen("my-front", "front.example.org");
    front.postgresql = Some(addon("postgresql-starter-512"));
    front.formation = vec![containers("web", 2, "M"), containers("worker", 1, "S")];
    let mut back = seen("my-back", "back.example.org");
    back.formation =
        vec![containers("web", 0, "M"), containers("worker", 1, "S"), containers("clock", 40, "9XL")];
    back.because = Some("the database");
    let taken = ["my-front", "my-back", "my-front-pra"].map(String::from).into();
    Estate { region: "osc-fr1".into(), apps: vec![front, back], taken, remarks: vec!["one\nmore".into()] }
}

/// What `apply` says of it: the fields.
fn refused(draft: &Draft) -> BTreeSet<String> {
    RecoveryPlan::parse_yaml(&draft.text).err().into_iter().flatten().map(|problem| problem.path).collect()
}

#[test]
fn apply_names_exactly_what_is_marked() {
    let whole = draft(&estate(), today());
    assert_eq!(whole.blanks, ["spec.archive.recipients[0]"], "{}", whole.text);
    assert_eq!(refused(&whole), whole.blanks.iter().cloned().collect());
    let recipient = a_recipient();
    let filled = whole.text.replace("-  # FILL IN", &format!("- {recipient}  #"));
    let plan = RecoveryPlan::parse_yaml(&filled).unwrap_or_else(|problems| panic!("{problems:?}\n{filled}"));
    assert_eq!(plan.metadata.name.as_deref(), Some("my"));
    let names: Vec<&str> = plan.spec.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["my-front-pra2", "my-back-pra"], "a name that is taken is passed over");
    let (front, back) = (&plan.spec.apps[0], &plan.spec.apps[1]);
    assert_eq!((front.code.git_ref.as_str(), plan.spec.dns.zone.as_str()), ("production", "example.org"));
    assert_eq!(plan.spec.target.postgresql.version.as_deref(), Some("16"));
    assert_eq!(plan.spec.target.collaborators, ["Ops@example.org"]);
    // An app that was stopped answers again; of a size that is not known nothing is said.
    assert_eq!((back.formation["web"].amount, back.formation["clock"].amount), (1, 10));
    assert_eq!((plan.spec.target.formation["worker"].amount, front.formation["web"].amount), (1, 2));
    let mut json = whole.document;
    json["spec"]["archive"]["recipients"] = serde_json::json!([recipient]);
    assert_eq!(RecoveryPlan::from_json(json).unwrap().spec, plan.spec, "the JSON is the same plan");
}

fn a_recipient() -> String {
    age::x25519::Identity::generate().to_public().to_string()
}

#[test]
fn of_an_app_of_which_nothing_is_known_all_is_asked() {
    let bare = Seen { name: "lonely-app".into(), ..Seen::default() };
    let draft = draft(&Estate { region: "osc-fr1".into(), apps: vec![bare], ..Estate::default() }, today());
    let blanks = [
        "spec.target.postgresql.plan",
        "spec.apps[0].code.repository",
        "spec.apps[0].domains",
        "spec.dns.zone",
    ];
    assert_eq!(draft.blanks, blanks, "{}", draft.text);
    assert_eq!(refused(&draft), draft.blanks.iter().cloned().collect());
    assert_eq!(draft.text.matches("FILL IN:").count(), 1 + blanks.len(), "the head explains the word");
    for absent in ["archive:", "objects:", "readOnlyUser", "redis:"] {
        assert!(!draft.text.lines().any(|line| line.trim_start().starts_with(absent)), "{absent}");
    }
}

#[test]
fn what_only_apply_would_notice_is_told_at_the_head() {
    let mut estate = estate();
    estate.apps[0].collaborators.push("nobody".into());
    estate.apps[0].redis = Some(addon("redis-sandbox"));
    let draft = draft(&estate, today());
    assert_eq!(refused(&draft), draft.blanks.iter().cloned().collect());
    assert!(
        draft.text.contains("# FILL IN: spec.target.collaborators[1]: is not an e-mail address"),
        "{}",
        draft.text
    );
    assert!(draft.blanks.contains(&"spec.target.redis.plan".to_owned()), "{:?}", draft.blanks);
}

#[test]
fn no_value_of_a_variable_is_ever_written() {
    let estate = estate();
    let draft = draft(&estate, today());
    let printed = format!("{}{}{:?}", draft.text, draft.document, estate);
    for app in &estate.apps {
        for (name, value) in &app.variables {
            assert!(!printed.contains(value.expose_secret()), "the value of {name} is written");
        }
    }
    for part in [
        "app_42",
        "p%40ss",
        "p@ss",
        "vexplorer",
        "v-hidden",
        "v-partner",
        "v-more",
        "app-42.db",
        "31000",
        "s3cr3t",
    ] {
        assert!(
            !draft.text.contains(part) && !draft.document.to_string().contains(part),
            "{part} is written"
        );
    }
}

#[test]
fn hostile_names_stay_names() {
    let hostile = "x\n  evil: true # \u{2028}\"'\\: {a: [b";
    let mut estate = estate();
    let app = &mut estate.apps[0];
    app.name = hostile.into();
    app.stack = Some(hostile.into());
    app.domains = vec![hostile.into(), "front.example.org".into()];
    app.code = Some((hostile.into(), Some(hostile.into())));
    app.other_addons = vec![hostile.into()];
    app.postgresql = Some(addon(hostile));
    app.formation = vec![containers(hostile, 1, hostile)];
    app.variables.insert(hostile.into(), "v".into());
    estate.region = hostile.into();
    estate.remarks = vec![hostile.into()];
    let draft = draft(&estate, today());
    assert_eq!(draft.document["spec"]["target"]["stack"], hostile, "{}", draft.text);
    assert_eq!(draft.document["spec"]["apps"][0]["replaces"], hostile);
    assert!(!draft.text.lines().any(|line| line.trim_start().starts_with("evil")), "{}", draft.text);
    assert_eq!(refused(&draft), draft.blanks.iter().cloned().collect());
}
