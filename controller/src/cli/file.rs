//! `reprise file PLAN`: file a request, just as a plain INSERT would.

use serde_json::{Value, json};

use super::{CliError, Common, Format, exit, output};
use reprise_crds::{Mode, Part, Problem, RecoveryRequestSpec};

/// Arguments of `file`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan to run
    plan: String,
    /// The request's name [default: PLAN-YYYYMMDD-HHMMSS]
    #[arg(long)]
    name: Option<String>,
    /// recover, or drill (a rehearsal under throwaway names, torn down afterwards)
    #[arg(long, default_value = "recover", value_parser = clap::builder::PossibleValuesParser::new(["recover", "drill"]))]
    mode: String,
    #[command(flatten)]
    parts: Parts,
    /// Why, for whoever reads the report
    #[arg(long)]
    reason: Option<String>,
}

/// Which part of an estate.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Parts {
    /// Which parts of the estate; may be given several times
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(["all", "database", "bucket", "app", "dns"]))]
    scope: Vec<String>,
    /// With a scope: an existing app that takes the place of an app of the plan; may be given several times
    #[arg(long, value_name = "APP=EXISTING")]
    target: Vec<String>,
}

impl Parts {
    /// Writes them into the spec of a request, as far as they are not what it is without.
    pub(super) fn write(&self, spec: &mut Value) -> Result<(), CliError> {
        if !self.scope.is_empty() && self.scope != [Part::All.as_str()] {
            spec["scope"] = self.scope.clone().into();
        }
        for target in &self.target {
            let Some((planned, existing)) = target.split_once('=') else {
                let problem = Problem::new("--target", "is not of the form APP=EXISTING");
                return Err(CliError::Invalid { what: "the request".to_owned(), problems: vec![problem] });
            };
            spec["targets"][planned] = existing.into();
        }
        Ok(())
    }
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let spec = spec(args)?;
    check(&args.plan, &spec)?;
    let store = common.store().await?;
    if store.plan(&args.plan).await?.is_none() {
        let names = store.plans().await?.into_iter().map(|plan| plan.name).collect();
        return Err(CliError::NotFound { kind: "plan", name: args.plan.clone(), names });
    }
    let now = chrono::Utc::now().format("%Y%m%d-%H%M%S");
    let name = args.name.clone().unwrap_or_else(|| format!("{}-{now}", args.plan));
    match store.file_request(&name, &args.plan, &spec).await {
        Err(error) if error.constraint() == Some("recovery_requests_pkey") => {
            return Err(CliError::NameTaken(name));
        }
        Err(error) if error.constraint() == Some("request_name_is_a_dns_label") => {
            return Err(CliError::BadName(name));
        }
        other => other?,
    }
    match common.output {
        Format::Json => output::json(&json!({ "kind": "RecoveryRequest", "name": name, "plan": args.plan }))?,
        Format::Text => {
            output::line(format!("recoveryrequest {name} filed; follow it with: reprise watch {name}"))?;
        }
    }
    Ok(exit::OK)
}

fn spec(args: &Args) -> Result<Value, CliError> {
    let mut spec = json!({});
    if args.mode != Mode::default().as_str() {
        spec["mode"] = args.mode.clone().into();
    }
    args.parts.write(&mut spec)?;
    if let Some(reason) = &args.reason {
        spec["reason"] = reason.clone().into();
    }
    Ok(spec)
}

/// The spec as it will be read, or everything that is wrong with it.
pub(super) fn check(plan: &str, spec: &Value) -> Result<RecoveryRequestSpec, CliError> {
    let mut whole = spec.clone();
    whole["plan"] = plan.into();
    let checked = RecoveryRequestSpec::from_json(whole);
    checked.map_err(|problems| CliError::Invalid { what: "the request".to_owned(), problems })
}
