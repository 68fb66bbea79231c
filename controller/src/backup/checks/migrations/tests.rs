//! Applied migrations against trees.

use super::*;
use crate::backup::lab::lab;

fn code(paths: &[&str]) -> Code {
    Code::Known(vec![CodeLevel::of_tree("shop", paths.iter().copied())])
}

fn applied(names: &[&str]) -> Vec<Applied> {
    let one = |name: &&str| Applied { label: "orders".to_owned(), name: (*name).to_owned() };
    names.iter().map(one).collect()
}

/// The migrations that the code is too old for, and those that it merely does not have.
fn found(names: &[&str], paths: &[&str]) -> (Vec<String>, Vec<String>) {
    let paths: Vec<String> = paths.iter().map(|name| format!("src/orders/migrations/{name}.py")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    match compare_migrations(Some(&applied(names)), &code(&paths)) {
        MigrationLevel::Compared { ahead, unknown, .. } => {
            (ahead.into_iter().map(|one| one.migration).collect(), unknown)
        }
        other => panic!("{other}"),
    }
}

const NONE: [&str; 0] = [];

#[test]
fn code_that_is_as_new_or_newer_has_nothing_to_tell() {
    assert_eq!(found(&["0001_initial"], &["0001_initial"]), (vec![], vec![]));
    assert_eq!(found(&["0001_initial"], &["0001_initial", "0002_more"]), (vec![], vec![]));
    assert_eq!(found(&NONE, &["0001_initial"]), (vec![], vec![]));
}

#[test]
fn a_migration_beyond_the_codes_newest_is_ahead_and_named() {
    let (ahead, _) = found(&["0001_initial", "0002_more", "0003_yet"], &["0001_initial"]);
    assert_eq!(ahead, ["0002_more", "0003_yet"]);
    let paths = ["orders/migrations/0001_initial.py"];
    let told = compare_migrations(Some(&applied(&["0002_more"])), &code(&paths)).to_string();
    let wanted = "orders 0002_more was applied, and the code of shop ends at 0001_initial";
    assert!(told.ends_with(wanted), "{told}");
    // Ten is more than nine, whatever the letters say.
    assert_eq!(found(&["0010_ten"], &["9_nine"]).0, ["0010_ten"]);
    assert_eq!(
        found(&["0002_theirs"], &["0001_initial", "0002_ours"]).0,
        ["0002_theirs"],
        "another branch's"
    );
}

#[test]
fn code_that_the_archive_keeps_is_named_and_may_be_older_than_the_database() {
    let paths = ["orders/migrations/0001_initial.py"];
    let kept = CodeLevel { kept: Some("c0ffee".into()), ..CodeLevel::of_tree("shop", paths) };
    let level = compare_migrations(Some(&applied(&["0002_more"])), &Code::Known(vec![kept]));
    assert_eq!(level.ahead(), []);
    let told = level.to_string();
    assert!(told.contains("ahead of the code") && told.ends_with("archive keeps: shop at c0ffee"), "{told}");
}

#[test]
fn what_was_squashed_away_is_no_finding() {
    let (ahead, unknown) = found(&["0001_initial", "0002_b"], &["0001_squashed_0002_b"]);
    assert_eq!((ahead.len(), unknown.len()), (0, 2));
    let (ahead, _) = found(&["0002_b", "0003_c"], &["0001_squashed_0002_b"]);
    assert_eq!(ahead, ["0003_c"]);
    let (ahead, unknown) = found(&["0001_initial", "0002_b"], &["0003_c"]);
    assert_eq!(
        (ahead.len(), unknown),
        (0, vec!["orders 0001_initial".to_owned(), "orders 0002_b".to_owned()])
    );
}

#[test]
fn only_numbered_files_of_a_migrations_folder_are_migrations() {
    let tree = [
        "a/migrations/0001_x.py",
        "a/migrations/__init__.py",
        "a/migrations/0002_x.sql",
        "a/0003_x.py",
        "migrations/0004_x.py",
        "a/migrations/sub/0005_x.py",
        "b/c/migrations/0006_x.py",
    ];
    let level = CodeLevel::of_tree("shop", tree);
    let all: Vec<(&str, Vec<&str>)> =
        level.labels.iter().map(|(k, v)| (k.as_str(), v.iter().map(String::as_str).collect())).collect();
    assert_eq!(all, [("a", vec!["0001_x"]), ("c", vec!["0006_x"])]);
}

#[test]
fn what_cannot_be_judged_is_told() {
    let no_table = compare_migrations(None, &code(&[])).to_string();
    assert!(no_table.contains("not applicable"), "{no_table}");
    let no_code = compare_migrations(Some(&[]), &Code::Unknown("no line".to_owned())).to_string();
    assert!(no_code.ends_with("not held against the code: no line"), "{no_code}");
    let foreign = compare_migrations(Some(&applied(&["0009_x"])), &code(&["auth/migrations/0001_x.py"]));
    assert!(
        foreign.ahead().is_empty() && foreign.to_string().ends_with("not of this code: orders"),
        "{foreign}"
    );
}

#[test]
fn of_two_codes_each_that_holds_the_label_must_be_new_enough() {
    let level = |app, paths: &[&'static str]| CodeLevel::of_tree(app, paths.iter().copied());
    let (old, new) =
        (["orders/migrations/0001_a.py"], ["orders/migrations/0001_a.py", "orders/migrations/0002_b.py"]);
    let code = Code::Known(vec![
        level("new", &new),
        level("old", &old),
        level("other", &["x/migrations/0001_a.py"]),
    ]);
    let level = compare_migrations(Some(&applied(&["0001_a", "0002_b"])), &code);
    assert_eq!(level.ahead().iter().map(|one| one.app.as_str()).collect::<Vec<_>>(), ["old"]);
}

#[tokio::test]
async fn the_table_is_read_wherever_it_is() {
    let lab = lab().await;
    let read = async |sql: &str| {
        let database = lab.source(sql).await;
        applied_migrations(&mut lab.connect(&database).await).await.expect("a look")
    };
    assert_eq!(read("CREATE TABLE public.other (id integer)").await, None);
    assert_eq!(
        read("CREATE TABLE public.django_migrations (id integer)").await,
        None,
        "another table of that name"
    );
    let sql = "CREATE SCHEMA \"Mine\"; CREATE TABLE \"Mine\".django_migrations (id serial, app varchar(255), name varchar(255));
               INSERT INTO \"Mine\".django_migrations (app, name) VALUES ('orders', '0001_a')";
    assert_eq!(read(sql).await, Some(applied(&["0001_a"])));
}
