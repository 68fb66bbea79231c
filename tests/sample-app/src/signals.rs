//! The platform says SIGTERM when it wants us gone; a person says Ctrl-C.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::AppError;

/// Resolves at the first of the two signals.
pub(crate) async fn asked_to_stop() -> Result<(), AppError> {
    let mut term = signal(SignalKind::terminate()).map_err(AppError::system("listening for SIGTERM"))?;
    tokio::select! {
        _ = term.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed.map_err(AppError::system("listening for Ctrl-C")),
    }
}
