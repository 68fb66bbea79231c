//! The steps: idempotent units of work under a milestone, for the estate, for one app or for one domain.
//!
//! No I/O here. The keys are stored and shown; they are added to and never renamed.

use std::fmt;

use reprise_crds::Milestone;

/// One unit of work. What it does is in `steps/`, one file each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Of a drill: what there is at the vendors before anything is made.
    Inventory,
    /// Find, download and read the newest database backup that is whole.
    ChooseBackup,
    /// Find (and download or thaw) the newest copy of the bucket that is whole.
    ChooseObjects,
    /// An app that is there already and that the request names, looked at.
    Target(String),
    /// A project of its own for the recovered estate.
    Project,
    /// A key that the platform's SSH server accepts from us.
    SshKey,
    /// One application, marked as ours.
    App(String),
    /// Its collaborators, invited and not limited.
    Collaborators(String),
    /// The PostgreSQL addon, on the first app.
    Postgres,
    /// A Redis addon for one app.
    Redis(String),
    /// The read-only database user; its credentials go straight into the variables of every app.
    ReadOnlyUser,
    /// `pg_restore` through the tunnel; every archive entry accounted for.
    Restore,
    /// Is the data there? Counts, sequences, indexes, grants, the plan's own checks.
    CheckDatabase,
    /// The new bucket, private and versioned.
    Bucket,
    /// Every object back in it, compared.
    Refill,
    /// All variables of one app in one call.
    Variables(String),
    /// The database's variables of one app that was there already, led to the restored one.
    Switch(String),
    /// The exact commit pushed, and its deployment followed.
    Deploy(String),
    /// The containers of one app.
    Formation(String),
    /// The app answers on its default host, before any DNS change.
    Health(String),
    /// One domain, attached to its app.
    Domain(Site),
    /// Its CNAME at the DNS provider.
    Cname(Site),
    /// The CNAME as every authoritative server tells it.
    Authoritative(Site),
    /// The CNAME as a resolver tells it.
    Resolver(Site),
    /// A certificate for the name.
    Certificate(Site),
    /// Plain HTTP redirects.
    ForceHttps(String),
    /// The app answers under its real name.
    Probe(Site),
    /// What must not stay: downloaded dumps, the ephemeral key.
    Cleanup,
    /// One look at the hand-over, and at most one act for it. Not part of any recovery: it goes on once that has succeeded.
    HandOver,
    /// Everything that the ledger proves to be ours, undone. Not part of any recovery: people ask for it.
    TearDown,
}

/// One domain of one app.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// The app's name.
    pub app: String,
    /// The public host name.
    pub domain: String,
}

impl Step {
    /// The kind, a closed set: metric label and first part of the key.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::ChooseBackup => "choose-backup",
            Self::ChooseObjects => "choose-objects",
            Self::Target(_) => "target",
            Self::Project => "project",
            Self::SshKey => "ssh-key",
            Self::App(_) => "app",
            Self::Collaborators(_) => "collaborators",
            Self::Postgres => "postgresql",
            Self::Redis(_) => "redis",
            Self::ReadOnlyUser => "read-only-user",
            Self::Restore => "restore",
            Self::CheckDatabase => "check-database",
            Self::Bucket => "bucket",
            Self::Refill => "refill",
            Self::Variables(_) => "variables",
            Self::Switch(_) => "switch",
            Self::Deploy(_) => "deploy",
            Self::Formation(_) => "formation",
            Self::Health(_) => "health",
            Self::Domain(_) => "domain",
            Self::Cname(_) => "cname",
            Self::Authoritative(_) => "authoritative",
            Self::Resolver(_) => "resolver",
            Self::Certificate(_) => "certificate",
            Self::ForceHttps(_) => "force-https",
            Self::Probe(_) => "probe",
            Self::Cleanup => "cleanup",
            Self::HandOver => "hand-over",
            Self::TearDown => "tear-down",
        }
    }

    /// The milestone of which this step is a part.
    pub fn milestone(&self) -> Milestone {
        match self {
            Self::Inventory | Self::ChooseBackup | Self::ChooseObjects => Milestone::BackupSelected,
            Self::Target(_) | Self::Project | Self::SshKey | Self::App(_) | Self::Collaborators(_) => {
                Milestone::AppCreated
            }
            Self::Postgres | Self::Redis(_) | Self::ReadOnlyUser => Milestone::Addons,
            Self::Restore | Self::CheckDatabase | Self::Bucket | Self::Refill => Milestone::Restored,
            Self::Variables(_) | Self::Switch(_) | Self::Deploy(_) | Self::Formation(_) | Self::Health(_) => {
                Milestone::Deployed
            }
            Self::Domain(_)
            | Self::Cname(_)
            | Self::Authoritative(_)
            | Self::Resolver(_)
            | Self::Certificate(_)
            | Self::ForceHttps(_)
            | Self::Probe(_)
            | Self::Cleanup
            | Self::HandOver
            | Self::TearDown => Milestone::DnsOk,
        }
    }

    /// Whether it only looks: nothing outside is different after it.
    pub const fn makes_nothing(&self) -> bool {
        matches!(self, Self::Inventory | Self::ChooseBackup | Self::ChooseObjects | Self::Target(_))
    }

    /// The app that it is about, if it is about one.
    pub fn app(&self) -> Option<&str> {
        match self {
            Self::Target(app)
            | Self::App(app)
            | Self::Collaborators(app)
            | Self::Redis(app)
            | Self::Variables(app)
            | Self::Switch(app)
            | Self::Deploy(app)
            | Self::Formation(app)
            | Self::Health(app)
            | Self::ForceHttps(app) => Some(app),
            _ => self.site().map(|site| site.app.as_str()),
        }
    }

    /// The domain that it is about, if it is about one.
    pub fn site(&self) -> Option<&Site> {
        match self {
            Self::Domain(site)
            | Self::Cname(site)
            | Self::Authoritative(site)
            | Self::Resolver(site)
            | Self::Certificate(site)
            | Self::Probe(site) => Some(site),
            _ => None,
        }
    }

    /// Every kind there is, for metrics that must exist from the start.
    pub const KINDS: [&'static str; 30] = [
        "inventory",
        "choose-backup",
        "choose-objects",
        "target",
        "project",
        "ssh-key",
        "app",
        "collaborators",
        "postgresql",
        "redis",
        "read-only-user",
        "restore",
        "check-database",
        "bucket",
        "refill",
        "variables",
        "switch",
        "deploy",
        "formation",
        "health",
        "domain",
        "cname",
        "authoritative",
        "resolver",
        "certificate",
        "force-https",
        "probe",
        "cleanup",
        "hand-over",
        "tear-down",
    ];
}

impl fmt::Display for Step {
    /// The key: `restore`, `deploy/apilos-siap-pra`, `cname/siap.apilos.test`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.site(), self.app()) {
            (Some(site), _) => write!(f, "{}/{}", self.kind(), site.domain),
            (None, Some(app)) => write!(f, "{}/{app}", self.kind()),
            (None, None) => f.write_str(self.kind()),
        }
    }
}
