//! Domains and records as the API shows them. Plain data.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A domain of the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Domain {
    /// The id that records name.
    pub id: u64,
    /// The zone's apex.
    pub name: String,
}

/// A DNS record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: u64,
    /// Its domain's id.
    pub domain: u64,
    /// Upper-case type.
    pub kind: String,
    /// Relative to the zone; empty at the apex.
    pub name: String,
    /// Host names without a final dot, TXT unquoted.
    pub value: String,
    /// For MX and SRV.
    pub priority: Option<u16>,
    /// Seconds.
    pub ttl: u32,
    /// Free text of the owner.
    pub annotation: String,
    /// `false`: made by the platform, overridden but never deleted.
    pub is_user_defined: bool,
}

impl Domain {
    /// As the API shows it. The private key of DKIM is among the fields: an unwary client logs it.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "href": format!("/v1/domain/{}/", self.id),
            "name": self.name,
            "is_internal": true,
            "auto_renew": true,
            "date_expiration": "2027-09-30",
            "default_ip_address": null,
            "default_ssl_certificate": null,
            "alias_mail_of": null,
            "dkim_selector": "default",
            "dkim_public_key": "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ",
            "dkim_private_key": "-----BEGIN RSA PRIVATE KEY-----\nnot-a-real-key\n-----END RSA PRIVATE KEY-----",
            "annotation": "",
        })
    }
}

impl Record {
    /// As the API shows it: the domain is an object here and a number in requests.
    pub fn to_json(&self, is_active: bool) -> Value {
        json!({
            "id": self.id,
            "href": format!("/v1/record/{}/", self.id),
            "domain": {"href": format!("/v1/domain/{}/", self.domain)},
            "type": self.kind,
            "name": self.name,
            "value": self.value,
            "priority": self.priority,
            "ttl": self.ttl,
            "annotation": self.annotation,
            "is_user_defined": self.is_user_defined,
            "is_active": is_active,
        })
    }

    /// Whether a user's record puts this one, made by the platform, out of force. The platform's addresses of a name yield to
    /// any address or alias there, its other records to one of the same type; an alias stands alone.
    pub fn yields_to(&self, other: &Self) -> bool {
        const ADDRESSES: [&str; 4] = ["A", "AAAA", "ALIAS", "CNAME"];
        let is_address = |kind: &str| ADDRESSES.contains(&kind);
        !self.is_user_defined
            && other.is_user_defined
            && (self.domain, &self.name) == (other.domain, &other.name)
            && (self.kind == other.kind
                || other.kind == "CNAME"
                || (is_address(&self.kind) && is_address(&other.kind)))
    }
}
