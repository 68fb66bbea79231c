//! The account's SSH key: registered at the platform, its private half in a file for clients.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::{EstateError, failed};
use crate::sandbox::Parts;

/// Makes and registers the key of `user`; the private file.
pub(super) fn make(parts: &Parts, user: &str) -> Result<PathBuf, EstateError> {
    let mut seed = [0; 32];
    hex::decode_to_slice(parts.world.ids.hex(64), &mut seed).map_err(failed("draw an ssh key"))?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let public = key.public_key().to_openssh().map_err(failed("write an ssh key"))?;
    let private = key.to_openssh(LineEnding::LF).map_err(failed("write an ssh key"))?;
    let file = |source| EstateError::File { what: "the ssh key", source };
    let path = parts.world.folder("keys").map_err(file)?.join("id_ed25519");
    let mut target = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .map_err(file)?;
    target.write_all(private.as_bytes()).map_err(file)?;
    parts.paas.seed_key(user, "astreinte", &public)?;
    Ok(path)
}
