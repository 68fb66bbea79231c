//! `reprise-sandbox`: a world to recover in, from the command line.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use reprise_sandbox::cli;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,sqlx=error,s3s=off,reprise_sandbox=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            tell(&error);
            ExitCode::from(error.code())
        }
    }
}

/// The error and what caused it, one line.
fn tell(error: &dyn std::error::Error) {
    let chain = std::iter::successors(Some(error), |cause| cause.source());
    let text = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // With stderr gone nobody can be told.
    writeln!(std::io::stderr(), "reprise-sandbox: {text}").unwrap_or_default();
}
