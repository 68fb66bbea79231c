//! Looks at the demo's estate from outside the daemon, as its users would: by name, over TLS, through the world's DNS.
//!
//! `before FILE` notes what production serves, `down` shows that it is gone, `after FILE` proves that it is back: the same rows, the
//! same documents, the same refusals. It reads the sandbox's env file from its environment and trusts nothing that the daemon says.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use futures::TryStreamExt as _;
use reprise::providers::dns::NameServer;
use reprise::providers::http::{HttpShared, Limiter};
use reprise::providers::s3::{S3, S3Config, Want};
use reprise::providers::scalingo::{Scalingo, ScalingoConfig};
use reqwest::header::{HOST, LOCATION};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The estate of `deploy/examples/apilos.yaml`.
const SITES: [&str; 2] = ["siap.apilos.test", "standalone.apilos.test"];
const NEW_APPS: [&str; 2] = ["apilos-siap-pra", "apilos-standalone-pra"];
const NEW_BUCKET: &str = "apilos-pra";
/// Written by each deployment, so it differs on purpose.
const DEPLOYMENTS: &str = "reprise_migrations";

/// What production served while it lived.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    rows: BTreeMap<String, u64>,
    documents: BTreeMap<String, String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["before", file] => before(file).await,
        ["down"] => down().await,
        ["after", file] => after(file).await,
        _ => Err("usage: reprise-proof before FILE | down | after FILE".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("  NOT PROVED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn before(file: &str) -> Result<()> {
    let store = store(&env("S3_SOURCE_ENDPOINT")?)?;
    let bucket = env("S3_SOURCE_BUCKET")?;
    let mut objects: Vec<_> = store.list(&bucket, "").try_collect().await?;
    objects.retain(|object| object.size < 4 << 20);
    // A handful from all over the bucket, the largest among them.
    let step = (objects.len() / 5).max(1);
    let largest = objects.iter().max_by_key(|object| object.size).map(|object| object.key.clone());
    let some = objects.iter().step_by(step).map(|object| object.key.clone());
    let mut documents = BTreeMap::new();
    for key in some.chain(largest) {
        let body: Vec<_> = store.read(&bucket, &key, Want::default()).await?.body.try_collect().await?;
        documents.insert(key, digest(&body.concat()));
    }
    let rows = rows(SITES[0]).await?;
    println!("  production lives: {} rows in {} tables, {} documents", sum(&rows), rows.len(), objects.len());
    std::fs::write(file, serde_json::to_vec_pretty(&Before { rows, documents })?)?;
    Ok(())
}

async fn down() -> Result<()> {
    for site in SITES {
        match get(site, site, "/healthz").await {
            Ok(answer) if answer.status().as_u16() < 500 => {
                return Err(format!("{site} still answers {}", answer.status()).into());
            }
            Ok(answer) => println!("  {site} is down: it answers {}", answer.status()),
            Err(_) => println!("  {site} is down: no answer"),
        }
    }
    Ok(())
}

async fn after(file: &str) -> Result<()> {
    let before: Before = serde_json::from_slice(&std::fs::read(file)?)?;
    for site in SITES {
        serves_the_data(site, &before).await?;
        refuses_strangers(site).await?;
        redirects(site).await?;
        reads_only(site).await?;
    }
    bucket_is_closed(&before).await
}

/// HTTPS by name, with a certificate that the CA signed for that name: every table's rows, and documents out of the new bucket.
async fn serves_the_data(site: &str, before: &Before) -> Result<()> {
    let rows = rows(site).await?;
    let differ: Vec<_> =
        before.rows.iter().filter(|(table, count)| rows.get(*table) != Some(count)).collect();
    check(
        differ.is_empty() && !rows.is_empty(),
        &format!("{site}: {} rows in {} tables, each count as before", sum(&rows), rows.len()),
        &differ,
    )?;
    for (key, expected) in &before.documents {
        let answer = get(site, site, &format!("/objects/{}", encoded(key))).await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        check(
            status.is_success() && digest(&body) == *expected,
            &format!("{site}: document {key} ({} bytes) is the one that was lost", body.len()),
            &status,
        )?;
    }
    Ok(())
}

/// The ingress itself knows no foreign name, so that one is attached to the app for a moment: then it is the app that must refuse it.
async fn refuses_strangers(site: &str) -> Result<()> {
    const STRANGER: &str = "stranger.example.org";
    let unknown = get(site, STRANGER, "/").await?.status();
    check(
        unknown.as_u16() == 404,
        &format!("{site}: a Host that no app has gets {unknown} from the ingress"),
        &"",
    )?;
    let (platform, app) = (platform()?, NEW_APPS[usize::from(site == SITES[1])]);
    let domain = platform.add_domain(app, STRANGER).await?;
    let status = get(site, STRANGER, "/").await.map(|answer| answer.status());
    platform.delete_domain(app, &domain.id).await?;
    let status = status?;
    check(
        status.as_u16() == 400,
        &format!("{site}: a foreign Host gets {status} from the app (ALLOWED_HOSTS)"),
        &"",
    )
}

fn platform() -> Result<Scalingo> {
    let config = ScalingoConfig {
        auth_url: env("SCALINGO_AUTH_URL")?,
        api_url: Some(env("SCALINGO_API_URL")?),
        db_url: Some(env("SCALINGO_DB_URL")?),
        region: env("SCALINGO_REGION")?,
        token: env("SCALINGO_API_TOKEN")?.into(),
    };
    Ok(Scalingo::new(config, Limiter::per_minute(NonZeroU32::MAX), HttpShared::default())?)
}

async fn redirects(site: &str) -> Result<()> {
    let base = env("INGRESS_HTTP")?;
    let client = client(site, port(&base)?).await?;
    let answer = client.get(format!("http://{site}:{}/", port(&base)?)).send().await?;
    let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
    check(
        answer.status().is_redirection() && to.starts_with("https://"),
        &format!("{site}: plain HTTP answers {} to {to}", answer.status()),
        &"",
    )
}

async fn reads_only(site: &str) -> Result<()> {
    let found: serde_json::Value = get(site, site, "/readonly").await?.json().await?;
    check(
        found["can_read"] == true && found["can_write"] == false,
        &format!("{site}: the read-only user reads and cannot write"),
        &found,
    )
}

async fn bucket_is_closed(before: &Before) -> Result<()> {
    let endpoint = env("S3_SOURCE_ENDPOINT")?;
    let store = store(&endpoint)?;
    check(store.is_versioned(NEW_BUCKET).await?, &format!("bucket {NEW_BUCKET} is versioned"), &"")?;
    let key = before.documents.keys().next().ok_or("no document was noted")?;
    let nobody = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
    for path in [String::new(), format!("/{}", encoded(key))] {
        let status = nobody.get(format!("{endpoint}/{NEW_BUCKET}{path}")).send().await?.status();
        check(
            status.as_u16() == 403,
            &format!(
                "bucket {NEW_BUCKET} is private: without a key {} gets {status}",
                if path.is_empty() { "its list" } else { "a document" }
            ),
            &"",
        )?;
    }
    Ok(())
}

fn check(holds: bool, claim: &str, found: &impl std::fmt::Debug) -> Result<()> {
    if holds {
        println!("  proved  {claim}");
        return Ok(());
    }
    Err(format!("{claim} (found {found:?})").into())
}

async fn rows(site: &str) -> Result<BTreeMap<String, u64>> {
    let mut rows: BTreeMap<String, u64> = get(site, site, "/rows").await?.error_for_status()?.json().await?;
    rows.retain(|table, _| !table.ends_with(DEPLOYMENTS));
    Ok(rows)
}

/// Connects to where the world's resolver says that `site` is, and asks there as `host`.
async fn get(site: &str, host: &str, path: &str) -> Result<reqwest::Response> {
    let port = port(&env("INGRESS_HTTPS")?)?;
    let answer = client(site, port)
        .await?
        .get(format!("https://{site}:{port}{path}"))
        .header(HOST, host)
        .send()
        .await?;
    Ok(answer)
}

async fn client(site: &str, port: u16) -> Result<reqwest::Client> {
    let resolver: SocketAddr = env("DNS_RESOLVER")?.parse()?;
    let found =
        NameServer::new(resolver).addresses(site).await?.map_err(|fault| format!("the resolver {fault}"))?;
    let address = found.addresses.first().ok_or_else(|| format!("{site} has no address"))?;
    let ca = reqwest::Certificate::from_pem(&std::fs::read(env("CA_CERT")?)?)?;
    Ok(reqwest::Client::builder()
        .tls_certs_only([ca])
        .resolve(site, SocketAddr::new(*address, port))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()?)
}

fn store(endpoint: &str) -> Result<S3> {
    let config = S3Config {
        endpoint: endpoint.to_owned(),
        region: env("AWS_REGION")?,
        access_key: env("S3_SOURCE_ACCESS_KEY_ID")?,
        secret_key: env("S3_SOURCE_SECRET_ACCESS_KEY")?.into(),
        path_style: true,
    };
    Ok(S3::new(&config, HttpShared::default())?)
}

fn env(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| format!("{name} is not set: source the sandbox's env file first").into())
}

fn port(base: &str) -> Result<u16> {
    Ok(base.rsplit(':').next().unwrap_or_default().trim_end_matches('/').parse()?)
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn sum(rows: &BTreeMap<String, u64>) -> u64 {
    rows.values().sum()
}

fn encoded(key: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(key, KEPT).to_string()
}
