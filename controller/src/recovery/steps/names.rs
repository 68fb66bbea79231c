//! What name servers say: every authoritative one, then the resolvers, each by itself.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Ctx, Result, StepError};
use crate::providers::dns::{CnameAnswer, NameServer};
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::{Made, SwitchedName};
use crate::recovery::step::{Site, Step};
use crate::store::SpanKind;

/// What each server said.
type Answers = Vec<(SocketAddr, CnameAnswer)>;

/// The new target at every authoritative server.
pub(super) async fn authoritative(ctx: &Ctx, site: &Site) -> Result<Made> {
    let switched: SwitchedName = ctx.outputs.get(&Step::Cname(site.clone()))?;
    let servers = servers(ctx).await?;
    let observe = || async {
        let mut answers: Answers = Vec::with_capacity(servers.len());
        for server in &servers {
            let asked = NameServer::new(*server).authoritative_cname(&site.domain).await;
            answers.push((*server, asked.map_err(StepError::failed("asking an authoritative server"))?));
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
    ctx.pulse.expect_silence(ctx.tools.clock.scaled(Duration::from_secs(switched.old_ttl_seconds)));
    let observe = || async {
        let mut answers: Answers = Vec::with_capacity(resolvers.len());
        for resolver in resolvers {
            let asked = NameServer::new(*resolver).resolved_cname(&site.domain).await;
            answers.push((*resolver, asked.map_err(StepError::failed("asking a resolver"))?));
        }
        Ok(answers)
    };
    let decide = |answers: &Answers| Ok(decide(&site.domain, &switched.target, answers));
    drive(ctx, Pace::DNS, false, observe, decide, |(): ()| std::future::ready(Ok(()))).await
}

fn decide(domain: &str, target: &str, answers: &Answers) -> Next<(), Made> {
    match answers.iter().find(|(_, answer)| !answer.points_to(target)) {
        None => Next::Done(Made { id: target.to_owned() }),
        Some((server, answer)) => Next::Wait(format!("{server} says that {domain} {}", told(answer))),
    }
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
async fn servers(ctx: &Ctx) -> Result<Vec<SocketAddr>> {
    let configured = &ctx.tools.config.dns.authoritative;
    if !configured.is_empty() {
        return Ok(configured.clone());
    }
    ctx.doing(SpanKind::Dns, "looking for the zone's name servers");
    let mut servers = Vec::new();
    for host in delegation(ctx).await? {
        let Ok(mut address) = ctx.tools.address(&host).await? else { continue };
        address.set_port(53);
        servers.push(address);
    }
    if servers.is_empty() {
        return Err(StepError::refused(
            format!("the resolvers know no name server of {}", ctx.run.plan.dns.zone),
            "set DNS_AUTHORITATIVE to their addresses where the daemon runs, restart, and resume",
        ));
    }
    Ok(servers)
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
