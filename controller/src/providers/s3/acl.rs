//! Who else than its owner may do what with an object.

use quick_xml::escape::escape;
use serde::{Deserialize, Serialize};

use super::{
    S3, S3Error,
    direct::{Ask, serde},
    marks::NAMESPACE,
};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// Where a document's root has begun: a declaration may come before it.
const ROOT_WITHIN: usize = 200;
/// The lists that have names which every store knows, and what they grant to others than the owner.
const CANNED: &[(&str, &[(&str, &str)])] = &[
    ("private", &[]),
    ("public-read", &[(ALL_USERS, "READ")]),
    ("public-read-write", &[(ALL_USERS, "READ"), (ALL_USERS, "WRITE")]),
    ("authenticated-read", &[(AUTHENTICATED, "READ")]),
];

/// An access control list, without what the owner has: another owner may come after a loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Acl {
    /// `private`, `public-read`…
    Canned(String),
    /// Any other; sorted.
    Grants(Vec<Grant>),
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// `READ`, `READ_ACP`, `WRITE_ACP`, `FULL_CONTROL`.
    pub permission: String,
    /// To whom.
    #[serde(flatten)]
    pub to: Grantee,
}

/// Who is granted something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grantee {
    /// A group, by its URI.
    Group(String),
    /// A customer, by the store's id.
    User(String),
}

/// An access control list as a store sends it.
#[derive(Debug, Deserialize)]
struct Seen {
    #[serde(rename = "Owner")]
    owner: Option<Person>,
    #[serde(rename = "AccessControlList", default)]
    list: Grants,
}

#[derive(Debug, Default, Deserialize)]
struct Grants {
    #[serde(rename = "Grant", default)]
    grants: Vec<SeenGrant>,
}

#[derive(Debug, Deserialize)]
struct SeenGrant {
    #[serde(rename = "Grantee")]
    grantee: Option<Person>,
    #[serde(rename = "Permission")]
    permission: Option<String>,
}

/// Somebody, by id; or a group, by its URI.
#[derive(Debug, Deserialize)]
struct Person {
    #[serde(rename = "ID")]
    id: Option<String>,
    #[serde(rename = "URI")]
    uri: Option<String>,
}

impl Acl {
    /// Nobody but the owner.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Canned(name) if name == "private")
    }

    /// What is granted to others than the owner, by its name where it has one.
    fn of(mut grants: Vec<Grant>) -> Self {
        grants.sort();
        grants.dedup();
        let is = |canned: &[(&str, &str)]| {
            let seen = grants.iter().map(|grant| (&grant.to, grant.permission.as_str()));
            let wanted =
                canned.iter().map(|(uri, permission)| (Grantee::Group((*uri).to_owned()), *permission));
            let wanted: Vec<_> = wanted.collect();
            seen.eq(wanted.iter().map(|(to, permission)| (to, *permission)))
        };
        match CANNED.iter().find(|(_, canned)| is(canned)) {
            Some((name, _)) => Self::Canned((*name).to_owned()),
            None => Self::Grants(grants),
        }
    }
}

impl S3 {
    /// Who else than its owner may do what with an object.
    ///
    /// Source: S3 API "`GetObjectAcl`". Safe to repeat.
    pub async fn acl(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Acl, S3Error> {
        let Seen { owner, list } = self.read_acl(bucket, key, version).await?;
        let owner = owner.and_then(|owner| owner.id);
        let others = list.grants.into_iter().filter_map(|grant| {
            let grantee = grant.grantee?;
            let to = match (grantee.uri, grantee.id) {
                (Some(uri), _) => Grantee::Group(uri),
                (None, Some(id)) if Some(&id) != owner.as_ref() => Grantee::User(id),
                _ => return None,
            };
            Some(Grant { permission: grant.permission?, to })
        });
        Ok(Acl::of(others.collect()))
    }

    async fn read_acl(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Seen, S3Error> {
        let call = "objects.acl";
        let get = Ask::get(call, bucket, key).query("acl", Some("")).query("versionId", version);
        // A store that knows nothing of lists may send the object itself.
        let seen =
            self.document(get, |text| Ok(if is_policy(text) { Some(serde(text)?) } else { None })).await;
        seen?.ok_or(S3Error::Incomplete { call, what: "an access control list" })
    }

    /// Replaces what others than the owner may do with an object.
    ///
    /// Source: S3 API "`PutObjectAcl`". Safe to repeat.
    pub async fn set_acl(&self, bucket: &str, key: &str, acl: &Acl) -> Result<(), S3Error> {
        let put = match acl {
            Acl::Canned(name) => Ask::put_document("objects.grant", bucket, key, "acl", String::new())
                .header("x-amz-acl", Some(name)),
            Acl::Grants(grants) => {
                // The document replaces all grants, and must name the owner, whom only the store knows.
                let seen = self.read_acl(bucket, key, None).await?;
                Ask::put_document("objects.grant", bucket, key, "acl", policy(seen, grants)?)
            }
        };
        self.told(put).await.map(drop)
    }
}

/// Whether a document is an access control list at all.
fn is_policy(text: &str) -> bool {
    text.get(..text.floor_char_boundary(ROOT_WITHIN))
        .is_some_and(|start| start.contains("<AccessControlPolicy"))
}

/// The document that grants all of these, and everything to the owner. Pure.
fn policy(seen: Seen, grants: &[Grant]) -> Result<String, S3Error> {
    let owner = seen.owner.and_then(|owner| owner.id);
    let id = owner.ok_or(S3Error::Incomplete { call: "objects.acl", what: "the owner's id" })?;
    let own = Grant { permission: "FULL_CONTROL".to_owned(), to: Grantee::User(id.clone()) };
    let grants: String = std::iter::once(&own).chain(grants).map(written).collect();
    let (owner, list) = (escape(&id), format!("<AccessControlList>{grants}</AccessControlList>"));
    let owner = format!("<Owner><ID>{owner}</ID></Owner>");
    Ok(format!("<AccessControlPolicy xmlns=\"{NAMESPACE}\">{owner}{list}</AccessControlPolicy>"))
}

/// One grant, as a store reads it.
fn written(grant: &Grant) -> String {
    let (kind, to) = match &grant.to {
        Grantee::Group(uri) => ("Group", format!("<URI>{}</URI>", escape(uri.as_str()))),
        Grantee::User(id) => ("CanonicalUser", format!("<ID>{}</ID>", escape(id.as_str()))),
    };
    let to = format!("<Grantee xmlns:xsi=\"{INSTANCE}\" xsi:type=\"{kind}\">{to}</Grantee>");
    format!("<Grant>{to}<Permission>{}</Permission></Grant>", escape(grant.permission.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(permission: &str, to: Grantee) -> Grant {
        Grant { permission: permission.into(), to }
    }

    #[test]
    fn lists_that_have_a_name_are_called_by_it() {
        let all = || Grantee::Group(ALL_USERS.into());
        assert!(Acl::of(vec![]).is_private());
        assert_eq!(Acl::of(vec![grant("READ", all())]), Acl::Canned("public-read".into()));
        let both = Acl::of(vec![grant("WRITE", all()), grant("READ", all()), grant("READ", all())]);
        assert_eq!(both, Acl::Canned("public-read-write".into()));
    }

    #[test]
    fn other_lists_are_written_out_and_read_back() {
        let user = Grantee::User("somebody".into());
        let acl = Acl::of(vec![grant("READ", Grantee::Group(ALL_USERS.into())), grant("READ", user)]);
        let text = serde_json::to_string(&acl).unwrap();
        assert!(text.contains(r#"{"permission":"READ","user":"somebody"}"#), "{text}");
        assert_eq!(serde_json::from_str::<Acl>(&text).unwrap(), acl);
        assert_eq!(serde_json::from_str::<Acl>("\"private\"").unwrap(), Acl::of(vec![]));
    }
}
