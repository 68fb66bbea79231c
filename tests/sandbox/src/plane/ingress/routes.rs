//! What a request deserves, by its host and scheme. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::outage::Pages;

/// How the request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is to be done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// No app has this host.
    Unknown,
    /// 301.
    Redirect(String),
    Forward {
        app: String,
        /// The answer tells the client to use HTTPS only.
        hsts: bool,
    },
}

/// What is decided on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) scheme: Scheme,
    /// The `Host` header, perhaps with a port.
    pub(super) host: &'a str,
    pub(super) path_and_query: &'a str,
}

/// Our own two ports, for redirections.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnPorts {
    pub(super) http: u16,
    pub(super) https: u16,
}

/// An app's switches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Settings {
    pub(super) https_only: bool,
    pub(super) sticky: bool,
    pub(super) logged: bool,
}

/// Hosts and the settings of their apps.
#[derive(Debug, Default)]
pub(super) struct Table {
    apps: HashMap<String, String>,
    settings: HashMap<String, Settings>,
    canonical: HashMap<String, String>,
    pages: HashMap<String, Arc<Pages>>,
}

impl Table {
    pub(super) fn attach(&mut self, host: &str, app: &str) {
        self.apps.insert(host.to_ascii_lowercase(), app.to_owned());
    }

    pub(super) fn detach(&mut self, host: &str) {
        self.apps.remove(&host.to_ascii_lowercase());
    }

    /// The switches of an app, to be set.
    pub(super) fn settings_of(&mut self, app: &str) -> &mut Settings {
        self.settings.entry(app.to_owned()).or_default()
    }

    pub(super) fn settings(&self, app: &str) -> Settings {
        self.settings.get(app).copied().unwrap_or_default()
    }

    /// What is shown while an app does not answer.
    pub(super) fn pages(&self, app: &str) -> Arc<Pages> {
        self.pages.get(app).cloned().unwrap_or_default()
    }

    pub(super) fn set_pages(&mut self, app: &str, pages: Pages) {
        if pages.is_empty() {
            self.pages.remove(app);
        } else {
            self.pages.insert(app.to_owned(), Arc::new(pages));
        }
    }

    pub(super) fn set_canonical(&mut self, app: &str, host: Option<&str>) {
        match host {
            Some(host) => self.canonical.insert(app.to_owned(), host.to_ascii_lowercase()),
            None => self.canonical.remove(app),
        };
    }

    pub(super) fn rename(&mut self, old: &str, new: &str) {
        for app in self.apps.values_mut().filter(|app| *app == old) {
            new.clone_into(app);
        }
        if let Some(settings) = self.settings.remove(old) {
            self.settings.insert(new.to_owned(), settings);
        }
        if let Some(host) = self.canonical.remove(old) {
            self.canonical.insert(new.to_owned(), host);
        }
        if let Some(pages) = self.pages.remove(old) {
            self.pages.insert(new.to_owned(), pages);
        }
    }

    /// The app of a host: by its own name, else by a wildcard one label above.
    fn app_of(&self, name: &str) -> Option<&String> {
        let wildcard = || self.apps.get(&format!("*.{}", name.split_once('.')?.1));
        self.apps.get(name).or_else(wildcard)
    }

    pub(super) fn decide(&self, asked: Asked<'_>, ports: OwnPorts) -> Decision {
        let (name, has_port) = split_port(asked.host);
        let name = name.to_ascii_lowercase();
        let Some(app) = self.app_of(&name) else { return Decision::Unknown };
        let hsts = self.settings(app).https_only;
        let scheme = if hsts { Scheme::Https } else { asked.scheme };
        let host = self.canonical.get(app).unwrap_or(&name);
        if scheme == asked.scheme && *host == name {
            return Decision::Forward { app: app.clone(), hsts: hsts && scheme == Scheme::Https };
        }
        let port = match scheme {
            Scheme::Http => ports.http,
            Scheme::Https => ports.https,
        };
        // Behind port 443 of a real ingress no port is named; a client that had to name one must be told the other.
        let port = if has_port { format!(":{port}") } else { String::new() };
        Decision::Redirect(format!("{}://{host}{port}{}", scheme.name(), asked.path_and_query))
    }
}

/// The name in a `Host` header, and whether a port followed.
fn split_port(host: &str) -> (&str, bool) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (name, true),
        _ => (host, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: OwnPorts = OwnPorts { http: 8080, https: 8443 };

    fn table() -> Table {
        let mut table = Table::default();
        table.attach("One.example.test", "one");
        table.attach("other.example.test", "one");
        table
    }

    fn ask(table: &Table, scheme: Scheme, host: &str) -> Decision {
        table.decide(Asked { scheme, host, path_and_query: "/p?q=1" }, PORTS)
    }

    #[test]
    fn a_host_is_found_whatever_its_case_and_port() {
        let to_one = Decision::Forward { app: "one".into(), hsts: false };
        assert_eq!(ask(&table(), Scheme::Http, "ONE.example.test:8080"), to_one);
        assert_eq!(ask(&table(), Scheme::Https, "one.example.test"), to_one);
        assert_eq!(ask(&table(), Scheme::Http, "two.example.test"), Decision::Unknown);
    }

    #[test]
    fn forced_https_redirects_and_keeps_a_port_only_if_there_was_one() {
        let mut table = table();
        table.settings_of("one").https_only = true;
        let to = |url: &str| Decision::Redirect(url.into());
        assert_eq!(ask(&table, Scheme::Http, "one.example.test"), to("https://one.example.test/p?q=1"));
        assert_eq!(
            ask(&table, Scheme::Http, "one.example.test:8080"),
            to("https://one.example.test:8443/p?q=1")
        );
        assert_eq!(
            ask(&table, Scheme::Https, "one.example.test"),
            Decision::Forward { app: "one".into(), hsts: true }
        );
    }

    #[test]
    fn a_wildcard_is_one_label_and_comes_after_a_name() {
        let mut table = table();
        table.attach("*.example.test", "all");
        let app = |host: &str| match ask(&table, Scheme::Http, host) {
            Decision::Forward { app, .. } => app,
            other => format!("{other:?}"),
        };
        assert_eq!((app("one.example.test").as_str(), app("any.example.test").as_str()), ("one", "all"));
        assert_eq!((app("a.b.example.test").as_str(), app("example.test").as_str()), ("Unknown", "Unknown"));
    }

    #[test]
    fn a_renamed_app_keeps_its_hosts_and_settings() {
        let mut table = table();
        table.settings_of("one").https_only = true;
        table.set_canonical("one", Some("one.example.test"));
        table.rename("one", "uno");
        let forwarded = Decision::Forward { app: "uno".into(), hsts: true };
        assert_eq!(ask(&table, Scheme::Https, "one.example.test"), forwarded);
        assert!(matches!(ask(&table, Scheme::Https, "other.example.test"), Decision::Redirect(_)));
    }

    #[test]
    fn other_hosts_redirect_to_the_canonical_one() {
        let mut table = table();
        table.set_canonical("one", Some("one.example.test"));
        assert_eq!(
            ask(&table, Scheme::Https, "other.example.test"),
            Decision::Redirect("https://one.example.test/p?q=1".into())
        );
        table.set_canonical("one", None);
        assert!(matches!(ask(&table, Scheme::Https, "other.example.test"), Decision::Forward { .. }));
    }
}
