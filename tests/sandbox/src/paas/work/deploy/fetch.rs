//! A source archive is downloaded from wherever its URL says: also from a name of this world, which only this world resolves and
//! whose certificates only this world's CA vouches for.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RData, RecordType};
use reqwest::dns::{Addrs, Resolve, Resolving};
use tokio_stream::StreamExt;
use tokio_util::io::StreamReader;

use crate::dns::wire::Question;
use crate::doors::Doors;
use crate::exec;
use crate::paas::Paas;

/// A source archive, unpacked, in bytes.
const HEAVIEST: u64 = 314_572_800;
/// As many as most clients follow.
const REDIRECTIONS: usize = 10;

/// Downloads `url` to `file`, bounded in size and time. The error says why not, without the address: that may hold a signature.
pub(super) async fn fetch(paas: &Arc<Paas>, url: &str, file: &Path) -> Result<(), String> {
    let failed = |why: String| format!("the source archive could not be downloaded: {why}");
    let url = url::Url::parse(url).map_err(|error| failed(error.to_string()))?;
    let response = ask(paas, url).await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(failed(format!("the server answered {}", response.status())));
    }
    if response.content_length().is_some_and(|length| length > HEAVIEST) {
        return Err("The archive is too heavy".into());
    }
    let body = response.bytes_stream().map(|chunk| chunk.map_err(|error| std::io::Error::other(told(error))));
    let mut reader = tokio::io::AsyncReadExt::take(StreamReader::new(Box::pin(body)), HEAVIEST + 1);
    let mut target = tokio::fs::File::create(file).await.map_err(|error| error.to_string())?;
    let size = tokio::io::copy(&mut reader, &mut target).await.map_err(|error| failed(error.to_string()))?;
    if size > HEAVIEST { Err("The archive is too heavy".into()) } else { Ok(()) }
}

/// What is at `url`, or where that leads. Each address has a way of its own: it is one of this world or not, and has its own port.
pub(in crate::paas::work) async fn ask(
    paas: &Arc<Paas>,
    mut url: url::Url,
) -> Result<reqwest::Response, String> {
    for _ in 0..=REDIRECTIONS {
        let client = client(paas, &url).map_err(told)?;
        let response = client.get(url.clone()).send().await.map_err(told)?;
        match onward(&url, &response) {
            Some(next) => url = next,
            None => return Ok(response),
        }
    }
    Err("it leads from one address to another, more than ten times".into())
}

fn onward(url: &url::Url, response: &reqwest::Response) -> Option<url::Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = response.headers().get(reqwest::header::LOCATION)?;
    url.join(target.to_str().ok()?).ok()
}

/// A client for the way to `url`, and for no other.
fn client(paas: &Arc<Paas>, url: &url::Url) -> reqwest::Result<reqwest::Client> {
    let dir = paas.world.dir();
    let doors = Doors::of(dir).filter(|doors| doors.address.is_none());
    let ports = doors.map(|doors| doors.ports).unwrap_or_default();
    let guide = Guide { paas: Arc::clone(paas), ports, standard: url.port_or_known_default() };
    let mut builder =
        reqwest::Client::builder().connect_timeout(Duration::from_secs(10)).timeout(Duration::from_mins(5));
    builder = builder.redirect(reqwest::redirect::Policy::none());
    if let Ok(ca) = std::fs::read(dir.join(exec::CA_FOLDER).join(exec::CA_FILE)) {
        builder = builder.tls_certs_merge([reqwest::Certificate::from_pem(&ca)?]);
    }
    if url.host_str().is_some_and(|host| guide.knows(host)) {
        builder = builder.no_proxy();
    }
    builder.dns_resolver(guide).build()
}

/// An error and its causes, without the address.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let word = error.to_string();
        // Some causes are told by what they cause already.
        if words.last().is_none_or(|last| !last.contains(&word)) {
            words.push(word);
        }
        cause = error.source();
    }
    words.join(": ")
}

/// Who knows the way to a name: this world where it is one of its own, else the machine.
#[derive(Clone)]
struct Guide {
    paas: Arc<Paas>,
    /// Where the doors are, if they have no standard numbers.
    ports: BTreeMap<u16, u16>,
    standard: Option<u16>,
}

impl Guide {
    fn knows(&self, host: &str) -> bool {
        self.paas.world.names.address_of(host).is_some()
            || host.trim_end_matches('.').rsplit('.').next() == Some("test")
    }

    async fn find(&self, host: &str) -> std::io::Result<Vec<SocketAddr>> {
        if !self.knows(host) {
            return Ok(tokio::net::lookup_host((host, 0)).await?.collect());
        }
        let addresses = match self.paas.world.names.address_of(host) {
            Some(address) => vec![IpAddr::V4(address)],
            None => self.ask(host).await?,
        };
        let port = self.standard.and_then(|standard| self.ports.get(&standard)).copied().unwrap_or(0);
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    /// What the world's resolver knows.
    async fn ask(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let name = Name::from_ascii(host).map_err(std::io::Error::other)?;
        let question = Question { name, kind: RecordType::A, recursion_desired: true };
        let spoken = crate::doors::resolver(&self.paas.plane.dns).speak(&question).await;
        let answers = spoken.map(|spoken| spoken.reply.answers).unwrap_or_default();
        let addresses = answers.iter().filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        });
        let addresses: Vec<IpAddr> = addresses.collect();
        let nobody = || std::io::Error::other(format!("no name server knows {host}"));
        if addresses.is_empty() { Err(nobody()) } else { Ok(addresses) }
    }
}

impl Resolve for Guide {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let me = self.clone();
        Box::pin(async move {
            let found = me.find(name.as_str()).await?;
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}
