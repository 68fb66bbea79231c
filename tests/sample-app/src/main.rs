//! A small web application that needs everything a recovery brings back: a database, a Redis, a bucket, its variables and its
//! host names. It shows what it finds, so that a recovery can be proven from outside.
//!
//! `web` serves, `worker` works quietly, `migrate` is for the `postdeploy` hook.

use std::io::Write as _;
use std::process::ExitCode;

mod bucket;
mod database;
mod error;
mod hosts;
mod migrate;
mod settings;
mod signals;
mod web;
mod worker;

use error::AppError;
use settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    match run(command.as_deref()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done if even this cannot be said.
            writeln!(std::io::stderr(), "{}", error.chain()).ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Option<&str>) -> Result<(), AppError> {
    let settings = || Settings::read(|name| std::env::var(name).ok());
    match command {
        Some("web") => web::serve(settings()?).await,
        Some("worker") => worker::work(settings()?).await,
        Some("migrate") => migrate::run(&settings()?).await,
        _ => Err(AppError::Usage),
    }
}
