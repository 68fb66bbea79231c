//! The address of a server that the plan names (`proof.server`). Pure. It holds a password: nothing of it but host and port is told.

use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::Url;

use crate::backup::restore::{Host, Target, Tls};

/// Where one asks for databases, if the address names none.
const LOBBY: &str = "postgres";
const PORT: u16 = 5432;

/// What is wrong with an address. Never holds a part of it: it may be the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// No URL.
    #[error("it is no URL such as postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full")]
    NoUrl,
    /// Another scheme.
    #[error("it begins neither with postgres:// nor with postgresql://")]
    Scheme,
    /// No host, or several.
    #[error("it does not name one host")]
    Host,
    /// No user.
    #[error("it names no user")]
    User,
    /// No name can be so.
    #[error("a part of it is no text, or holds a zero byte")]
    NoText,
    /// A mode that may send rows in clear, or an unknown one.
    #[error(
        "its sslmode is none of verify-full, verify-ca, require and disable: with others, people's data may travel in clear"
    )]
    SslMode,
    /// What is not understood is not passed over.
    #[error("it has a parameter other than sslmode")]
    Parameter,
}

/// Where the server is, and as whom and where it is asked for databases.
#[derive(Debug, Clone)]
pub(super) struct Address {
    lobby: Target,
}

impl Address {
    /// Reads `text`; `authorities` are those (PEM) that may vouch for the server.
    ///
    /// Without an `sslmode`, a host must show a certificate for its name. A socket is a folder as host, `%2Frun%2Fpostgresql`.
    pub(super) fn read(
        text: &SecretString,
        authorities: impl FnOnce() -> String,
    ) -> Result<Self, AddressError> {
        let url = Url::parse(text.expose_secret().trim()).map_err(|_| AddressError::NoUrl)?;
        if !["postgres", "postgresql"].contains(&url.scheme()) {
            return Err(AddressError::Scheme);
        }
        let name = decoded(url.host_str().unwrap_or_default())?;
        if name.is_empty() || name.contains(',') {
            return Err(AddressError::Host);
        }
        let user = decoded(url.username())?;
        if user.is_empty() {
            return Err(AddressError::User);
        }
        let mut mode = None;
        for (parameter, value) in url.query_pairs() {
            if parameter != "sslmode" {
                return Err(AddressError::Parameter);
            }
            mode = Some(value.into_owned());
        }
        let tls = match mode.as_deref() {
            Some("disable") => Tls::Off,
            Some("require") => Tls::Unverified,
            Some("verify-ca") => Tls::Authority(Arc::from(authorities())),
            None if name.starts_with('/') => Tls::Off,
            Some("verify-full") | None => Tls::Full(Arc::from(authorities())),
            Some(_) => return Err(AddressError::SslMode),
        };
        let host = if name.starts_with('/') {
            Host::Socket(PathBuf::from(name))
        } else {
            // An address of version 6 stands in brackets.
            let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
            Host::Name { name: name.to_owned(), tls }
        };
        let database = decoded(url.path().trim_start_matches('/'))?;
        Ok(Self {
            lobby: Target {
                host,
                port: url.port().unwrap_or(PORT),
                database: if database.is_empty() { LOBBY.to_owned() } else { database },
                user,
                password: SecretString::from(decoded(url.password().unwrap_or_default())?),
            },
        })
    }

    /// Where databases are asked for.
    pub(super) fn lobby(&self) -> &Target {
        &self.lobby
    }

    /// The database of this name.
    pub(super) fn database(&self, name: &str) -> Target {
        Target { database: name.to_owned(), ..self.lobby.clone() }
    }

    /// Host and port, as they are told and recorded.
    pub(super) fn place(&self) -> String {
        let port = self.lobby.port;
        match &self.lobby.host {
            Host::Socket(folder) => format!("{}:{port}", folder.display()),
            Host::Name { name, .. } => format!("{name}:{port}"),
        }
    }
}

fn decoded(part: &str) -> Result<String, AddressError> {
    let text = percent_decode_str(part).decode_utf8().map_err(|_| AddressError::NoText)?;
    if text.contains('\0') { Err(AddressError::NoText) } else { Ok(text.into_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Address, AddressError> {
        Address::read(&SecretString::from(text), || "PEM".to_owned())
    }

    #[test]
    fn an_address_is_read_as_libpq_reads_it() {
        let address = read("postgres://pro%40ver:p%3Aw%2F@db.example.org:6432/own?sslmode=require").unwrap();
        let lobby = address.lobby();
        assert_eq!((lobby.user.as_str(), lobby.password.expose_secret()), ("pro@ver", "p:w/"));
        assert_eq!((lobby.database.as_str(), address.place().as_str()), ("own", "db.example.org:6432"));
        assert_eq!(address.database("a").database, "a");
        let socket = read("postgresql://prover@%2Frun%2Fpostgresql").unwrap();
        assert!(matches!(&socket.lobby().host, Host::Socket(folder) if folder.ends_with("run/postgresql")));
        assert_eq!((socket.lobby().database.as_str(), socket.lobby().port), (LOBBY, PORT));
        assert_eq!(read("postgres://prover@[::1]:5/").unwrap().place(), "::1:5");
    }

    #[test]
    fn a_line_is_private_unless_the_address_says_otherwise() {
        let tls = |text: &str| match read(text).unwrap().lobby().host.clone() {
            Host::Name { tls, .. } => format!("{tls:?}"),
            Host::Socket(_) => "a socket".to_owned(),
        };
        for (asked, mode) in [
            ("", "verify-full"),
            ("?sslmode=verify-ca", "verify-ca"),
            ("?sslmode=require", "require"),
            ("?sslmode=disable", "disable"),
        ] {
            assert_eq!(tls(&format!("postgres://a@b/c{asked}")), mode);
        }
        assert_eq!(tls("postgres://a@%2Fb/c"), "a socket");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_address() {
        for (text, wrong) in [
            ("hunter2", AddressError::NoUrl),
            ("https://a:hunter2@b/", AddressError::Scheme),
            ("postgres://:hunter2@b/", AddressError::User),
            ("postgres://a:hunter2@b,c/", AddressError::Host),
            ("postgres://a:hunter2@b/?sslmode=prefer", AddressError::SslMode),
            ("postgres://a@b/?password=hunter2", AddressError::Parameter),
            ("postgres://a%00:hunter2@b/", AddressError::NoText),
        ] {
            assert_eq!(read(text).err(), Some(wrong), "{text}");
            assert!(!wrong.to_string().contains("hunter2"));
        }
        let told = format!("{:?}", read("postgres://a:hunter2@b/").unwrap());
        assert!(!told.contains("hunter2"), "{told}");
    }
}
