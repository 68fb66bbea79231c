//! SSH public keys; one key belongs to one account of the whole platform.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::paas::Paas;
use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::session::Session;
use crate::paas::state::SshKey;
use crate::paas::view::date;

/// `GET /v1/keys`.
pub(super) async fn list(Shared(paas): Shared<Arc<Paas>>, session: Session) -> Reply {
    let state = paas.state();
    Reply::ok(
        json!({"keys": state.keys.iter().filter(|key| key.user == session.user).map(view).collect::<Value>()}),
    )
}

/// `GET /v1/keys/:id`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let state = paas.state();
    let key = state.keys.iter().find(|key| key.id == id && key.user == session.user);
    Ok(Reply::ok(json!({"key": key.map(view).ok_or(Refusal::NotFound("key"))?})))
}

/// `POST /v1/keys`. The vendor's JavaScript client sends the key's fields unwrapped.
pub(super) async fn create(Shared(paas): Shared<Arc<Paas>>, session: Session, input: Input) -> Answer {
    let nothing = serde_json::Map::new();
    let key = input.maybe_wrapped("key").as_object().unwrap_or(&nothing);
    let key = paas.add_key(&session.user, text(key, "name"), text(key, "content"))?;
    Ok(Reply::created(json!({"key": view(&key)})).about(key.fingerprint))
}

/// `DELETE /v1/keys/:id`.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let mut state = paas.state();
    let place = state.keys.iter().position(|key| key.id == id && key.user == session.user);
    let key = state.keys.remove(place.ok_or(Refusal::NotFound("key"))?);
    Ok(Reply::no_content().about(key.fingerprint))
}

fn view(key: &SshKey) -> Value {
    json!({
        "id": key.id, "name": key.name, "content": key.content, "fingerprint": key.fingerprint,
        "created_at": date(key.created_at),
    })
}

impl Paas {
    /// Registers a public key of `user`.
    pub(in crate::paas) fn add_key(&self, user: &str, name: &str, content: &str) -> Result<SshKey, Refusal> {
        let fingerprint = checked(name, content)?;
        let mut state = self.state();
        if state.keys.iter().any(|key| key.is(content)) {
            return Err(Refusal::invalid("content", "has already been taken"));
        }
        let key = SshKey {
            id: self.world.ids.uuid().to_string(),
            user: user.into(),
            name: name.into(),
            content: content.into(),
            fingerprint,
            created_at: self.world.clock.wall(),
        };
        state.keys.push(key.clone());
        Ok(key)
    }
}

/// The fingerprint of a key that can be registered.
fn checked(name: &str, content: &str) -> Result<String, Refusal> {
    let mut wrong = Vec::new();
    let mut add = |field: &str, message: &str| wrong.push((field.to_owned(), message.to_owned()));
    if name.trim().is_empty() {
        add("name", "can't be blank");
    }
    if content.trim().is_empty() {
        add("content", "can't be blank");
    }
    if content.trim().len() < 10 {
        add("content", "is too short (minimum is 10 characters)");
    }
    let print = fingerprint(content);
    if print.is_none() && content.trim().len() >= 10 {
        add("content", "is invalid");
    }
    print.filter(|_| wrong.is_empty()).ok_or(Refusal::Invalid(wrong))
}

/// The classic colon-separated MD5 form of an OpenSSH public key line.
fn fingerprint(line: &str) -> Option<String> {
    use md5::Digest;
    let mut words = line.split_whitespace();
    let kind = words.next().filter(|kind| kind.starts_with("ssh-") || kind.starts_with("ecdsa-"))?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    // The blob starts with its own type: a cheap proof that it is a key.
    let announced = blob.get(4..4 + kind.len())?;
    let bytes = md5::Md5::digest(&blob);
    (announced == kind.as_bytes())
        .then(|| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_openssh_lines_have_a_fingerprint() {
        let blob = [&[0, 0, 0, 11][..], b"ssh-ed25519", &[0, 0, 0, 32], &[7; 32]].concat();
        let line = format!("ssh-ed25519 {} comment", STANDARD.encode(blob));
        assert_eq!(fingerprint(&line).map(|print| print.len()), Some(47));
        assert_eq!(fingerprint("ssh-ed25519 AAAA"), None);
        assert_eq!(fingerprint("-----BEGIN OPENSSH PRIVATE KEY-----"), None);
    }
}
