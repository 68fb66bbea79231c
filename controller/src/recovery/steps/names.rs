//! What name servers say: every authoritative one, then the resolvers, each by itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Ctx, Result, StepError};
use crate::providers::dns::{CnameAnswer, Fault, NameServer};
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::{Made, SwitchedName};
use crate::recovery::step::{Site, Step};
use crate::store::{Severity, SpanKind};

/// Where name servers listen.
const PORT: u16 = 53;

/// One name server, by all of its addresses.
type Server = Vec<SocketAddr>;

/// What each server said, at each of its addresses.
type Answers = Vec<Vec<(SocketAddr, CnameAnswer)>>;

/// The new target at every authoritative server.
pub(super) async fn authoritative(ctx: &Ctx, site: &Site) -> Result<Made> {
    let switched: SwitchedName = ctx.outputs.get(&Step::Cname(site.clone()))?;
    let servers = servers(ctx).await?;
    let observe = || async {
        let mut answers: Answers = Vec::with_capacity(servers.len());
        for server in &servers {
            let mut said = Vec::with_capacity(server.len());
            for address in server {
                let asked = NameServer::new(*address).authoritative_cname(&site.domain).await;
                said.push((*address, asked.map_err(StepError::failed("asking an authoritative server"))?));
            }
            answers.push(said);
        }
        Ok(answers)
    };
    let decide = |answers: &Answers| Ok(decide(&site.domain, &switched.target, answers));
    drive(ctx, Pace::DNS, false, observe, decide, |(): ()| std::future::ready(Ok(()))).await
}

/// The new target at every resolver. They were not asked before: a negative answer would be remembered.
pub(super) async fn resolver(ctx: &Ctx, site: &Site) -> Result<Made> {
    let switched: SwitchedName = ctx.outputs.get(&Step::Cname(site.clone()))?;
    let resolvers = &ctx.tools.config.dns.resolvers;
    // Caches may hold the old answer for its whole time to live: that silence is no stall.
    ctx.expect_silence("ttl", Duration::from_secs(switched.old_ttl_seconds));
    let observe = || async {
        let mut answers: Answers = Vec::with_capacity(resolvers.len());
        for resolver in resolvers {
            let asked = NameServer::new(*resolver).resolved_cname(&site.domain).await;
            answers.push(vec![(*resolver, asked.map_err(StepError::failed("asking a resolver"))?)]);
        }
        Ok(answers)
    };
    let decide = |answers: &Answers| Ok(decide(&site.domain, &switched.target, answers));
    drive(ctx, Pace::DNS, false, observe, decide, |(): ()| std::future::ready(Ok(()))).await
}

fn decide(domain: &str, target: &str, answers: &Answers) -> Next<(), Made> {
    match answers.iter().find_map(|server| against(server, target)) {
        None => Next::Done(Made { id: target.to_owned() }),
        Some((address, answer)) => Next::Wait(format!("{address} says that {domain} {}", told(answer))),
    }
}

/// What one server says that is not the target. An address of it that cannot be reached (of a family that is not routed here) counts only
/// where no other one can.
fn against<'a>(
    server: &'a [(SocketAddr, CnameAnswer)],
    target: &str,
) -> Option<&'a (SocketAddr, CnameAnswer)> {
    let is_there = |(_, answer): &&(SocketAddr, CnameAnswer)| {
        !matches!(answer, CnameAnswer::Fault(Fault::Timeout | Fault::Unreachable))
    };
    if server.iter().any(|said| is_there(&said)) {
        return server.iter().filter(is_there).find(|(_, answer)| !answer.points_to(target));
    }
    server.first()
}

fn told(answer: &CnameAnswer) -> String {
    match answer {
        CnameAnswer::Absent { .. } => "does not exist".to_owned(),
        CnameAnswer::NoData { .. } => "is no alias".to_owned(),
        CnameAnswer::Is { target, .. } => format!("is {target}"),
        CnameAnswer::Several(targets) => format!("is several things at once: {}", targets.join(", ")),
        CnameAnswer::Fault(fault) => format!("cannot be told (it {fault})"),
    }
}

/// The zone's name servers: the configured ones, else those that a resolver names.
async fn servers(ctx: &Ctx) -> Result<Vec<Server>> {
    let configured = &ctx.tools.config.dns.authoritative;
    if !configured.is_empty() {
        return Ok(configured.iter().map(|address| vec![*address]).collect());
    }
    ctx.doing(SpanKind::Dns, "looking for the zone's name servers");
    let mut servers = Vec::new();
    for host in delegation(ctx).await? {
        let found = addresses(ctx, &host).await?;
        if found.is_empty() {
            let told = format!(
                "{host}, a name server of {}, has no address: it is not asked",
                ctx.run.plan.dns.zone
            );
            ctx.event(Severity::Warning, "NameServerMissing", &told).await?;
        } else {
            servers.push(found);
        }
    }
    if servers.is_empty() {
        return Err(StepError::refused(
            format!("the resolvers know no name server of {}", ctx.run.plan.dns.zone),
            "set DNS_AUTHORITATIVE to their addresses where the daemon runs, restart, and resume",
        ));
    }
    Ok(servers)
}

/// Every address of a name server; none if it has none. Where that cannot be told now it waits: a server that is not asked could still
/// say the old target.
async fn addresses(ctx: &Ctx, host: &str) -> Result<Server> {
    let observe = || ctx.tools.addresses(host);
    let decide = |seen: &std::result::Result<Vec<IpAddr>, String>| {
        Ok(match seen {
            Ok(found) => Next::Done(found.iter().map(|address| SocketAddr::new(*address, PORT)).collect()),
            Err(why) => Next::Wait(format!("the name server {host} cannot be looked up: {why}")),
        })
    };
    drive(ctx, Pace::DNS, false, observe, decide, |(): ()| std::future::ready(Ok(()))).await
}

/// The names of the zone's servers, from the first resolver that knows any.
async fn delegation(ctx: &Ctx) -> Result<Vec<String>> {
    for resolver in &ctx.tools.config.dns.resolvers {
        let asked = NameServer::new(*resolver).zone_servers(&ctx.run.plan.dns.zone).await;
        match asked.map_err(StepError::failed("asking a resolver for the zone's servers"))? {
            Ok(servers) if !servers.is_empty() => return Ok(servers),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "apilos-pra.osc-fr1.scalingo.test";

    fn says(address: &str, answer: CnameAnswer) -> (SocketAddr, CnameAnswer) {
        (address.parse().expect("an address"), answer)
    }

    fn is(target: &str) -> CnameAnswer {
        CnameAnswer::Is { target: target.to_owned(), ttl: 300 }
    }

    fn done(answers: &Answers) -> bool {
        matches!(decide("siap.apilos.test", TARGET, answers), Next::Done(_))
    }

    #[test]
    fn every_server_has_to_say_it_at_every_address_that_answers() {
        let four = |answer| says("192.0.2.1:53", answer);
        let six = |answer| says("[2001:db8::1]:53", answer);
        assert!(done(&vec![vec![four(is(TARGET)), six(is(TARGET))], vec![four(is(TARGET))]]));
        assert!(!done(&vec![vec![four(is(TARGET)), six(is("old.test"))]]), "it says two things");
        assert!(!done(&vec![vec![four(is(TARGET))], vec![four(is("old.test"))]]), "the second is behind");
        assert!(
            done(&vec![vec![four(is(TARGET)), six(CnameAnswer::Fault(Fault::Unreachable))]]),
            "no IPv6 here"
        );
        assert!(!done(&vec![vec![six(CnameAnswer::Fault(Fault::Unreachable))]]), "nothing is known of it");
    }
}
