use chrono::Utc;
use serde_json::{Value, json};

use super::*;
use crate::world::journal::{Credential, Evidence, Journal, Seen};

fn entry(seq: u64, call: &str, resource: &str, before: Value, after: Value) -> Entry {
    let some = |value: Value| (!value.is_null()).then_some(value);
    let service =
        if call.starts_with("POST") || call.starts_with("DELETE") { "scalingo" } else { "s3-source" };
    let evidence = Evidence { before: some(before), after: some(after), ..Evidence::default() };
    Entry {
        seq,
        at: Utc::now(),
        service: service.into(),
        call: call.into(),
        caller: "us-1".into(),
        resource: resource.into(),
        status: 201,
        fault: None,
        evidence,
    }
}

fn baseline() -> Value {
    json!({
        "apps": [{"name": "old", "id": "1", "status": "running"}],
        "addons": [{"app": "old", "provider": "postgresql", "resource": "old_1"}],
        "ssh_keys": [{"owner": "ops", "name": "laptop", "fingerprint": "SHA256:a"}],
        "buckets": {"source": {"production": {"uploads": 0}}, "archive": {"mirror": {"uploads": 0}}},
        "domains": [{"app": "old", "name": "www.zone.test"}],
        "dns_records": {"domains": [{"name": "zone.test"}], "records": [
            {"id": 7, "name": "www", "type": "CNAME", "value": "old.apps.test"},
            {"id": 8, "name": "", "type": "MX", "value": "mail"},
        ]},
    })
}

fn found(entries: &[Entry], seen: &[Seen], now: &Value) -> Vec<Kind> {
    let journal = Journal::default();
    for one in seen {
        journal.saw(one);
    }
    let (observed, baseline) = (journal.observed(), baseline());
    let secrets = ["a-long-secret-value".to_owned(), "a".to_owned()];
    let case =
        Case { entries, observed: &observed, baseline: &baseline, now, secrets: &secrets, allowed: &ALLOWED };
    check(&case).iter().map(|finding| finding.kind).collect()
}

fn app(name: &str, id: &str) -> Value {
    json!({"apps": [{"name": name, "id": id, "status": "new"}]})
}

fn object(version: &str) -> Value {
    json!({"objects": [{"bucket": "new", "key": "key", "version": version, "etag": "e", "size": 1}]})
}

#[test]
fn a_clean_journal_has_no_findings() {
    let entries = [
        entry(1, "POST /v1/apps", "new", Value::Null, app("new", "2")),
        entry(
            2,
            "POST /v1/apps/new/addons",
            "a",
            Value::Null,
            json!({"addons": [{"app": "new", "provider": "postgresql", "resource": "n1"}]}),
        ),
        entry(
            3,
            "POST /v1/apps/new/scale",
            "new",
            app("new", "2"),
            json!({"apps": [{"name": "new", "id": "2", "status": "scaling"}]}),
        ),
        entry(4, "CreateBucket", "/new", Value::Null, Value::Null),
        entry(5, "PutObject", "/new/key", Value::Null, object("1")),
        entry(6, "DeleteObjects", "/new", object("1"), Value::Null),
        entry(7, "PutObject", "/new/key", Value::Null, object("2")),
    ];
    let credential = Some(Credential::of_key("one"));
    let seen =
        Seen { service: "scalingo", route: "/v1/apps".into(), status: 200, credential, ..Seen::default() };
    let other = Seen { service: "database-api", ..seen.clone() };
    assert_eq!(found(&entries, &[seen, other], &baseline()), []);
}

#[test]
fn the_same_thing_twice_is_found_unless_it_was_deleted_in_between() {
    let first = entry(1, "POST /v1/apps", "new", Value::Null, app("new", "2"));
    let gone = entry(2, "DELETE /v1/apps/new", "new", app("new", "2"), Value::Null);
    let again = entry(3, "POST /v1/apps", "new", Value::Null, app("new", "3"));
    assert_eq!(found(&[first.clone(), again.clone()], &[], &baseline()), [Kind::DoubleCreate]);
    assert_eq!(found(&[first, gone, again], &[], &baseline()), []);
    let bucket = |seq| entry(seq, "CreateBucket", "/b", Value::Null, Value::Null);
    assert_eq!(found(&[bucket(1), bucket(2)], &[], &baseline()), [Kind::DoubleCreate]);
    let addon = |seq, resource| {
        let after = json!({"addons": [{"app": "new", "provider": "redis", "resource": resource}]});
        entry(seq, "POST /v1/apps/new/addons", resource, Value::Null, after)
    };
    assert_eq!(found(&[addon(1, "r1"), addon(2, "r2")], &[], &baseline()), [Kind::DoubleCreate]);
}

#[test]
fn the_effect_of_another_request_at_the_same_time_is_not_a_second_one() {
    let after = json!({"addons": [{"app": "new", "provider": "redis", "resource": "r1"}]});
    let one = entry(1, "POST /v1/apps/new/addons", "r1", Value::Null, after.clone());
    let other = entry(2, "POST /v1/apps/new/collaborators", "c", Value::Null, after);
    assert_eq!(found(&[one, other], &[], &baseline()), []);
}

#[test]
fn two_addons_of_one_provider_are_found_in_what_there_is() {
    let mut now = baseline();
    let one = |resource| json!({"app": "new", "provider": "redis", "resource": resource});
    now["apps"].as_array_mut().unwrap().push(json!({"name": "new", "id": "2"}));
    now["addons"] = json!([one("r1"), one("r2")]);
    assert_eq!(found(&[], &[], &now), [Kind::DoubleCreate]);
}

#[test]
fn writes_to_what_was_there_are_found_except_where_they_are_allowed() {
    let scaled = entry(1, "POST /v1/apps/old/scale", "old", app("old", "1"), app("old", "1"));
    assert_eq!(found(&[scaled], &[], &baseline()), [Kind::ForeignWrite]);
    let wiped = entry(1, "DeleteObject", "/production/k", object("1"), Value::Null);
    assert_eq!(found(std::slice::from_ref(&wiped), &[], &baseline()), [Kind::ForeignWrite]);
    assert_eq!(found(&[Entry { status: 403, ..wiped.clone() }], &[], &baseline()), []);
    let of_nothing = Entry { evidence: Evidence::default(), ..wiped };
    assert_eq!(found(&[of_nothing], &[], &baseline()), [], "nothing was there");
    let record = |index: usize| json!({"dns_records": [baseline()["dns_records"]["records"][index]]});
    let gone =
        |index| found(&[entry(1, "DELETE /v1/record/", "", record(index), Value::Null)], &[], &baseline());
    assert_eq!(gone(0), [], "the name of an app");
    assert_eq!(gone(1), [Kind::ForeignWrite], "the zone's mail");
    let key = json!({"ssh_keys": [{"owner": "ops", "name": "laptop", "fingerprint": "SHA256:a"}]});
    let lost = entry(1, "DELETE /v1/keys/1", "laptop", key, Value::Null);
    assert_eq!(found(&[lost], &[], &baseline()), [Kind::ForeignWrite]);
}

#[test]
fn every_write_to_a_bucket_that_was_there_is_found_in_both_stores() {
    let at = |store: &'static str, call: &str, bucket: &str| {
        let mut one = entry(1, call, &format!("/{bucket}/k"), Value::Null, Value::Null);
        one.service = store.into();
        found(&[one], &[], &baseline())
    };
    for call in
        ["PutObject", "PostObject", "PutObjectAcl", "PutObjectTagging", "PutBucketCors", "DeleteBucketPolicy"]
    {
        assert_eq!(at("s3-source", call, "production"), [Kind::ForeignWrite], "{call}");
        assert_eq!(at("s3-archive", call, "mirror"), [Kind::ForeignWrite], "{call}");
        assert_eq!(at("s3-source", call, "mirror"), [], "{call}: a bucket of another store");
    }
    assert_eq!(at("s3-archive", "RestoreObject", "mirror"), [], "what is there stays as it was");
}

/// A push that moved the branch of `app` to `commit`.
fn moved(seq: u64, app: &str, commit: &str) -> Entry {
    let refs = json!({"refs": [{"app": app, "name": "refs/heads/main", "commit": commit}]});
    let mut push = entry(seq, "push", &format!("{app} refs/heads/main {commit}"), Value::Null, refs);
    push.service = "git".into();
    push
}

#[test]
fn a_branch_that_is_moved_twice_to_the_same_commit_is_found() {
    let twice = [moved(1, "new", "aa"), moved(2, "other", "aa"), moved(3, "new", "aa")];
    assert_eq!(found(&twice, &[], &baseline()), [Kind::DoubleEffect]);
    let back = [moved(1, "new", "aa"), moved(2, "new", "bb"), moved(3, "new", "aa")];
    assert_eq!(found(&back, &[], &baseline()), [], "it was elsewhere in between");
    let gone = entry(2, "DELETE /v1/apps/new", "new", app("new", "2"), Value::Null);
    let anew = [moved(1, "new", "aa"), gone, moved(3, "new", "aa")];
    assert_eq!(found(&anew, &[], &baseline()), [], "another app has the name");
}

#[test]
fn a_mass_deletion_says_of_how_many() {
    let one = |key: &str| json!({"bucket": "production", "key": key, "version": "1"});
    let before = json!({"objects": [one("a"), one("b")], "object_versions": [one("c")]});
    let wiped = [entry(1, "DeleteObjects", "/production", before, Value::Null)];
    let (observed, baseline) = (Observed::default(), baseline());
    let case = Case {
        entries: &wiped,
        observed: &observed,
        baseline: &baseline,
        now: &baseline,
        secrets: &[],
        allowed: &[],
    };
    let told = check(&case)[0].to_string();
    assert!(told.contains("took 3 objects and versions from the bucket `production`"), "{told}");
}

#[test]
fn somebodys_artifact_is_missed_and_one_of_ours_is_not() {
    let mut before = baseline();
    before["workflow_runs"] =
        json!({"runs": [{"id": 1, "status": "completed"}], "artifacts": [{"id": 5, "run": 1}]});
    let deleted = |id: u64| {
        let artifact = json!({"artifacts": [{"id": id, "run": 1}]});
        let mut one = entry(1, "DELETE /artifacts", "artifact", artifact, Value::Null);
        one.service = "github".into();
        let (observed, entries) = (Observed::default(), [one]);
        let case = Case {
            entries: &entries,
            observed: &observed,
            baseline: &before,
            now: &before,
            secrets: &[],
            allowed: &[],
        };
        check(&case).iter().map(|finding| finding.kind).collect::<Vec<_>>()
    };
    assert_eq!(deleted(5), [Kind::ForeignWrite]);
    assert_eq!(deleted(6), []);
}

#[test]
fn an_unfinished_upload_is_told_with_its_beginning() {
    let upload = |id: &str| json!({"uploads": [{"bucket": "new", "key": "k", "id": id, "parts": 0}]});
    let entries = [
        entry(1, "CreateMultipartUpload", "/new/k", Value::Null, upload("u1")),
        entry(2, "CreateMultipartUpload", "/new/k", Value::Null, upload("u2")),
        entry(3, "AbortMultipartUpload", "/new/k", upload("u1"), Value::Null),
    ];
    let mut now = baseline();
    now["buckets"]["source"]["new"] = json!({"uploads": 1});
    let (observed, baseline) = (Observed::default(), baseline());
    let case = Case {
        entries: &entries,
        observed: &observed,
        baseline: &baseline,
        now: &now,
        secrets: &[],
        allowed: &[],
    };
    assert_eq!(check(&case)[0].seqs, [2]);
}

#[test]
fn a_push_to_somebodys_app_is_found() {
    let push = |seq, app: &str| {
        let mut push = entry(seq, "push", &format!("{app} refs/heads/master 0123"), Value::Null, Value::Null);
        push.service = "git".into();
        push
    };
    assert_eq!(found(&[push(1, "old")], &[], &baseline()), [Kind::ForeignWrite]);
    assert_eq!(found(&[push(1, "new")], &[], &baseline()), []);
    let anew = entry(1, "POST /v1/apps", "old", Value::Null, app("old", "2"));
    assert_eq!(found(&[anew, push(2, "old")], &[], &baseline()), [], "the name is ours since");
    let mut archive = entry(1, "deploy archive", "old", Value::Null, Value::Null);
    archive.service = "scalingo".into();
    assert_eq!(found(&[archive], &[], &baseline()), [Kind::ForeignWrite], "nobody pushed it");
}

#[test]
fn what_belongs_to_an_app_that_is_gone_is_a_leak() {
    let entries = [
        entry(1, "POST /v1/apps", "new", Value::Null, app("new", "2")),
        entry(2, "DELETE /v1/apps/new", "new", app("new", "2"), Value::Null),
    ];
    let mut now = baseline();
    now["dns_records"]["records"][0]["value"] = json!("new.apps.test");
    assert_eq!(found(&entries, &[], &now), [Kind::Leak]);
    now["apps"].as_array_mut().unwrap().push(json!({"name": "new", "id": "2"}));
    assert_eq!(found(&entries, &[], &now), []);
    let mut now = baseline();
    now["addons"].as_array_mut().unwrap().push(json!({"app": "new", "provider": "redis", "resource": "r"}));
    assert_eq!(found(&entries, &[], &now), [Kind::Leak]);
}

#[test]
fn traces_are_what_is_new_and_what_is_gone() {
    let mut now = baseline();
    now["dns_records"]["records"][1]["id"] = json!(9);
    now["processes"] = json!([{"app": "old", "type": "web", "count": 1}]);
    assert_eq!(traces(&baseline(), &now), [], "put again, and come by itself");
    now["addons"] = json!([]);
    now["buckets"]["archive"]["new"] = json!({});
    let told: Vec<String> = traces(&baseline(), &now).iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("buckets `archive new` was not there") && told[1].contains("addons"),
        "{told:?}"
    );
}

#[test]
fn leaks_are_found() {
    let key = json!({"owner": "ops", "name": "run-1", "fingerprint": "SHA256:b"});
    let made = entry(1, "POST /v1/keys", "run-1", Value::Null, json!({"ssh_keys": [key]}));
    assert_eq!(found(std::slice::from_ref(&made), &[], &baseline()), [], "it is gone again");
    let mut now = baseline();
    now["ssh_keys"].as_array_mut().unwrap().push(key);
    assert_eq!(found(&[made], &[], &now), [Kind::Leak]);
    let mut now = baseline();
    now["buckets"]["source"]["new"] = json!({"uploads": 2});
    assert_eq!(found(&[], &[], &now), [Kind::Leak]);
}

#[test]
fn secrets_are_found_in_the_journal_and_not_repeated() {
    let leaky = entry(1, "POST /v1/apps", "a-long-secret-value", Value::Null, Value::Null);
    let (observed, baseline) = (Observed::default(), baseline());
    let secrets = ["a-long-secret-value".to_owned()];
    let entries = [leaky];
    let case = Case {
        entries: &entries,
        observed: &observed,
        baseline: &baseline,
        now: &baseline,
        secrets: &secrets,
        allowed: &[],
    };
    let findings = check(&case);
    assert_eq!(findings[0].kind, Kind::SecretInJournal);
    assert!(!findings[0].to_string().contains("a-long-secret-value"));
}

#[test]
fn credentials_at_the_wrong_place_are_found() {
    let credential = Some(Credential::of_key("scalingo-token"));
    let home =
        Seen { service: "scalingo", route: "/v1/apps".into(), status: 200, credential, ..Seen::default() };
    let away = Seen { service: "alwaysdata", status: 401, ..home.clone() };
    assert_eq!(found(&[], &[home.clone(), away], &baseline()), [Kind::WrongHost]);
    let signed = Seen {
        service: "github-blob",
        query: "sig=x".into(),
        credential: Some(Credential::of_key("g")),
        ..Seen::default()
    };
    assert_eq!(found(&[], &[signed], &baseline()), [Kind::WrongHost]);
    let in_url = Seen { query: "token=x".into(), ..home };
    assert_eq!(found(&[], &[in_url], &baseline()), [Kind::SecretInUrl]);
}

#[test]
fn a_limit_that_was_not_kept_is_found_and_a_played_one_is_not() {
    let refused =
        Seen { service: "github", route: "/repos".into(), status: 403, limited: true, ..Seen::default() };
    assert_eq!(found(&[], std::slice::from_ref(&refused), &baseline()), [Kind::RateLimit]);
    let played = Seen { status: 429, played: true, limited: false, ..refused };
    assert_eq!(found(&[], &[played], &baseline()), []);
}
