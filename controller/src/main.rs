//! `reprise`: the daemon and its command line.

use std::process::ExitCode;

use clap::Parser as _;
use reprise::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => ExitCode::from(runtime.block_on(cli.run())),
        Err(_) => ExitCode::FAILURE,
    }
}
