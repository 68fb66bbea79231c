//! The parts of a database URL. No I/O.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

/// A PostgreSQL URL in its parts, decoded.
#[derive(Debug, Clone)]
pub(in crate::recovery) struct Dsn {
    pub(in crate::recovery) host: String,
    pub(in crate::recovery) port: u16,
    pub(in crate::recovery) user: String,
    pub(in crate::recovery) password: SecretString,
    pub(in crate::recovery) database: String,
    /// Everything behind the question mark.
    query: Option<String>,
}

impl Dsn {
    /// Reads `postgres://` or `postgresql://user:password@host:port/database?options`.
    pub(in crate::recovery) fn parse(url: &SecretString) -> Option<Self> {
        let url = url::Url::parse(url.expose_secret()).ok()?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return None;
        }
        let decoded =
            |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
        Some(Self {
            host: url.host_str()?.to_owned(),
            port: url.port().unwrap_or(5432),
            user: decoded(url.username()).filter(|user| !user.is_empty())?,
            password: decoded(url.password()?)?.into(),
            database: decoded(url.path().trim_start_matches('/')).filter(|name| !name.is_empty())?,
            query: url.query().map(str::to_owned),
        })
    }

    /// The same database, as somebody else.
    pub(in crate::recovery) fn as_user(&self, user: &str, password: &SecretString) -> Self {
        Self { user: user.to_owned(), password: password.clone(), ..self.clone() }
    }

    /// The URL again, encoded.
    pub(in crate::recovery) fn url(&self) -> SecretString {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        // Underscores are common in user and database names and need no escape.
        let name = |text: &str| encoded(text).replace("%5F", "_").replace("%2D", "-");
        let query = self.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
        format!(
            "postgresql://{}:{}@{}:{}/{}{query}",
            name(&self.user),
            encoded(self.password.expose_secret()),
            self.host,
            self.port,
            name(&self.database)
        )
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_put_together_again() {
        let url = "postgresql://apilos_4553:p%40ss%2Fw@apilos-4553.postgresql.a.osc-fr1.scalingo-dbs.com:31234/apilos_4553?sslmode=prefer";
        let dsn = Dsn::parse(&url.to_owned().into()).expect("a URL");
        assert_eq!(
            (dsn.host.as_str(), dsn.port),
            ("apilos-4553.postgresql.a.osc-fr1.scalingo-dbs.com", 31234)
        );
        assert_eq!(dsn.password.expose_secret(), "p@ss/w");
        assert_eq!(dsn.url().expose_secret(), url);
    }

    #[test]
    fn what_is_not_postgresql_is_refused() {
        for url in ["mysql://u:p@h/d", "postgres://h/d", "postgres://u:p@h", "not a url"] {
            assert!(Dsn::parse(&url.to_owned().into()).is_none(), "{url}");
        }
    }

    #[test]
    fn the_password_is_not_in_the_debug_text() {
        let dsn = Dsn::parse(&"postgres://u:hidden@h:1/d".to_owned().into()).expect("a URL");
        assert!(!format!("{dsn:?}").contains("hidden"));
    }
}
