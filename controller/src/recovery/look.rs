//! A look at a public name as visitors have it: everywhere that resolvers say that it is, and what answers there.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use futures::future::join_all;

use super::error::{Result, StepError};
use super::tools::Tools;
use crate::providers::dns::NameServer;
use crate::providers::probe::{ProbeError, Seen, Target, TlsFault};
use crate::runtime::chain::Chain;

/// Why a public name was not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// In words.
    pub why: String,
    /// What is wrong with TLS, where that is why.
    pub fault: Option<TlsFault>,
}

impl Unseen {
    fn of(error: &ProbeError) -> Self {
        let fault = match error {
            ProbeError::Tls { fault, .. } => Some(fault.clone()),
            _ => None,
        };
        Self { why: Chain(error).to_string(), fault }
    }

    fn has_expired(&self) -> bool {
        matches!(self.fault, Some(TlsFault::Expired(_)))
    }

    fn silent(why: String) -> Self {
        Self { why, fault: None }
    }
}

/// What was seen at each address of a name.
type Looked = std::result::Result<Vec<Seen>, Unseen>;

impl Tools {
    /// Every address of `host` by the first resolver that knows any; empty where one says that there is none and no other knows better.
    /// `Err`: why that is not known now.
    pub async fn addresses(&self, host: &str) -> Result<std::result::Result<Vec<IpAddr>, String>> {
        self.resolved(host, |all: &[IpAddr]| !all.is_empty()).await
    }

    /// The addresses of `host` by one resolver after the other, each once, until there are `enough`.
    async fn resolved(
        &self,
        host: &str,
        enough: impl Fn(&[IpAddr]) -> bool,
    ) -> Result<std::result::Result<Vec<IpAddr>, String>> {
        let (mut all, mut known) = (Vec::new(), Err("no resolver is configured".to_owned()));
        for resolver in &self.config.dns.resolvers {
            let asked = NameServer::new(*resolver).addresses(host).await;
            match asked.map_err(StepError::failed("asking a resolver"))? {
                Ok(found) => {
                    known = Ok(());
                    for address in found.addresses {
                        if !all.contains(&address) {
                            all.push(address);
                        }
                    }
                }
                Err(fault) if known.is_err() => known = Err(format!("resolver {resolver} {fault}")),
                Err(_) => {}
            }
            if enough(&all) {
                break;
            }
        }
        Ok(known.map(|()| all))
    }

    /// One look at `host` over HTTPS, at every address that any resolver tells: visitors are sent to each of them. `Err`: why there was no
    /// answer at one; the next look may have one.
    pub async fn look(&self, host: &str, path: &str) -> Result<std::result::Result<Vec<Seen>, String>> {
        Ok(self.look_at(host, host, path, true).await?.map_err(|unseen| unseen.why))
    }

    /// The same of the certificates that are shown at `host`: one that has expired is told from silence.
    pub async fn look_for_certificates(&self, host: &str) -> Result<Looked> {
        self.look_at(host, host, "/", true).await
    }

    /// One look at `host` over HTTPS at the addresses of `at`, whatever is told of `host` itself: where its name led before may still be
    /// remembered, and answer.
    pub async fn look_through(
        &self,
        host: &str,
        at: &str,
        path: &str,
    ) -> Result<std::result::Result<Vec<Seen>, String>> {
        Ok(self.look_at(host, at, path, true).await?.map_err(|unseen| unseen.why))
    }

    /// One look at `host` over plain HTTP, at every address that any resolver tells.
    pub async fn look_plain(&self, host: &str, path: &str) -> Result<std::result::Result<Vec<Seen>, String>> {
        Ok(self.look_at(host, host, path, false).await?.map_err(|unseen| unseen.why))
    }

    async fn look_at(&self, host: &str, at: &str, path: &str, tls: bool) -> Result<Looked> {
        let dev = &self.config.dev;
        let port = if tls { dev.https_port } else { dev.http_port };
        let addresses = match self.resolved(at, |_| false).await? {
            Ok(found) => routed(found.into_iter().map(|address| SocketAddr::new(address, port)).collect()),
            Err(why) => return Ok(Err(Unseen::silent(why))),
        };
        if addresses.is_empty() {
            return Ok(Err(Unseen::silent(format!("{at} has no address yet"))));
        }
        let prober = self.prober();
        let looks = addresses.into_iter().map(|address| {
            let prober = &prober;
            async move { prober.look(&Target { name: host, address, tls, path, host: None }).await }
        });
        all_of(join_all(looks).await)
    }
}

/// Those that lead anywhere from here: a machine without IPv6 knows nothing of what is there. All, where none does.
fn routed(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let leads = |address: &&SocketAddr| {
        let any = if address.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0_u16; 8]) };
        // Asks the routing table; nothing is sent.
        UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address)).is_ok()
    };
    let routed: Vec<SocketAddr> = addresses.iter().filter(leads).copied().collect();
    if routed.is_empty() { addresses } else { routed }
}

/// What was seen at each address; why there was no answer at one, where there was none. An expired certificate says more than silence.
fn all_of(looks: Vec<std::result::Result<Seen, ProbeError>>) -> Result<Looked> {
    let (mut seen, mut unseen) = (Vec::with_capacity(looks.len()), None::<Unseen>);
    for look in looks {
        match look {
            Ok(one) => seen.push(one),
            Err(ProbeError::Cancelled) => return Err(StepError::Stopped),
            Err(error) => {
                let one = Unseen::of(&error);
                unseen = unseen.filter(|known| known.has_expired() || !one.has_expired()).or(Some(one));
            }
        }
    }
    Ok(unseen.map_or(Ok(seen), Err))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use hickory_proto::op::Message;
    use hickory_proto::rr::{RData, Record, RecordType, rdata::A};

    use super::*;
    use crate::config::{Config, References};
    use crate::metrics::{Labels, Metrics};
    use crate::providers::http::HttpShared;
    use crate::providers::probe::Prober;
    use crate::providers::probe::tests::server_until;
    use crate::providers::{dns, probe};
    use crate::recovery::steps::probe::tests::answer;
    use crate::recovery::tools::Parts;
    use crate::runtime::clock::Clock;
    use crate::store::tests::lab;

    const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const OLD_HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

    fn at(address: &str) -> SocketAddr {
        address.parse().expect("an address")
    }

    /// A resolver that remembers where `shop.test` led before.
    fn remembers(message: &mut Message) {
        let asked = message.queries[0].name().clone();
        let address = if asked.to_ascii().starts_with("shop.test") { OLD_HOST } else { HERE };
        if message.queries[0].query_type() == RecordType::A {
            message.answers.push(Record::from_rdata(asked, 86_400, RData::A(A(address))));
        }
    }

    #[tokio::test]
    async fn a_name_that_resolvers_remember_otherwise_is_seen_where_the_app_is() {
        let (lab, dir) = (lab().await, tempfile::tempdir().expect("a folder"));
        let (resolver, _resolving) = dns::tests::serve(remembers).await;
        let (app, authority, _serving) = probe::tests::server("shop.test").await;
        let environment = [("SCALINGO_API_TOKEN", "tk-us-1"), ("DNS_RESOLVER", &resolver.to_string())];
        let references =
            References::new(environment.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut config = Config::load(None, true, &references).expect("valid");
        config.dev.https_port = app.port();
        let tools = Tools::new(Parts {
            store: lab.store.clone(),
            config,
            references,
            clock: Clock::system(),
            metrics: Arc::new(Metrics::new(Labels::default()).expect("registered")),
            http: HttpShared { extra_ca_pem: Some(authority), ..HttpShared::default() },
            identity: "me".to_owned(),
            data_dir: dir.path().to_owned(),
        });
        let by_name = tools.look("shop.test", "/").await.expect("looked");
        assert!(by_name.is_err(), "nobody is at the old host any more");
        let seen = tools.look_through("shop.test", "app.platform.test", "/").await.expect("looked");
        let shown = seen.expect("the app answers").pop().and_then(|seen| seen.certificate);
        assert!(shown.is_some_and(|shown| shown.names_exactly("shop.test")));
        lab.end().await;
    }

    #[test]
    fn one_address_that_does_not_answer_is_no_answer() {
        let silent = || ProbeError::Timeout { name: "a.test".into(), address: at("192.0.2.7:443") };
        let both = all_of(vec![Ok(answer(200, None)), Ok(answer(200, None))]).expect("it goes on");
        assert_eq!(both.map(|seen| seen.len()), Ok(2));
        let why = all_of(vec![Ok(answer(200, None)), Err(silent())]).expect("it goes on").expect_err("one");
        assert!(why.why.contains("192.0.2.7"), "{why:?}");
        assert_eq!(why.fault, None);
        assert!(all_of(vec![Err(ProbeError::Cancelled)]).is_err());
    }

    #[tokio::test]
    async fn an_expired_certificate_is_told_from_silence_with_its_date() {
        let (address, pem, _server) = server_until("www.exemple.fr", 2025).await;
        let prober = Prober::new(HttpShared { extra_ca_pem: Some(pem), ..HttpShared::default() });
        let target = Target { name: "www.exemple.fr", address, tls: true, path: "/", host: None };
        let silent = || ProbeError::Timeout { name: "a.test".into(), address: at("192.0.2.7:443") };
        for looks in
            [vec![Err(silent()), prober.look(&target).await], vec![prober.look(&target).await, Err(silent())]]
        {
            let unseen = all_of(looks).expect("it goes on").expect_err("it is refused");
            let since = "2025-12-31T00:00:00Z".parse().ok();
            assert_eq!(unseen.fault, Some(TlsFault::Expired(since)), "{}", unseen.why);
        }
    }

    #[test]
    fn an_address_that_leads_somewhere_is_looked_at() {
        assert_eq!(routed(vec![at("127.0.0.1:443")]), [at("127.0.0.1:443")]);
        let nowhere = vec![at("[2001:db8::1]:443")];
        assert_eq!(routed(nowhere.clone()), nowhere, "somebody has to say why");
    }
}
