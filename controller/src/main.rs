//! `reprise`: the daemon and its command line.

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;
use reprise::cli::Cli;

/// Every object that is archived is read into memory of its own, on whichever core is free: that is about a twentieth of a run's time with
/// the C library's allocator, as `tests/bench/archive` shows.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => ExitCode::from(runtime.block_on(cli.run())),
        Err(_) => ExitCode::FAILURE,
    }
}
