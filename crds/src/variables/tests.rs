use serde_json::json;

use super::*;
use crate::{RecoveryPlan, template};

const EXAMPLE: &str = include_str!("../../../deploy/examples/apilos.yaml");

fn plan(variables: serde_json::Value) -> RecoveryPlanSpec {
    let mut document = crate::yaml::read(EXAMPLE).unwrap().value;
    document["spec"]["variables"] = variables;
    for app in document["spec"]["apps"].as_array_mut().unwrap() {
        app.as_object_mut().unwrap().remove("variables");
        app.as_object_mut().unwrap().remove("unset");
    }
    RecoveryPlan::from_json(document).unwrap().spec
}

fn resolved(
    plan: &RecoveryPlanSpec,
    text: &str,
    mode: Mode,
) -> Result<BTreeMap<String, Planned>, Vec<String>> {
    resolve(plan, &plan.apps[0], Some(&template::parse(text)), mode)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_default_of_the_template_never_reaches_production_unasked() {
    let undecided = resolved(&plan(json!({})), "\nSECRET_KEY=my-secret-key\n", Mode::Recover).unwrap_err();
    assert!(
        undecided[0].starts_with("template:2: SECRET_KEY has a default for development"),
        "{undecided:?}"
    );
    assert!(!undecided[0].contains("my-secret-key"));

    let kept = resolved(&plan(json!({ "keepDefaults": ["ALG"] })), "ALG='HS256'", Mode::Recover).unwrap();
    assert_eq!(kept["ALG"], Planned::Literal("HS256".to_owned()));

    let left_out = resolved(&plan(json!({ "unset": ["EXEC"] })), "EXEC=/opt/x", Mode::Recover).unwrap();
    assert!(left_out.is_empty());
}

#[test]
fn an_empty_or_commented_entry_is_not_set_unless_given() {
    let text = "SENTRY_URL=\n# CLAMAV_URL=http://localhost\nPORT=8000\n";
    assert!(resolved(&plan(json!({})), text, Mode::Recover).unwrap().is_empty());

    let given =
        plan(json!({ "values": { "SENTRY_URL": { "from": "env:SENTRY" }, "NEW": { "value": 8080 } } }));
    let planned = resolved(&given, text, Mode::Recover).unwrap();
    assert_eq!(planned["SENTRY_URL"], Planned::Reference(Reference::Env("SENTRY".to_owned())));
    assert_eq!(planned["NEW"], Planned::Literal("8080".to_owned()));
    assert_eq!(planned.len(), 2);
}

#[test]
fn a_required_default_that_the_template_lacks_is_missing() {
    let plan = plan(json!({ "required": ["ALG"], "keepDefaults": ["ALG"] }));
    assert!(resolved(&plan, "ALG=HS256", Mode::Recover).is_ok());
    let problems = resolved(&plan, "ALG=", Mode::Recover).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("spec.variables.required[0]: ALG is required by"), "{problems:?}");
}

#[test]
fn a_drill_sees_only_what_is_marked_or_computed() {
    let plan = plan(json!({
        "required": ["MAIL_KEY"],
        "keepDefaults": ["ALG"],
        "values": {
            "MAIL_KEY": { "from": "env:MAIL_KEY" },
            "ENVIRONMENT": { "value": "drill", "drill": "keep" },
            "DATABASE_URL": { "computed": "database.url" },
        },
    }));
    let names = |planned: BTreeMap<String, Planned>| planned.into_keys().collect::<Vec<_>>();
    let real = resolved(&plan, "ALG=HS256", Mode::Recover).unwrap();
    assert_eq!(names(real), ["ALG", "DATABASE_URL", "ENVIRONMENT", "MAIL_KEY"]);
    let problems = resolved(&plan, "ALG=HS256", Mode::Drill).unwrap_err();
    assert!(
        problems[0].contains("MAIL_KEY is required") && problems[0].contains("drill: keep"),
        "{problems:?}"
    );
    let mut lenient = plan.clone();
    lenient.variables.required.clear();
    assert_eq!(names(resolved(&lenient, "ALG=HS256", Mode::Drill).unwrap()), ["DATABASE_URL", "ENVIRONMENT"]);
}

#[test]
fn the_value_of_the_app_wins_and_its_absence_too() {
    let mut plan = plan(json!({ "values": { "A": { "value": "all" }, "B": { "value": "all" } } }));
    plan.apps[0].variables = serde_json::from_value(json!({ "A": { "value": "own" } })).unwrap();
    plan.apps[0].unset = vec!["B".to_owned()];
    let own = resolve(&plan, &plan.apps[0], None, Mode::Recover).unwrap();
    assert_eq!(own.into_iter().collect::<Vec<_>>(), [("A".to_owned(), Planned::Literal("own".to_owned()))]);
    let other = resolve(&plan, &plan.apps[1], None, Mode::Recover).unwrap();
    assert_eq!(other["A"], Planned::Literal("all".to_owned()));
    assert!(other.contains_key("B"));
}

#[test]
fn a_value_that_nobody_wrote_down_comes_about_as_the_plan_says() {
    let plan = plan(json!({
        "shared": ["KEY"],
        "values": {
            "KEY": { "policy": "regenerate" },
            "OWN": { "policy": "regenerate" },
            "OLD": { "policy": "keep" },
            "PIN": { "policy": "ask" },
        },
    }));
    let planned = resolved(&plan, "KEY=change-me", Mode::Recover).unwrap();
    assert_eq!(planned["KEY"], Planned::Generated { shared: true });
    assert_eq!(planned["OWN"], Planned::Generated { shared: false });
    assert_eq!((&planned["OLD"], &planned["PIN"]), (&Planned::Kept, &Planned::Asked));
    assert_eq!(kept(&plan, &plan.apps[0]).into_iter().collect::<Vec<_>>(), ["OLD"]);
    // A drill makes secrets of its own, asks nobody and is given nothing of production.
    let rehearsed = resolved(&plan, "", Mode::Drill).unwrap();
    assert_eq!(rehearsed.keys().collect::<Vec<_>>(), ["KEY", "OWN"]);
}

#[test]
fn every_bad_line_and_every_open_question_is_told_at_once() {
    let problems = resolved(&plan(json!({})), "A=1\nwhat is this\nB=2\n", Mode::Recover).unwrap_err();
    let places: Vec<_> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["template:1", "template:2", "template:3"]);
}

/// The names of the application that the example is about; its template changes rarely.
#[test]
fn the_example_answers_the_whole_template_of_its_application() {
    let template = template::parse(
        "SECRET_KEY=my-secret-key\nENVIRONMENT=development\nDEBUG=True\nSECURE_SSL_REDIRECT=True\n\
         SECURE_HSTS_SECONDS=0\nSECURE_HSTS_INCLUDE_SUBDOMAINS=True\nSECURE_HSTS_PRELOAD=True\nLOGLEVEL=ERROR\n\
         DB_USER=a\nDB_NAME=a\nDB_HOST=localhost\nDB_PASSWORD=a\nDB_PORT=5433\nDB_READONLY=postgres://localhost\n\
         APPLICATION_DOMAIN_URL=http://localhost:8000\n# ECOLO_DATABASE_URL=x\nSENDINBLUE_API_KEY=\n\
         ALLOWED_HOSTS=local.example\n# AWS_ACCESS_KEY_ID=<AWS_ACCESS_KEY_ID>\nSENTRY_URL=\n\
         CERBERE_AUTH=https://portal.example/cas/\nUSE_MOCKED_SIAP_CLIENT=False\nJWT_SIGN_KEY=\nJWT_ALGORITHM=HS256\n\
         SIAP_CLIENT_JWT_SIGN_KEY=\nSIAP_CLIENT_ALGORITHM=HS256\nSIAP_CLIENT_HOST=https://portal.example\n\
         SIAP_CLIENT_PATH=/api\nREDIS_URL=redis://localhost:6379\nSHELL_PLUS_PRINT_SQL=True\n\
         TEST_DOT_ENV_FILE=.env.test.local\nLIBREOFFICE_EXEC=/Applications/soffice\nMOCK_CERBERE_USER_ID=\n",
    );
    let plan = RecoveryPlan::parse_yaml(EXAMPLE).unwrap().spec;
    for app in &plan.apps {
        for mode in [Mode::Recover, Mode::Drill] {
            let planned = resolve(&plan, app, Some(&template), mode).unwrap();
            assert_eq!(
                planned.contains_key("CERBERE_AUTH"),
                app.name.starts_with("apilos-siap"),
                "{}",
                app.name
            );
            assert_eq!(planned["ALLOWED_HOSTS"], Planned::Computed(Computed::Hosts));
            assert!(!planned.contains_key("LIBREOFFICE_EXEC") && !planned.contains_key("SENTRY_URL"));
        }
    }
}
