//! What the database API shows.

use serde_json::{Value, json};

use super::{date, paris};
use crate::paas::Paas;
use crate::paas::catalogue;
use crate::paas::state::{Addon, App, Backup, Database, DatabaseUser, Feature};

/// The version that redis-server of the sandbox's system has, in the vendor's form.
const REDIS_VERSION: &str = "7.0.15-1";

/// A database.
pub(in crate::paas) fn database(paas: &Paas, app: &App, addon: &Addon) -> Value {
    let of = &addon.database;
    let (host, port) = addon.endpoint.clone().unwrap_or_default();
    let plan = catalogue::provider(&addon.provider).and_then(|provider| provider.plan(&addon.plan_id));
    json!({
        "id": of.id, "resource_id": addon.resource_id, "app_name": app.name, "created_at": date(of.created_at),
        "encryption_at_rest": true, "features": of.features.iter().map(switch).collect::<Value>(),
        "plan": plan.map_or("", |(_, plan)| plan.name),
        "status": status(addon),
        "type_id": type_id(&addon.provider), "type_name": addon.provider, "version_id": version_id(&addon.provider),
        "next_version_id": null, "readable_version": readable_version(paas, &addon.provider), "mongo_repl_set_name": "",
        "hostname": format!("{host}:{port}"), "instances": [node(of, &host, port, addon.is_running())],
        "current_operation_id": null, "cluster": false, "periodic_backups_enabled": of.periodic_backups,
        "periodic_backups_scheduled_at": of.backup_hours,
        "maintenance_window": {"weekday_utc": of.maintenance_weekday, "starting_hour_utc": of.maintenance_hour,
                               "duration_in_hour": 8},
    })
}

/// An addon that is provisioned again while it has its URL changes its plan.
fn status(addon: &Addon) -> &'static str {
    match (addon.status.as_str(), &addon.url) {
        ("running", _) => "running",
        ("suspended", _) => "stopped",
        (_, Some(_)) => "updating",
        (_, None) => "creating",
    }
}

/// The version that is installed, as `major.minor.patch-build`.
pub(in crate::paas) fn readable_version(paas: &Paas, provider: &str) -> String {
    if provider == "postgresql" {
        format!("{}.0-1", paas.plane.databases.version())
    } else {
        REDIS_VERSION.into()
    }
}

/// The id of that version.
pub(in crate::paas) fn version_id(provider: &str) -> &'static str {
    if provider == "postgresql" { "66c0000000000000000017b1" } else { "66c0000000000000000017b2" }
}

/// The id of a kind of database.
pub(in crate::paas) fn type_id(provider: &str) -> &'static str {
    if provider == "postgresql" { "5d0b95b801dcea2f34b18f1a" } else { "5d0b95b801dcea2f34b18f1b" }
}

fn node(of: &Database, host: &str, port: u16, running: bool) -> Value {
    json!({
        "id": of.instance, "hostname": format!("{}.{host}", of.instance), "port": port,
        "status": if running { "running" } else { "booting" }, "type": "db-node", "features": [], "private_ip": "10.0.0.7",
    })
}

fn switch(feature: &Feature) -> Value {
    json!({"name": feature.name, "status": feature.status})
}

/// The unwrapped answer of a feature call.
pub(in crate::paas) fn feature(feature: &Feature) -> Value {
    json!({"name": feature.name, "status": feature.status, "message": ""})
}

/// A database user; `password` only when it was just made.
pub(in crate::paas) fn database_user(user: &DatabaseUser, password: Option<&str>) -> Value {
    let mut shown = json!({
        "name": user.name, "read_only": user.read_only, "protected": user.protected,
        "dbms_attributes": {"password_encryption": "SCRAM-SHA-256"},
    });
    if let Some(password) = password {
        shown["password"] = json!(password);
    }
    shown
}

/// A backup.
pub(in crate::paas) fn backup(addon: &Addon, backup: &Backup) -> Value {
    json!({
        "id": backup.id, "database_id": addon.database.id, "name": backup.name, "size": backup.size.unwrap_or(0),
        "status": backup.status, "method": backup.method, "created_at": paris(backup.created_at),
        "started_at": backup.started_at.map(paris),
    })
}

/// A backup in the answer that creates it: no size yet.
pub(in crate::paas) fn backup_created(addon: &Addon, one: &Backup) -> Value {
    let mut shown = backup(addon, one);
    shown["size"] = Value::Null;
    shown
}
