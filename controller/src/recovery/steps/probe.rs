//! The last look: the app answers under its real name, over HTTPS with a certificate for that very name, and plain HTTP redirects.

use url::Url;

use super::{Ctx, Result};
use crate::providers::probe::Seen;
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::Probed;
use crate::recovery::step::Site;

/// What was seen under the public name, at each of its addresses.
struct Both {
    https: std::result::Result<Vec<Seen>, String>,
    http: std::result::Result<Vec<Seen>, String>,
}

pub(super) async fn run(ctx: &Ctx, site: &Site) -> Result<Probed> {
    let app = ctx.run.plan.app(&site.app);
    let path = app.map_or("/", |spec| spec.health_path.as_str());
    let own = app.map_or(&[][..], |spec| &spec.domains);
    let observe = || async {
        Ok(Both {
            https: ctx.tools.look(&site.domain, path).await?,
            http: ctx.tools.look_plain(&site.domain, path).await?,
        })
    };
    let decide = |seen: &Both| Ok(decide(&site.domain, own, seen));
    drive(ctx, Pace::DNS, false, observe, decide, |(): ()| std::future::ready(Ok(()))).await
}

/// `own`: every name of the app; its plain HTTP may lead to any of them.
fn decide(domain: &str, own: &[String], seen: &Both) -> Next<(), Probed> {
    let probed = match &seen.https {
        Ok(all) => all.iter().map(|one| over_https(domain, one)).collect::<std::result::Result<Vec<_>, _>>(),
        Err(why) => Err(format!("https://{domain} does not answer: {why}")),
    };
    let plain = || match &seen.http {
        Ok(all) => all.iter().try_for_each(|one| redirects(domain, own, one)),
        Err(why) => Err(format!("http://{domain} does not answer: {why}")),
    };
    match probed.and_then(|probed| plain().map(|()| probed.into_iter().next())) {
        Ok(Some(probed)) => Next::Done(probed),
        Ok(None) => Next::Wait(format!("{domain} has no address yet")),
        Err(why) => Next::Wait(why),
    }
}

fn over_https(domain: &str, seen: &Seen) -> std::result::Result<Probed, String> {
    let status = seen.status.as_u16();
    if status >= 400 {
        return Err(format!("https://{domain} answers {status}"));
    }
    match seen.certificate.as_ref().filter(|certificate| certificate.names_exactly(domain)) {
        Some(certificate) => Ok(Probed {
            status,
            issuer: certificate.issuer.clone(),
            not_after: certificate.not_after.unwrap_or_default(),
        }),
        None => Err(format!("https://{domain} still shows another name's certificate")),
    }
}

/// Whether plain HTTP leads to HTTPS, and to this app: elsewhere it may be the old host's.
fn redirects(domain: &str, own: &[String], seen: &Seen) -> std::result::Result<(), String> {
    let status = seen.status.as_u16();
    let to = seen.header("location").filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308));
    let Some(to) = to else {
        return Err(format!("http://{domain} answers {status} and does not redirect"));
    };
    let ours = |host: &str| {
        own.iter().map(String::as_str).chain([domain]).any(|name| name.eq_ignore_ascii_case(host))
    };
    match Url::parse(to) {
        Ok(to) if to.scheme() == "https" && to.host_str().is_some_and(ours) => Ok(()),
        // No more of the address than its host: the rest may hold what is nobody's business.
        Ok(to) => Err(format!(
            "http://{domain} leads to {}://{}, and not to this app over HTTPS",
            to.scheme(),
            to.host_str().unwrap_or_default()
        )),
        Err(_) => Err(format!("http://{domain} does not lead to HTTPS")),
    }
}

#[cfg(test)]
pub(in crate::recovery) mod tests {
    use std::time::Duration;

    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue, LOCATION};

    use super::*;
    use crate::providers::probe::CertificateSummary;

    const DOMAIN: &str = "shop.test";

    /// An answer with this status, and a `Location` where one is given.
    pub(in crate::recovery) fn answer(status: u16, location: Option<&str>) -> Seen {
        let headers = location.map(|to| (LOCATION, HeaderValue::from_str(to).expect("a header")));
        Seen {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::from_iter(headers),
            body: bytes::Bytes::new(),
            truncated: false,
            certificate: None,
            took: Duration::ZERO,
        }
    }

    fn over(name: &str) -> Seen {
        let certificate = CertificateSummary {
            names: vec![name.to_owned()],
            issuer: "an authority".into(),
            serial: "1".into(),
            not_before: None,
            not_after: None,
        };
        Seen { certificate: Some(certificate), ..answer(200, None) }
    }

    fn waits(https: Vec<Seen>, http: Vec<Seen>) -> Option<String> {
        let own = [DOMAIN.to_owned(), "www.shop.test".to_owned()];
        match decide(DOMAIN, &own, &Both { https: Ok(https), http: Ok(http) }) {
            Next::Wait(why) => Some(why),
            Next::Done(_) | Next::Act(()) => None,
        }
    }

    fn to(location: &str) -> Vec<Seen> {
        vec![answer(301, Some(location))]
    }

    #[test]
    fn every_address_has_to_show_the_app() {
        let good = || to("https://shop.test/healthz");
        assert_eq!(waits(vec![over(DOMAIN), over(DOMAIN)], good()), None);
        let why = waits(vec![over(DOMAIN), over("old.test")], good()).expect("the second is the old host");
        assert!(why.contains("another name's certificate"), "{why}");
        assert!(waits(vec![over(DOMAIN), Seen { certificate: None, ..over(DOMAIN) }], good()).is_some());
        let mixed = [good(), vec![answer(200, None)]].concat();
        assert!(waits(vec![over(DOMAIN)], mixed).is_some_and(|why| why.ends_with("does not redirect")));
    }

    #[test]
    fn plain_http_has_to_lead_to_this_very_app() {
        let sees = |location| waits(vec![over(DOMAIN)], to(location));
        assert_eq!(sees("https://WWW.shop.test/"), None, "the other name of the app");
        assert_eq!(sees("https://shop.test:8443/x"), None);
        let elsewhere = sees("https://parking.test/?token=a").expect("it leads elsewhere");
        assert!(elsewhere.contains("https://parking.test") && !elsewhere.contains("token"), "{elsewhere}");
        assert!(sees("http://shop.test/x").is_some() && sees("/x").is_some());
        let cached = vec![answer(304, Some("https://shop.test/"))];
        assert!(waits(vec![over(DOMAIN)], cached).is_some(), "not modified is no redirect");
    }
}
