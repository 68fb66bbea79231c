//! Real HTTP against the API and its blob host.

use std::io::{Cursor, Read};

use chrono::Utc;
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use super::*;
use crate::paas::tests::until;
use crate::world::{Fault, faults::Rule};

const RUNS: &str = "/repos/apilos/apilos/actions/workflows/archive.yml/runs";

struct Bench {
    world: Arc<World>,
    github: Arc<Github>,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

async fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 60.0, 1).unwrap();
    let github = Github::start(&world, "apilos/apilos", "T").await.unwrap();
    let builder = reqwest::Client::builder().user_agent("test").redirect(reqwest::redirect::Policy::none());
    Bench { world, github, http: builder.build().unwrap(), _dir: dir }
}

fn content() -> Vec<u8> {
    let noise = |n: u32| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap();
    let pdf: Vec<u8> = (0..40_000).map(noise).collect();
    archives::zip_of([("documents/convention n°1.pdf", &pdf[..]), ("vide.txt", &b""[..])]).unwrap()
}

fn days_ago(days: i64) -> chrono::DateTime<Utc> {
    Utc::now() - chrono::Duration::days(days)
}

impl Bench {
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.github.endpoint())).bearer_auth("T")
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path).send().await.unwrap().json().await.unwrap()
    }

    /// Adds a run with this artifact; the artifact's id.
    async fn seed(&self, artifact: SeedArtifact) -> u64 {
        let run = SeedRun::completed("archive.yml", "success", days_ago(2)).with(artifact);
        let run = self.github.add_run(run).unwrap();
        let listed = self.get(&format!("/repos/apilos/apilos/actions/runs/{run}/artifacts")).await;
        listed["artifacts"][0]["id"].as_u64().unwrap()
    }

    /// The journal has each step of a run by itself, long after the request that asked for it.
    fn tells_how_it_went(&self, run: u64) {
        let entries = self.world.journal.entries();
        let steps = entries
            .iter()
            .filter(|one| one.call == "run" && one.resource == format!("run/{run} archive.yml"));
        let status = |side: &Option<Value>| side.as_ref().unwrap()["workflow_runs"][0]["status"].clone();
        let told: Vec<_> =
            steps.map(|one| (status(&one.evidence.before), status(&one.evidence.after))).collect();
        let wanted = [("queued", "in_progress"), ("in_progress", "completed")];
        assert_eq!(told, wanted.map(|(before, after)| (json!(before), json!(after))));
    }

    async fn zip(&self, id: u64) -> Response {
        self.call(Method::GET, &format!("/repos/apilos/apilos/actions/artifacts/{id}/zip"))
            .send()
            .await
            .unwrap()
    }

    /// The signed URL of an artifact.
    async fn signed(&self, id: u64) -> String {
        let reply = self.zip(id).await;
        assert_eq!(reply.status(), StatusCode::FOUND);
        reply.headers()["location"].to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn runs_are_newest_first_and_linked_page_to_page() {
    let bench = bench().await;
    for (days, conclusion) in [(20, "success"), (6, "failure"), (13, "success")] {
        bench.github.add_run(SeedRun::completed("archive.yml", conclusion, days_ago(days))).unwrap();
    }
    bench.github.add_run(SeedRun::completed("other.yml", "success", days_ago(1))).unwrap();
    let mut next = Some(format!("{}{RUNS}?per_page=2", bench.github.endpoint()));
    let mut dates = Vec::new();
    while let Some(url) = next.take() {
        let reply = bench.http.get(&url).bearer_auth("T").send().await.unwrap();
        let link = reply.headers().get("link").map(|value| value.to_str().unwrap().to_owned());
        let page: Value = reply.json().await.unwrap();
        assert_eq!(page["total_count"], 3);
        dates.extend(
            page["workflow_runs"].as_array().unwrap().iter().map(|run| run["created_at"].to_string()),
        );
        let relation =
            |link: &str| link.split(", ").find(|one| one.contains("rel=\"next\"")).map(ToOwned::to_owned);
        next = link.as_deref().and_then(relation).map(|one| one[1..one.find('>').unwrap()].to_owned());
    }
    assert!(dates.len() == 3 && dates.windows(2).all(|pair| pair[0] > pair[1]), "{dates:?}");
    let good = bench.get(&format!("{RUNS}?status=success")).await;
    assert_eq!(good["total_count"], 2);
    let id = good["workflow_runs"][0]["workflow_id"].as_u64().unwrap();
    assert_eq!(bench.get(&RUNS.replace("archive.yml", &id.to_string())).await["total_count"], 3);
    assert_eq!(bench.get(&format!("{RUNS}?created=>{}", days_ago(10).date_naive())).await["total_count"], 1);
}

#[tokio::test]
async fn a_download_is_a_redirect_to_another_origin_with_the_bytes() {
    let bench = bench().await;
    let id = bench.seed(SeedArtifact::zip("s3_production", content())).await;
    let listed = bench.get(&format!("/repos/apilos/apilos/actions/artifacts/{id}")).await;
    let url = bench.signed(id).await;
    assert!(url.starts_with(&bench.github.blob_endpoint()) && !url.starts_with(&bench.github.endpoint()));
    let reply = bench.http.get(&url).send().await.unwrap();
    assert_eq!(reply.headers()["content-type"], "application/zip");
    assert!(reply.headers()["content-disposition"].to_str().unwrap().contains("s3_production.zip"));
    let bytes = reply.bytes().await.unwrap();
    assert_eq!(
        (listed["size_in_bytes"].as_u64().unwrap(), listed["digest"].as_str().unwrap()),
        (bytes.len() as u64, sha256(&bytes).as_str())
    );
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut pdf = Vec::new();
    zip.by_name("documents/convention n°1.pdf").unwrap().read_to_end(&mut pdf).unwrap();
    assert_eq!(pdf.len(), 40_000);
}

#[tokio::test]
async fn the_blob_host_refuses_a_forwarded_token_and_a_changed_url_in_xml() {
    let bench = bench().await;
    let url = bench.signed(bench.seed(SeedArtifact::zip("a", content())).await).await;
    let forwarded = bench.http.get(&url).bearer_auth("T").send().await.unwrap();
    assert_eq!(forwarded.status(), StatusCode::BAD_REQUEST);
    assert!(forwarded.text().await.unwrap().contains("<Code>InvalidAuthenticationInfo</Code>"));
    for changed in [
        url.replace("sp=r", "sp=rw"),
        url.replace("sig=", "sig=x"),
        url.replace("actions-results", "elsewhere"),
    ] {
        let reply = bench.http.get(changed).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::FORBIDDEN);
        assert!(reply.text().await.unwrap().contains("AuthenticationFailed"));
    }
}

#[tokio::test]
async fn a_part_of_a_blob_can_be_asked_for() {
    let bench = bench().await;
    let bytes = content();
    let url = bench.signed(bench.seed(SeedArtifact::zip("a", bytes.clone())).await).await;
    let part = async |range: &str| bench.http.get(&url).header("range", range).send().await.unwrap();
    let reply = part("bytes=100-199").await;
    let total = format!("bytes 100-199/{}", bytes.len());
    assert_eq!(
        (reply.status(), reply.headers()["content-range"].to_str().unwrap()),
        (StatusCode::PARTIAL_CONTENT, total.as_str())
    );
    assert_eq!(reply.bytes().await.unwrap(), bytes[100..200]);
    assert_eq!(part("bytes=99999999-").await.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn each_bad_artifact_is_bad_in_its_own_way() {
    let bench = bench().await;
    let fetch = async |artifact: SeedArtifact| {
        let id = bench.seed(artifact).await;
        let digest =
            bench.get(&format!("/repos/apilos/apilos/actions/artifacts/{id}")).await["digest"].clone();
        let reply = bench.http.get(bench.signed(id).await).send().await.unwrap();
        let kind = reply.headers()["content-type"].to_str().unwrap().to_owned();
        (digest, kind, reply.bytes().await.unwrap())
    };
    let (digest, _, bytes) = fetch(SeedArtifact::damaged("a", content())).await;
    assert!(digest == sha256(&content()).as_str() && digest != sha256(&bytes).as_str());
    let (digest, _, bytes) = fetch(SeedArtifact::wrong_crc("a", &content())).await;
    assert_eq!(digest, sha256(&bytes).as_str());
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut entry = zip.by_name("documents/convention n°1.pdf").unwrap();
    assert!(entry.read_to_end(&mut Vec::new()).is_err(), "the CRC must not agree");
    let (digest, kind, bytes) =
        fetch(SeedArtifact::raw("a.tar.gz", b"raw".to_vec(), "application/gzip").with_digest(Digest::None))
            .await;
    assert_eq!((digest, kind.as_str(), &bytes[..]), (Value::Null, "application/gzip", &b"raw"[..]));
}

#[tokio::test]
async fn an_expired_artifact_is_gone_but_listed() {
    let bench = bench().await;
    let expired = bench.seed(SeedArtifact::zip("a", content()).expired()).await;
    let reply = bench.zip(expired).await;
    assert_eq!(reply.status(), StatusCode::GONE);
    assert_eq!(reply.json::<Value>().await.unwrap()["message"], "Artifact has expired");
    let young = bench.seed(SeedArtifact::zip("b", content())).await;
    assert_eq!(bench.zip(young).await.status(), StatusCode::FOUND);
    bench.world.clock.advance(Duration::from_secs(90 * DAY));
    assert_eq!(bench.zip(young).await.status(), StatusCode::GONE);
    assert_eq!(bench.zip(1).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_may_see_and_who_may_download() {
    let bench = bench().await;
    bench.github.add_token("READ-META", "reader", Permission::Metadata);
    bench.github.add_token("NONE", "stranger", Permission::None);
    let id = bench.seed(SeedArtifact::zip("a", content())).await;
    let zip = format!("{}/repos/apilos/apilos/actions/artifacts/{id}/zip", bench.github.endpoint());
    let runs = format!("{}{RUNS}", bench.github.endpoint());
    let ask = async |url: &str, token: Option<&str>| {
        let request = bench.http.get(url);
        let request = token.map_or_else(|| bench.http.get(url), |token| request.bearer_auth(token));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((ask(&runs, None).await, ask(&zip, None).await), (200, 401));
    assert_eq!((ask(&runs, Some("BAD")).await, ask(&zip, Some("READ-META")).await), (401, 403));
    bench.github.set_private(true);
    assert_eq!(
        (ask(&runs, None).await, ask(&runs, Some("NONE")).await, ask(&runs, Some("T")).await),
        (404, 404, 200)
    );
    let silent = reqwest::Client::builder().build().unwrap().get(&runs).send().await.unwrap();
    assert_eq!(silent.status().as_u16(), 403, "no user agent");
    let odd =
        bench.call(Method::GET, RUNS).header("x-github-api-version", "1999-01-01").send().await.unwrap();
    assert_eq!(odd.status().as_u16(), 400);
    assert_eq!(odd.headers()["x-ratelimit-limit"], "60", "limits are told with every answer");
    assert_eq!(odd.headers()["content-type"], "application/json; charset=utf-8");
    assert_eq!(bench.call(Method::GET, &format!("{RUNS}/")).send().await.unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn an_unchanged_listing_is_free() {
    let bench = bench().await;
    let first = bench.call(Method::GET, RUNS).send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let remaining =
        |reply: &Response| reply.headers()["x-ratelimit-remaining"].to_str().unwrap().parse::<u32>().unwrap();
    let again = bench.call(Method::GET, RUNS).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((again.status(), remaining(&again)), (StatusCode::NOT_MODIFIED, remaining(&first)));
    bench.github.add_run(SeedRun::completed("archive.yml", "success", days_ago(1))).unwrap();
    let changed = bench.call(Method::GET, RUNS).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((changed.status(), remaining(&changed)), (StatusCode::OK, remaining(&first) - 1));
}

#[tokio::test]
async fn an_anonymous_hour_ends_with_a_reset_date() {
    let bench = bench().await;
    let url = format!("{}{RUNS}", bench.github.endpoint());
    let mut last = bench.http.get(&url).send().await.unwrap();
    for _ in 0..60 {
        last = bench.http.get(&url).send().await.unwrap();
    }
    assert_eq!(
        (last.status(), &last.headers()["x-ratelimit-remaining"]),
        (StatusCode::FORBIDDEN, &"0".parse().unwrap())
    );
    let reset: i64 = last.headers()["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
    let wait = reset - Utc::now().timestamp();
    assert!((0..=62).contains(&wait), "an hour at speed 60 is a minute, not {wait} s");
}

#[tokio::test]
async fn a_dispatch_makes_a_run_that_ends() {
    let bench = bench().await;
    let path = "/repos/apilos/apilos/actions/workflows/archive.yml/dispatches";
    let send = async |body: &str, version: &str| {
        bench
            .call(Method::POST, path)
            .header("x-github-api-version", version)
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    };
    assert_eq!(send(r#"{"ref":"main"}"#, "2022-11-28").await.status(), StatusCode::NO_CONTENT);
    let reply = send(r#"{"ref":"main"}"#, "2026-03-10").await;
    assert_eq!(reply.status(), StatusCode::OK);
    let run = reply.json::<Value>().await.unwrap()["workflow_run_id"].as_u64().unwrap();
    for bad in [
        r#"{"ref":"nowhere"}"#,
        "{}",
        r#"{"ref":"main","inputs":{"a":1}}"#,
        r#"{"ref":"main","inputs":{"a":"1"}}"#,
    ] {
        assert_eq!(send(bad, "2022-11-28").await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    bench.world.clock.advance(Duration::from_mins(1));
    let look = async || bench.get(&format!("/repos/apilos/apilos/actions/runs/{run}")).await;
    until("the run has ended", async || {
        bench.world.clock.advance(Duration::from_mins(1));
        look().await["status"] == "completed"
    })
    .await;
    let now = look().await;
    assert_eq!((&now["conclusion"], &now["event"]), (&json!("success"), &json!("workflow_dispatch")));
    bench.tells_how_it_went(run);
}

#[tokio::test]
async fn a_search_may_not_know_the_newest_run_yet() {
    let bench = bench().await;
    bench.github.add_run(SeedRun::completed("archive.yml", "success", days_ago(1))).unwrap();
    let (service, method) = (Some("github".into()), Some("index".into()));
    let fault = Fault::Reject { reason: "stale".into() };
    bench.world.faults.add(Rule { service, method, path: None, skip: 0, times: None, fault });
    assert_eq!(bench.get(&format!("{RUNS}?status=success")).await["total_count"], 0);
    assert_eq!(bench.get(RUNS).await["total_count"], 1);
}

#[tokio::test]
async fn a_deleted_artifact_is_not_found() {
    let bench = bench().await;
    let id = bench.seed(SeedArtifact::zip("a", content())).await;
    let path = format!("/repos/apilos/apilos/actions/artifacts/{id}");
    assert_eq!(bench.call(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(bench.zip(id).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn urls_name_the_host_by_which_somebody_came() {
    let bench = bench().await;
    let run = bench.github.add_run(SeedRun::completed("archive.yml", "success", days_ago(2))).unwrap();
    bench.github.add_run(SeedRun::completed("archive.yml", "success", days_ago(1))).unwrap();
    let path = format!("/repos/apilos/apilos/actions/runs/{run}");
    for (host, base) in [
        ("api.github.com", "https://api.github.com".to_owned()),
        ("API.GitHub.test:443", "https://api.github.test".to_owned()),
        ("elsewhere.example.net", bench.github.endpoint()),
    ] {
        let asked = bench.call(Method::GET, &path).header("host", host).send().await.unwrap();
        let shown: Value = asked.json().await.unwrap();
        assert_eq!(shown["jobs_url"], format!("{base}{path}/jobs"), "{host}");
        let listed = bench.call(Method::GET, &format!("{RUNS}?per_page=1")).header("host", host).send().await;
        let link = listed.unwrap().headers()["link"].to_str().unwrap().to_owned();
        assert!(link.starts_with(&format!("<{base}{RUNS}?")), "{host}: {link}");
    }
}

#[tokio::test]
async fn a_run_has_one_job() {
    let bench = bench().await;
    let run = bench.github.add_run(SeedRun::completed("archive.yml", "failure", days_ago(2))).unwrap();
    let shown = bench.get(&format!("/repos/apilos/apilos/actions/runs/{run}")).await;
    let jobs = bench.get(&format!("/repos/apilos/apilos/actions/runs/{run}/jobs")).await;
    let job = &jobs["jobs"][0];
    assert_eq!((jobs["total_count"].as_u64(), job["run_id"].as_u64()), (Some(1), Some(run)));
    assert_eq!((&job["status"], &job["conclusion"]), (&shown["status"], &shown["conclusion"]));
    assert_eq!(job["completed_at"], shown["updated_at"]);
    let unknown = bench.call(Method::GET, "/repos/apilos/apilos/actions/runs/1/jobs").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_used_up_hour_is_refused_and_the_checker_is_told() {
    let bench = bench().await;
    let url = format!("{}{RUNS}", bench.github.endpoint());
    let ask = async || bench.http.get(&url).send().await.unwrap();
    for _ in 0..60 {
        assert_ne!(ask().await.status(), StatusCode::FORBIDDEN, "sixty an hour are everybody's");
    }
    let refused = ask().await;
    assert_eq!(
        (refused.status(), &refused.headers()["x-ratelimit-remaining"]),
        (StatusCode::FORBIDDEN, &"0".parse().unwrap())
    );
    crate::fixtures::same_shape("github", "rate_limited", &refused.json().await.unwrap());
    let refused: u64 = bench.world.journal.observed().rates.values().map(|rate| rate.refused).sum();
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn answers_look_as_recorded() {
    let bench = bench().await;
    let id = bench.seed(SeedArtifact::zip("s3_production", content())).await;
    let runs = bench.get(RUNS).await;
    crate::fixtures::same_shape("github", "runs", &runs);
    let run = runs["workflow_runs"][0]["id"].as_u64().unwrap();
    let artifacts = bench.get(&format!("/repos/apilos/apilos/actions/runs/{run}/artifacts")).await;
    crate::fixtures::same_shape("github", "artifacts", &artifacts);
    crate::fixtures::same_shape(
        "github",
        "not_found",
        &bench.get("/repos/apilos/apilos/actions/artifacts/1").await,
    );
    let unknown = bench.http.get(format!("{}{RUNS}", bench.github.endpoint())).bearer_auth("BAD");
    let unknown = unknown.send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
    crate::fixtures::same_shape("github", "bad_credentials", &unknown.json().await.unwrap());
    bench.world.clock.advance(Duration::from_hours(24 * 100));
    let expired = bench.zip(id).await;
    assert_eq!(expired.status(), StatusCode::GONE);
    crate::fixtures::same_shape("github", "expired", &expired.json().await.unwrap());
}
