//! `reprise answer REQUEST NAME`: gives the value that a plan asks a person for. It goes from standard input to the apps and is kept
//! nowhere else: not in a command line, not in a record.

use std::io::Read as _;

use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::{AppSpec, Policy};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::desk::Configured;
use super::{CliError, Common, Format, cancel, desk, exit, output};
use crate::providers::scalingo::variables::alias_of;
use crate::recovery::error::StepError;
use crate::store::{LedgerRow, LedgerState};

/// The longest value that the platform takes, and a line's end.
const LONGEST: u64 = 32_768 + 2;

/// Arguments of `answer`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    configured: Configured,
    /// The request that waits
    request: String,
    /// The variable; its value is read from standard input, to its end
    name: String,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    let Some(request) = store.request(&args.request).await? else {
        return Err(cancel::not_found(&store, &args.request).await?);
    };
    let plan = desk::plan(&store, &request.plan).await?;
    let apps = asking(&plan, &args.name, &store.ledger(&request.name).await?);
    if apps.is_empty() {
        let why = format!(
            "no app that {} made asks for {}; is it `policy: ask` in plan {}, and the app there yet?",
            request.name, args.name, request.plan
        );
        return Err(CliError::Answer(why));
    }
    let value = value()?;
    is_no_name(&args.name, &value)?;
    let tools = args.configured.tools(common, store)?;
    let platform = tools.platform(&plan.target.region).map_err(CliError::Setup)?;
    for app in &apps {
        let put = platform.set_variables(app, [(args.name.as_str(), &value)]).await;
        put.map_err(StepError::provider(format!("putting {} on {app}", args.name)))
            .map_err(CliError::Setup)?;
    }
    match common.output {
        Format::Json => output::json(&json!({ "name": request.name, "variable": args.name, "apps": apps }))?,
        Format::Text => {
            output::line(format!("{} is given to {}; {} goes on", args.name, apps.join(", "), request.name))?;
        }
    }
    Ok(exit::OK)
}

/// The apps whose variable it is and that the ledger proves to be the request's own. Pure.
fn asking(plan: &RecoveryPlanSpec, name: &str, ledger: &[LedgerRow]) -> Vec<String> {
    let asks = |app: &&AppSpec| {
        let given = app.variables.get(name).or_else(|| plan.variables.values.get(name));
        given.is_some_and(|given| given.policy == Some(Policy::Ask))
            && !app.unset.iter().any(|unset| unset == name)
    };
    let made = |app: &&AppSpec| {
        ledger
            .iter()
            .any(|row| row.kind == "app" && row.name == app.name && row.state == LedgerState::Present)
    };
    plan.apps.iter().filter(asks).filter(made).map(|app| app.name.clone()).collect()
}

/// Refuses what the platform would take for another variable: the app would be given that one's value. Pure.
fn is_no_name(name: &str, value: &SecretString) -> Result<(), CliError> {
    if alias_of(value.expose_secret()).is_none() {
        return Ok(());
    }
    Err(CliError::Answer(format!(
        "what was given for {name} is a dollar sign and the name of a variable: the app would be given that one's value. Choose another"
    )))
}

/// What was given, without the end of its line.
fn value() -> Result<SecretString, CliError> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text);
    let read = read.map_err(|source| CliError::Read { path: "standard input".into(), source })?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.trim().is_empty() {
        return Err(CliError::Answer("nothing was given: the value is read from standard input".to_owned()));
    }
    if read as u64 > LONGEST {
        return Err(CliError::Answer("the platform takes values of at most 32,768 characters".to_owned()));
    }
    Ok(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_stands_for_another_variable_is_refused_and_not_told() {
        let told = is_no_name("SALT", &"$SECRET_KEY".into()).expect_err("refused").to_string();
        assert!(told.contains("SALT") && !told.contains("SECRET_KEY"), "{told}");
        assert!(is_no_name("SALT", &"pa$$word".into()).is_ok());
    }
}
