use super::*;
use crate::recovery::steps::bench::example;

const OLD: &str = "postgresql://apilos:old@old.test:31000/apilos";

fn variable(name: &str, value: &str) -> Variable {
    Variable { id: name.to_owned(), name: name.to_owned(), value: value.to_owned().into() }
}

fn dsn() -> Dsn {
    Dsn::parse(&"postgresql://fresh:new@new.test:31001/fresh".to_owned().into()).expect("a URL")
}

fn row() -> LedgerRow {
    LedgerRow {
        nonce: uuid::Uuid::nil(),
        step: "switch/x".to_owned(),
        kind: SWITCHED.to_owned(),
        name: "x".to_owned(),
        parent: None,
        state: LedgerState::Intended,
        external_id: None,
        detail: json!({}),
        intended_at: chrono::Utc::now(),
        observed_at: None,
        fresh: true,
    }
}

fn decided(seen: &[Variable]) -> Result<Next<BTreeMap<String, Put>, ()>> {
    let dsn = dsn();
    let to = Place {
        host: dsn.host.clone(),
        port: dsn.port,
        database: dsn.database.clone(),
        user: dsn.user.clone(),
        read_only_user: None,
    };
    let known = Switch { to, ..Switch::default() };
    let wanted = Wanted::from([("DATABASE_URL".to_owned(), (Computed::DatabaseUrl, dsn.url()))]);
    decide("x", &row(), &known, &wanted, seen)
}

#[test]
fn what_a_variable_was_is_kept_in_the_same_call_that_switches_it_and_once() {
    let kept = "REPRISE_BEFORE_00000000_DATABASE_URL";
    let Ok(Next::Act(put)) = decided(&[variable("DATABASE_URL", "$SCALINGO_POSTGRESQL_URL")]) else {
        panic!("it is put")
    };
    assert_eq!(put[kept].0.expose_secret(), "$SCALINGO_POSTGRESQL_URL");
    assert_eq!(put["DATABASE_URL"].0.expose_secret(), dsn().url().expose_secret());
    let switched = [variable("DATABASE_URL", dsn().url().expose_secret()), variable(kept, OLD)];
    assert!(matches!(decided(&switched), Ok(Next::Done(()))));
    // Another password for the same user: it was put by an earlier attempt.
    let earlier =
        [variable("DATABASE_URL", "postgresql://fresh:other@new.test:31001/fresh"), variable(kept, OLD)];
    let Ok(Next::Act(put)) = decided(&earlier) else { panic!("it is put") };
    assert!(!put.contains_key(kept), "the first word stays");
}

#[test]
fn what_a_person_has_changed_since_is_not_overwritten() {
    let kept = variable("REPRISE_BEFORE_00000000_DATABASE_URL", OLD);
    let theirs = variable("DATABASE_URL", "postgresql://them:x@theirs.test:5432/db");
    let told = decided(&[theirs, kept]).expect_err("it is theirs").to_string();
    assert!(
        told.contains("somebody has changed DATABASE_URL of x") && !told.contains("theirs.test"),
        "{told}"
    );
}

#[test]
fn a_password_that_a_person_has_set_elsewhere_is_not_overwritten() {
    let known = Switch { to: Place { host: "new.test".to_owned(), ..Place::default() }, ..Switch::default() };
    let wanted = Wanted::from([
        ("HOST".to_owned(), (Computed::DatabaseHost, "new.test".to_owned().into())),
        ("PASSWORD".to_owned(), (Computed::DatabasePassword, "newer".to_owned().into())),
    ]);
    let decided = |host: &str, password: &str| {
        let there = [
            variable("HOST", host),
            variable("REPRISE_BEFORE_00000000_HOST", "old.test"),
            variable("PASSWORD", password),
            variable("REPRISE_BEFORE_00000000_PASSWORD", "old"),
        ];
        decide("x", &row(), &known, &wanted, &there)
    };
    assert!(matches!(decided("new.test", "new"), Ok(Next::Act(_))), "an earlier attempt's");
    let told = decided("old.test", "theirs").expect_err("it is theirs").to_string();
    assert!(told.contains("somebody has changed PASSWORD of x"), "{told}");
}

#[test]
fn an_app_that_would_use_two_databases_at_once_is_found() {
    let plan = example();
    let names = of_database(&plan, &plan.apps[0]);
    assert_eq!((names["DATABASE_URL"], names["DB_READONLY"]), (Computed::DatabaseUrl, Computed::ReadOnlyUrl));
    let mut there = vec![
        variable("DATABASE_URL", OLD),
        variable("DB_HOST", "old.test"),
        variable("SCALINGO_POSTGRESQL_URL", OLD),
        variable("REDIS_URL", "redis://redis.test"),
    ];
    assert_eq!(overlooked(&names, &there), [""; 0]);
    there.push(variable("REPORTING_URL", OLD));
    assert_eq!(overlooked(&names, &there), ["REPORTING_URL"]);
}

#[test]
fn the_ledger_has_no_value_of_a_variable() {
    let switch = Switch {
        names: BTreeMap::from([("DATABASE_URL".to_owned(), Computed::DatabaseUrl)]),
        were: BTreeMap::from([("DATABASE_URL".to_owned(), Was::Alias)]),
        to: Place { host: "new.test".to_owned(), ..Place::default() },
        app: Some("id-1".to_owned()),
    };
    let written = json!(switch);
    assert_eq!(written["were"], json!({ "DATABASE_URL": "alias" }));
    let row = LedgerRow { detail: written, ..row() };
    assert_eq!(read(&row).expect("it is readable"), switch);
}
