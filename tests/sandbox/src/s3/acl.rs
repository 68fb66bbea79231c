//! Access control lists: canned ones, grants by header, grants by document.
//!
//! Only "may anybody read or list" is enforced; beyond that the keys' policies decide. Every bucket and object has one owner.

use s3s::dto::{Grant, Grantee, Owner, Permission, Type};
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};

use super::errors::invalid;

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

/// Who is meant by a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Who {
    /// The owner.
    Owner,
    /// A user by identifier.
    User(String),
    /// A predefined group by URI.
    Group(String),
}

/// The grants on a bucket or an object; empty means the owner alone, with full control.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Acl(Vec<(Who, String)>);

impl Acl {
    /// Whether nobody but the owner has anything.
    pub(crate) fn is_private(&self) -> bool {
        self.0.iter().all(|(who, _)| *who == Who::Owner)
    }

    /// Whether people without a key may do what `permission` allows (`READ`, `WRITE`).
    pub(crate) fn allows_anybody(&self, permission: &str) -> bool {
        let holds = |granted: &str| granted == permission || granted == "FULL_CONTROL";
        self.0.iter().any(|(who, granted)| *who == Who::Group(ALL_USERS.to_owned()) && holds(granted))
    }

    /// The list of that canned name.
    pub(crate) fn canned(name: &str) -> S3Result<Self> {
        let grants: &[(&str, &str)] = match name {
            "private" | "bucket-owner-read" | "bucket-owner-full-control" | "aws-exec-read" => &[],
            "public-read" => &[(ALL_USERS, "READ")],
            "public-read-write" => &[(ALL_USERS, "READ"), (ALL_USERS, "WRITE")],
            "authenticated-read" => &[(AUTHENTICATED, "READ")],
            _ => return Err(invalid("unknown canned ACL")),
        };
        if grants.is_empty() {
            return Ok(Self::default());
        }
        let owner = std::iter::once((Who::Owner, "FULL_CONTROL".to_owned()));
        let groups =
            grants.iter().map(|(uri, permission)| (Who::Group((*uri).to_owned()), (*permission).to_owned()));
        Ok(Self(owner.chain(groups).collect()))
    }

    /// The list given by `x-amz-acl`, by `x-amz-grant-*` headers (permission, value), or the private one.
    pub(crate) fn from_headers(
        canned: Option<&str>,
        grants: &[(&str, Option<&str>)],
        owner: &str,
    ) -> S3Result<Self> {
        if let Some(name) = canned {
            return Self::canned(name);
        }
        let mut list = Vec::new();
        for (permission, value) in
            grants.iter().filter_map(|(permission, value)| Some((permission, (*value)?)))
        {
            for grantee in value.split(',') {
                list.push((parse_grantee(grantee, owner)?, (*permission).to_owned()));
            }
        }
        Ok(Self(list))
    }

    /// The list of an `AccessControlPolicy` document.
    pub(crate) fn from_document(grants: Option<Vec<Grant>>, owner: &str) -> S3Result<Self> {
        let malformed = || {
            S3Error::with_message(
                S3ErrorCode::MalformedACLError,
                "The ACL that you provided was not well formed",
            )
        };
        let entry = |grant: Grant| {
            let grantee = grant.grantee.ok_or_else(malformed)?;
            let permission = grant.permission.ok_or_else(malformed)?.as_str().to_owned();
            let who = match (grantee.uri, grantee.id) {
                (Some(uri), _) => Who::Group(uri),
                (None, Some(id)) if id == owner => Who::Owner,
                (None, Some(id)) => Who::User(id),
                (None, None) => return Err(malformed()),
            };
            Ok((who, permission))
        };
        grants.unwrap_or_default().into_iter().map(entry).collect::<S3Result<_>>().map(Self)
    }

    /// The list as the protocol shows it.
    pub(crate) fn grants(&self, owner: &str) -> Vec<Grant> {
        if self.0.is_empty() {
            return vec![grant(&Who::Owner, "FULL_CONTROL", owner)];
        }
        self.0.iter().map(|(who, permission)| grant(who, permission, owner)).collect()
    }
}

/// The one owner of everything in an endpoint.
pub(crate) fn owner(id: &str) -> Owner {
    Owner { display_name: Some(id.to_owned()), id: Some(id.to_owned()) }
}

fn grant(who: &Who, permission: &str, owner: &str) -> Grant {
    let user = |id: &str| Grantee {
        display_name: Some(id.to_owned()),
        email_address: None,
        id: Some(id.to_owned()),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let grantee = match who {
        Who::Owner => user(owner),
        Who::User(id) => user(id),
        Who::Group(uri) => Grantee {
            display_name: None,
            email_address: None,
            id: None,
            type_: Type::from_static(Type::GROUP),
            uri: Some(uri.clone()),
        },
    };
    Grant { grantee: Some(grantee), permission: Some(Permission::from(permission.to_owned())) }
}

fn parse_grantee(text: &str, owner: &str) -> S3Result<Who> {
    let (kind, value) =
        text.trim().split_once('=').ok_or_else(|| invalid("Argument format not recognized"))?;
    let value = value.trim_matches('"');
    match kind {
        "uri" => Ok(Who::Group(value.to_owned())),
        "id" if value == owner => Ok(Who::Owner),
        "id" | "emailAddress" => Ok(Who::User(value.to_owned())),
        _ => Err(invalid("Argument format not recognized")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_the_owner_alone() {
        let acl = Acl::canned("private").unwrap();
        assert!(acl.is_private() && !acl.allows_anybody("READ"));
        assert_eq!(acl.grants("me").len(), 1);
    }

    #[test]
    fn public_read_lets_anybody_read_and_not_write() {
        let acl = Acl::canned("public-read").unwrap();
        assert!(acl.allows_anybody("READ") && !acl.allows_anybody("WRITE"));
    }

    #[test]
    fn a_grant_header_names_several() {
        let value = format!("uri=\"{ALL_USERS}\", id=\"me\"");
        let acl = Acl::from_headers(None, &[("READ", Some(&value))], "me").unwrap();
        assert!(acl.allows_anybody("READ"));
        assert_eq!(acl.grants("me").len(), 2);
    }
}
