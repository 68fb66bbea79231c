//! Sessions that say nothing.

use super::*;

/// A client that trusts whom it meets.
struct Caller;

impl russh::client::Handler for Caller {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

#[tokio::test]
async fn a_session_that_says_nothing_is_closed_and_its_connection_is_not() {
    let town = town().await;
    let key = russh::keys::load_secret_key(town.dir.path().join("key"), None).unwrap();
    let mut caller = russh::client::connect(Arc::default(), town.ssh.addr(), Caller).await.unwrap();
    let key = russh::keys::PrivateKeyWithHashAlg::new(Arc::new(key), None);
    assert!(caller.authenticate_publickey("git", key).await.unwrap().success());
    let mut silent = caller.channel_open_session().await.unwrap();
    let closed = async {
        while let Some(message) = silent.wait().await {
            if matches!(message, russh::ChannelMsg::Close) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), closed).await.expect("it stays open");
    let mut asking = caller.channel_open_session().await.unwrap();
    asking.exec(true, "id").await.unwrap();
    let mut said = Vec::new();
    while let Some(message) = asking.wait().await {
        said.push(message);
    }
    assert!(said.iter().any(|one| matches!(one, russh::ChannelMsg::ExitStatus { .. })), "{said:?}");
}
