//! The rules without a server: what is forgiven, and what is not.

use super::*;
use crate::backup::checks::Occupancy;
use crate::backup::contents::{Policy, RelationName, TableCount};
use crate::backup::toc::parse;

const LISTING: &str = "\
;     TOC Entries: 5
;     Compression: -1
;     Dump Version: 1.14-0
3; 3079 16688 EXTENSION - pg_trgm 
235; 1259 16510 TABLE public client shop
4379; 0 16510 TABLE DATA public client shop
4380; 0 0 ACL public TABLE client shop
4400; 2605 16999 CAST - CAST (text AS integer) 
";

fn error(entry: Option<u32>, message: &str, statement: &str) -> EntryError {
    EntryError { entry, message: message.into(), statement: statement.into() }
}

/// The account of a restore of three rows into a database that then holds `rows` of them.
fn accounted(rows: u64, errors: Vec<EntryError>, ignored: Option<u64>) -> Account {
    let toc = parse(LISTING).expect("a listing");
    let selection = Selection::new(&toc, &Occupancy::default(), false).expect("an empty target");
    let table = RelationName { schema: "public".into(), name: "client".into() };
    let counts =
        Counts { tables: vec![TableCount { table: table.clone(), rows: 3, bytes: 9 }], ..Counts::default() };
    let mut observed = Observed::default();
    observed.rows.insert(table, rows);
    observed.objects.insert(("TABLE".into(), "public client".into()));
    observed.objects.insert(("EXTENSION".into(), "pg_trgm".into()));
    let report = Report { error_count: errors.len() as u64, errors, ignored, ..Report::default() };
    account(&toc, &selection, &report, &counts, &observed)
}

fn missing(account: &Account) -> Vec<&str> {
    account.missing().map(|(entry, _)| entry.kind.as_str()).collect()
}

#[test]
fn what_was_seen_is_restored_and_what_cannot_be_seen_is_told_apart() {
    let account = accounted(3, vec![], None);
    assert!(account.is_complete());
    let fates: Vec<_> = account.entries.iter().map(|entry| entry.fate.clone()).collect();
    let seen = Fate::Restored(Evidence::Observed);
    assert_eq!(
        fates,
        [
            seen.clone(),
            seen.clone(),
            seen,
            Fate::Benign(Rule::Privileges),
            Fate::Restored(Evidence::Accepted)
        ]
    );
}

#[test]
fn silence_is_no_proof() {
    assert_eq!(missing(&accounted(0, vec![], None)), ["TABLE DATA"]);
}

#[test]
fn an_error_without_a_rule_is_a_loss_even_where_the_object_stands() {
    let errors = vec![error(Some(4379), "COPY failed", "")];
    assert_eq!(missing(&accounted(3, errors, Some(1))), ["TABLE DATA"]);
}

#[test]
fn named_rules_forgive_and_nothing_else_does() {
    let setting = "unrecognized configuration parameter \"transaction_timeout\"";
    let owner = error(Some(3), "must be owner of extension pg_trgm", "COMMENT");
    let forgiven = vec![error(None, setting, "SET transaction_timeout = 0;"), owner];
    assert!(accounted(3, forgiven, Some(2)).is_complete());
    let other = "unrecognized configuration parameter \"myapp.tenant\"";
    assert!(!accounted(3, vec![error(None, other, "SET myapp.tenant = 1;")], Some(1)).is_complete());
}

/// The account of a dump with this many rows for PostGIS' table, which the platform lets nobody fill and which has rows of its own.
fn accounted_of_extension(rows: u64, error: &str) -> Account {
    let listing = LISTING
        .replace("4379; 0 16510 TABLE DATA public client", "4379; 0 9 TABLE DATA public spatial_ref_sys");
    let toc = parse(&listing).expect("a listing");
    let mut target = Occupancy::default();
    target.extensions.insert("pg_trgm".into());
    let selection = Selection::new(&toc, &target, false).expect("an empty target");
    assert!(selection.restored().contains(&4379), "whoever it belongs to, it is not passed over");
    let table = RelationName { schema: "public".into(), name: "spatial_ref_sys".into() };
    let counts =
        Counts { tables: vec![TableCount { table: table.clone(), rows, bytes: 0 }], ..Counts::default() };
    let mut observed = Observed::default();
    observed.rows.insert(table.clone(), 8500);
    observed.of_extensions.insert(table);
    observed.objects.insert(("TABLE".into(), "public client".into()));
    observed.objects.insert(("EXTENSION".into(), "pg_trgm".into()));
    let errors = vec![EntryError { entry: Some(4379), message: error.into(), statement: String::new() }];
    let report = Report { error_count: 1, errors, ignored: Some(1), ..Report::default() };
    account(&toc, &selection, &report, &counts, &observed)
}

#[test]
fn rows_that_a_user_put_into_an_extension_s_table_are_no_rows_of_the_extension() {
    let denied =
        "COPY failed for table \"spatial_ref_sys\": ERROR:  permission denied for table spatial_ref_sys";
    assert!(accounted_of_extension(0, denied).is_complete(), "there was nothing to load");
    assert_eq!(missing(&accounted_of_extension(2, denied)), ["TABLE DATA"]);
    assert_eq!(missing(&accounted_of_extension(0, "could not extend file")), ["TABLE DATA"]);
}

#[test]
fn an_error_of_no_entry_or_one_that_was_not_read_counts() {
    assert_eq!(accounted(3, vec![error(Some(9999), "odd", "")], Some(1)).unattributed, ["odd"]);
    assert!(!accounted(3, vec![], Some(2)).is_complete());
}

#[test]
fn a_policy_for_a_role_that_is_nowhere_binds_nobody_and_any_other_fault_of_it_is_a_loss() {
    let rule = |kind: &str, name: &str, message| {
        let (kind, name, owner) = (kind.to_owned(), name.to_owned(), String::new());
        let entry = Entry { id: 7, kind, schema: Some("public".to_owned()), name, owner };
        rules::error_rule(&entry, &error(Some(7), message, "CREATE POLICY"), rules::Known::default())
    };
    let absent = "role \"vendeur\" does not exist";
    assert_eq!(rule("POLICY", "prix un", absent), Some(Rule::RoleMissing));
    let uncommented = "policy \"un\" for table \"prix\" does not exist";
    assert_eq!(rule("COMMENT", "POLICY un ON prix", uncommented), Some(Rule::RoleMissing));
    assert_eq!(rule("POLICY", "prix un", "column \"x\" does not exist"), None);
    assert_eq!(rule("TABLE DATA", "prix", absent), None);
}

/// The fate of the policy `un` of the table `prix`, owned by `shop`, in a target without the roles that the server missed.
fn policy_for(roles: &[&str], there: &[&str], forced: bool) -> Fate {
    let line = "4381; 3256 16999 POLICY public prix un shop\n";
    let toc = parse(&format!("{LISTING}{line}")).expect("a listing");
    let selection = Selection::new(&toc, &Occupancy::default(), false).expect("an empty target");
    let table = RelationName { schema: "public".into(), name: "prix".into() };
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    let mut counts = Counts::default();
    counts.forced.extend(forced.then(|| table.clone()));
    counts.policies.insert("public prix un".into(), Policy { table, roles });
    let observed =
        Observed { roles: there.iter().map(|role| (*role).to_owned()).collect(), ..Observed::default() };
    let errors = vec![error(Some(4381), "role \"vendeur\" does not exist", "CREATE POLICY un")];
    let report = Report { error_count: 1, errors, ignored: Some(1), ..Report::default() };
    let account = account(&toc, &selection, &report, &counts, &observed);
    account.entries.into_iter().find(|one| one.entry.kind == "POLICY").expect("an entry").fate
}

#[test]
fn a_policy_that_bound_somebody_who_is_there_is_not_passed_over() {
    assert_eq!(policy_for(&["vendeur"], &["app"], false), Fate::Benign(Rule::RoleMissing));
    assert_eq!(policy_for(&["vendeur", "chef"], &["app"], false), Fate::Benign(Rule::RoleMissing));
    let why = |fate| match fate {
        Fate::Missing(why) => why,
        other => panic!("it was passed over: {other:?}"),
    };
    let present = why(policy_for(&["app", "vendeur"], &["app"], false));
    assert!(present.contains("it is for the role app too, which is there"), "{present}");
    let owned = why(policy_for(&["vendeur", "shop"], &["app"], false));
    assert!(owned.contains("it is for shop, the owner of public.prix"), "{owned}");
    let forced = why(policy_for(&["vendeur"], &["app"], true));
    assert!(forced.contains("security of public.prix is forced on its owner"), "{forced}");
}
