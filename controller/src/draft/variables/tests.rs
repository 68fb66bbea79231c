use secrecy::SecretString;

use super::*;
use crate::draft::seen::AddonSeen;

const DSN: &str = "postgresql://app_42:p%40ss@app-42.db.example:31000/app_42?sslmode=prefer";

pub(in crate::draft) fn app(variables: &[(&str, &str)]) -> Seen {
    let of_the_addons = [
        ("SCALINGO_POSTGRESQL_URL", DSN),
        ("SCALINGO_REDIS_URL", "redis://:secret@app-43.redis.example:32000"),
    ];
    let all = of_the_addons.iter().chain(variables);
    Seen {
        name: "front-app".into(),
        default_host: Some("front-app.osc-fr1.scalingo.io".into()),
        redis: Some(AddonSeen::default()),
        domains: vec!["www.example.org".into(), "old.example.org".into()],
        variables: all.map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect(),
        ..Seen::default()
    }
}

fn decided(variables: &[(&str, &str)]) -> BTreeMap<String, Decided> {
    let apps = [app(variables)];
    let places = Places::of(&apps);
    table(&apps, &places).all
}

fn one(name: &str, value: &str) -> Decided {
    decided(&[(name, value), ("AWS_STORAGE_BUCKET_NAME", "the-documents")])[name]
}

#[test]
fn what_the_recovery_computes_is_recognised_by_its_value() {
    use Computed::*;
    for (name, value, computed) in [
        ("DATABASE_URL", "$SCALINGO_POSTGRESQL_URL", DatabaseUrl),
        ("ANYTHING", DSN, DatabaseUrl),
        ("DB_HOST", "app-42.db.example", DatabaseHost),
        ("DB_PORT", "31000", DatabasePort),
        ("PGUSER", "app_42", DatabaseUser),
        ("DB_NAME", "app_42", DatabaseName),
        ("DB_PASSWORD", "p@ss", DatabasePassword),
        ("REDIS_URL", "$SCALINGO_REDIS_URL", RedisUrl),
        ("CELERY_BROKER", "rediss://:secret@app-43.redis.example:32000/0", RedisUrl),
        ("AWS_STORAGE_BUCKET_NAME", "the-documents", BucketName),
        ("S3_BUCKET", "the-documents", BucketName),
        ("AWS_S3_ENDPOINT_URL", "https://s3.example", BucketEndpoint),
        ("AWS_S3_REGION_NAME", "fr-par", BucketRegion),
        ("AWS_ACCESS_KEY_ID", "SCWX", BucketAccessKeyId),
        ("AWS_SECRET_ACCESS_KEY", "x", BucketSecretAccessKey),
        ("ALLOWED_HOSTS", "www.example.org", Hosts),
        ("HOSTS", "www.example.org, front-app.osc-fr1.scalingo.io", Hosts),
        ("DOMAIN", "www.example.org", PrimaryHost),
        ("SITE_URL", "https://www.example.org", PrimaryUrl),
        ("FALLBACK", "front-app.osc-fr1.scalingo.io", DefaultHost),
    ] {
        assert_eq!(one(name, value), Decided::computed(computed), "{name}");
    }
}

#[test]
fn a_guess_says_what_to_look_at() {
    let reads = "postgres://explorer:hidden@app-42.db.example:31000/app_42";
    let all = decided(&[
        ("DB_READONLY", reads),
        ("RO_USER", "explorer"),
        ("RO_PASSWORD", "hidden"),
        ("RO_DB_HOST", "app-42.db.example"),
    ]);
    assert_eq!(all["DB_READONLY"], Decided::checked(Computed::ReadOnlyUrl, Some(READER)));
    assert_eq!(all["RO_USER"].what, Decision::Computed(Computed::ReadOnlyUser));
    assert_eq!(all["RO_PASSWORD"].what, Decision::Computed(Computed::ReadOnlyPassword));
    assert_eq!(all["RO_DB_HOST"].what, Decision::Computed(Computed::ReadOnlyHost));
    for (name, value, wanted) in [
        ("OTHER", "postgres://u:p@elsewhere.example/x", Decided::perhaps(Decision::Kept, OTHER_DATABASE)),
        ("OTHER", "redis://elsewhere.example", Decided::perhaps(Decision::Kept, OTHER_REDIS)),
        (
            "CACHE",
            "redis://:secret@app-43.redis.example:32000/3",
            Decided::checked(Computed::RedisUrl, Some(REDIS_MORE)),
        ),
        ("S3_BUCKET", "others", Decided::perhaps(Decision::Kept, OTHER_BUCKET)),
        ("S3_ENDPOINT", "s3.example", Decided::checked(Computed::BucketEndpoint, Some(NO_SCHEME))),
        ("DB_URL", &format!("{DSN}&pool=5"), Decided::checked(Computed::DatabaseUrl, Some(DATABASE_MORE))),
        ("ALLOWED_HOSTS", "www.example.org,localhost", Decided::checked(Computed::Hosts, Some(MORE_HOSTS))),
        ("SITE_URL", "https://www.example.org/", Decided::checked(Computed::PrimaryUrl, Some(SLASH))),
        ("CALLBACK", "https://front-app.osc-fr1.scalingo.io/x", Decided::perhaps(Decision::Kept, LEADS_BACK)),
        ("JDBC", "jdbc:postgresql://app-42.db.example/x", Decided::perhaps(Decision::Kept, LEADS_BACK)),
        ("UNSEEN", "", Decided::perhaps(Decision::Kept, UNREAD)),
    ] {
        assert_eq!(one(name, value), wanted, "{name}={value}");
    }
}

#[test]
fn two_key_pairs_are_not_one_buckets_without_a_look() {
    let pairs = [
        ("S3_BUCKET", "the-documents"),
        ("S3_ACCESS_KEY_ID", "SCWX"),
        ("AWS_ACCESS_KEY_ID", "AKIA-OF-THE-MAIL"),
    ];
    let decided = decided(&pairs);
    for name in ["S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"] {
        assert_eq!(decided[name], Decided::checked(Computed::BucketAccessKeyId, Some(TWO)), "{name}");
    }
}

#[test]
fn what_is_not_sure_is_kept() {
    for (name, value) in [
        ("WORKERS_PORT", "31000"),
        ("TENANT", "app_42"),
        ("PARTNER_TOKEN", "s3cr3t"),
        ("JWT_SIGN_KEY", "s3cr3t"),
        ("SECRET_KEY_BASE", "s3cr3t"),
        ("EMPTY_LIST", ","),
        ("ALLOWED_HOSTS", "*"),
    ] {
        assert_eq!(one(name, value), Decided::surely(Decision::Kept), "{name}");
    }
    assert_eq!(one("ENVIRONMENT", "production").what, Decision::KeptOpenly);
    assert_eq!(one("DJANGO_SECRET_KEY", "s3cr3t").what, Decision::Regenerated);
    // Without a bucket such a pair is for something else.
    assert_eq!(decided(&[("AWS_ACCESS_KEY_ID", "AKIA")])["AWS_ACCESS_KEY_ID"].what, Decision::Kept);
}

#[test]
fn what_the_platform_sets_is_left_out() {
    let apps = [app(&[
        ("PORT", "3000"),
        ("STACK", "x"),
        ("SCALINGO_NEW", "x"),
        ("REPRISE_REQUEST", "x"),
        ("A", "b"),
    ])];
    let table = table(&apps, &Places::of(&apps));
    assert_eq!(table.all.keys().collect::<Vec<_>>(), ["A"]);
    let left =
        ["PORT", "REPRISE_REQUEST", "SCALINGO_NEW", "SCALINGO_POSTGRESQL_URL", "SCALINGO_REDIS_URL", "STACK"];
    assert!(table.left.iter().eq(left), "{:?}", table.left);
}

#[test]
fn what_differs_between_apps_stands_with_the_app() {
    let apps = [
        app(&[("SECRET_KEY", "one"), ("SESSION_SECRET", "a"), ("ONLY_HERE", "x"), ("BOTH", "x")]),
        app(&[("SECRET_KEY", "one"), ("SESSION_SECRET", "b"), ("BOTH", "https://www.example.org")]),
    ];
    let table = table(&apps, &Places::of(&apps));
    assert_eq!(table.shared, ["SECRET_KEY"], "the one that is the same everywhere");
    assert!(table.all.keys().eq(["SECRET_KEY", "SESSION_SECRET"]));
    assert!(table.own[0].keys().eq(["BOTH", "ONLY_HERE"]) && table.own[1].keys().eq(["BOTH"]));
}

#[test]
fn an_alias_of_itself_ends() {
    assert_eq!(one("LOOP", "$LOOP"), Decided::surely(Decision::Kept));
}
