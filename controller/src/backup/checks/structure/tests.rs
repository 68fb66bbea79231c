//! Real indexes, really damaged.

use super::*;
use crate::backup::lab::{Lab, lab};

const LONG: Duration = Duration::from_mins(1);

/// An index on a function that says to be immutable.
const FOLDED: &str = "
    CREATE FUNCTION public.folded(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(t)';
    CREATE TABLE public.people (id serial PRIMARY KEY, name text);
    INSERT INTO public.people (name) SELECT 'N' || n FROM generate_series(1, 500) AS n;
    CREATE INDEX people_folded ON public.people (public.folded(name));";
/// Its answer changes, as that of a collation does when its library is renewed.
const CHANGED: &str = "CREATE OR REPLACE FUNCTION public.folded(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(t)'";

async fn looked(lab: &Lab, database: &str, limit: Duration) -> (Structure, Vec<Finding>) {
    let mut sessions = [lab.connect(database).await, lab.connect(database).await];
    structure(&mut sessions, limit).await.expect("a look")
}

#[tokio::test]
async fn an_index_whose_function_changed_its_answer_is_found_by_name() {
    let lab = lab().await;
    let database = lab.source(FOLDED).await;
    let (told, findings) = looked(&lab, &database, LONG).await;
    assert_eq!(findings, [], "{told}");
    let all = told.to_string();
    assert!(all.starts_with("amcheck ") && all.ends_with("2 of 2 b-tree indexes and 1 of 1 tables"), "{all}");

    lab.execute(&database, CHANGED).await;
    let (told, findings) = looked(&lab, &database, LONG).await;
    let [Finding::IndexDamaged { index, fault }] = findings.as_slice() else {
        panic!("{told}: {findings:?}")
    };
    assert_eq!(index.to_string(), "public.people_folded");
    assert!(fault.contains("people_folded") && !fault.contains("N1"), "{fault}");
    assert_eq!(told.to_string(), all, "it was looked at, whatever was found");
}

#[tokio::test]
async fn an_index_whose_function_chooses_other_rows_now_is_found_too() {
    let lab = lab().await;
    let chosen =
        "CREATE FUNCTION public.chosen(n int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT n > 450';
        CREATE INDEX people_chosen ON public.people (name) WHERE public.chosen(id);";
    let database = lab.source(&format!("{FOLDED}{chosen}")).await;
    let (told, findings) = looked(&lab, &database, LONG).await;
    assert_eq!(findings, [], "{told}");
    lab.execute(
        &database,
        &chosen
            .replace("450", "400")
            .replace("CREATE F", "CREATE OR REPLACE F")
            .replace("CREATE INDEX", "-- "),
    )
    .await;
    let (told, findings) = looked(&lab, &database, LONG).await;
    let [Finding::IndexDamaged { index, .. }] = findings.as_slice() else { panic!("{told}: {findings:?}") };
    assert_eq!(index.to_string(), "public.people_chosen");
}

#[tokio::test]
async fn nothing_of_the_look_stays_in_the_database() {
    let lab = lab().await;
    let database = lab.source(FOLDED).await;
    lab.execute(&database, CHANGED).await;
    looked(&lab, &database, LONG).await;
    let left = "SELECT (SELECT count(*) FROM pg_catalog.pg_extension WHERE extname = 'amcheck')
                     + (SELECT count(*) FROM pg_catalog.pg_proc WHERE proname LIKE 'reprise%')";
    let mut session = lab.connect(&database).await;
    // What is of a session goes with it, and a server ends it after it is left.
    let others = "SELECT count(*) FROM pg_catalog.pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let alone = async {
        while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut session).await.expect("a count") > 0 {}
    };
    tokio::time::timeout(LONG, alone).await.expect("the sessions end");
    let left: i64 = sqlx::query_scalar(left).fetch_one(&mut session).await.expect("a count");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_amcheck_of_the_dumps_own_is_in_nobodys_way() {
    let lab = lab().await;
    let own =
        format!("CREATE SCHEMA \"Other\"; CREATE EXTENSION amcheck SCHEMA \"Other\"; {FOLDED}{CHANGED}");
    let (told, findings) = looked(&lab, &lab.source(&own).await, LONG).await;
    assert_eq!(findings.iter().map(Finding::reason).collect::<Vec<_>>(), ["index-damaged"], "{told}");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_told_and_is_no_damage() {
    let lab = lab().await;
    let raises = "CREATE OR REPLACE FUNCTION public.folded(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
                  $$ begin raise exception 'secret %', t; end $$";
    let (told, findings) = looked(&lab, &lab.source(&format!("{FOLDED}{raises}")).await, LONG).await;
    assert_eq!(findings, []);
    let told = told.to_string();
    assert!(
        told.contains("1 of 2 b-tree indexes, 1 could not be looked into: public.people_folded (P0001)"),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");

    let (told, findings) = looked(&lab, &lab.source(FOLDED).await, Duration::ZERO).await;
    assert_eq!(findings, []);
    assert!(told.to_string().contains("0 of 2 b-tree indexes, 2 not reached in time"), "{told}");
}

#[tokio::test]
async fn who_may_not_make_its_functions_is_told_so() {
    let lab = lab().await;
    let target = lab.target().await;
    let (told, findings) = structure(&mut [lab.owner(&target).await], LONG).await.expect("a look");
    assert_eq!(findings, []);
    assert!(
        told.to_string().starts_with("indexes and tables were not looked into: permission denied"),
        "{told}"
    );
}
