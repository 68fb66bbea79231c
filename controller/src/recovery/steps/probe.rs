//! The last look: the app answers under its real name, over HTTPS with a certificate for that very name, and plain HTTP redirects.

use super::{Ctx, Result, StepError};
use crate::providers::probe::{ProbeError, Seen, Target};
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::Probed;
use crate::recovery::step::Site;
use crate::runtime::chain::Chain;

/// What was seen under the public name.
struct Both {
    https: std::result::Result<Seen, String>,
    http: std::result::Result<Seen, String>,
}

pub(super) async fn run(ctx: &Ctx, site: &Site) -> Result<Probed> {
    let path = ctx.run.plan.app(&site.app).map_or("/", |spec| spec.health_path.as_str());
    let observe = || async {
        Ok(Both {
            https: ctx.tools.look(&site.domain, path).await?,
            http: plain(ctx, &site.domain, path).await?,
        })
    };
    let decide = |seen: &Both| Ok(decide(&site.domain, seen));
    drive(ctx, Pace::DNS, false, observe, decide, |(): ()| std::future::ready(Ok(()))).await
}

fn decide(domain: &str, seen: &Both) -> Next<(), Probed> {
    let https = match &seen.https {
        Ok(https) if https.status.as_u16() < 400 => https,
        Ok(https) => return Next::Wait(format!("https://{domain} answers {}", https.status.as_u16())),
        Err(why) => return Next::Wait(format!("https://{domain} does not answer: {why}")),
    };
    let Some(certificate) =
        https.certificate.as_ref().filter(|certificate| certificate.names_exactly(domain))
    else {
        return Next::Wait(format!("https://{domain} still shows another name's certificate"));
    };
    let redirects = |http: &Seen| {
        http.status.is_redirection() && http.header("location").is_some_and(|to| to.starts_with("https://"))
    };
    match &seen.http {
        Ok(http) if redirects(http) => Next::Done(Probed {
            status: https.status.as_u16(),
            issuer: certificate.issuer.clone(),
            not_after: certificate.not_after.unwrap_or_default(),
        }),
        Ok(http) => {
            Next::Wait(format!("http://{domain} answers {} and does not redirect", http.status.as_u16()))
        }
        Err(why) => Next::Wait(format!("http://{domain} does not answer: {why}")),
    }
}

async fn plain(ctx: &Ctx, domain: &str, path: &str) -> Result<std::result::Result<Seen, String>> {
    let mut address = match ctx.tools.address(domain).await? {
        Ok(address) => address,
        Err(why) => return Ok(Err(why)),
    };
    address.set_port(ctx.tools.config.dev.http_port);
    let target = Target { name: domain, address, tls: false, path, host: None };
    match ctx.tools.prober().look(&target).await {
        Ok(seen) => Ok(Ok(seen)),
        Err(ProbeError::Cancelled) => Err(StepError::Stopped),
        Err(error) => Ok(Err(Chain(&error).to_string())),
    }
}
