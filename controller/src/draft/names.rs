//! Names for what is to be made, and the zone that the public names lie in. Pure.

use std::collections::BTreeSet;

/// What the names of recovered things end in.
const SUFFIX: &str = "-pra";
/// The platform's limit of an app's name.
const APP: usize = 48;
/// So much of it leaves a drill room for its own suffix.
const DRILLABLE: usize = 35;

/// Lower-case letters, digits and single hyphens, none of these first or last; at most `most` of them.
fn slug(text: &str, most: usize) -> String {
    let mut slug = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        let c = if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
        if slug.len() < most && !(c == '-' && (slug.is_empty() || slug.ends_with('-'))) {
            slug.push(c);
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// A name for the plan: what the names of its apps begin with.
pub(super) fn plan<'a>(apps: impl Iterator<Item = &'a str>) -> String {
    let common = apps.map(|name| name.split('-').collect::<Vec<_>>()).reduce(|common, name| {
        let same = common.iter().zip(&name).take_while(|(one, other)| one == other).count();
        common.into_iter().take(same).collect()
    });
    let name = slug(&common.unwrap_or_default().join("-"), 63);
    if name.is_empty() { "estate".to_owned() } else { name }
}

/// A project for the recovered estate.
pub(super) fn project(plan: &str) -> String {
    slug(plan, 47) + SUFFIX
}

/// A bucket for the documents.
pub(super) fn bucket(plan: &str) -> String {
    slug(plan, 46) + SUFFIX
}

/// A database user that only reads.
pub(super) fn read_only_user(plan: &str) -> String {
    let letters: String = plan.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    let letters = letters.to_ascii_lowercase();
    let lead = if letters.starts_with(|c: char| c.is_ascii_digit()) { "r" } else { "" };
    format!("{lead}{letters}readonly")
}

/// A name for the app that stands in for `old`, the `index`th of its plan, and what its drills begin with, where the name is too long
/// for that.
pub(super) fn app(old: &str, index: usize, taken: &mut BTreeSet<String>) -> (String, Option<String>) {
    let candidates = (1_u32..).map(|number| {
        let suffix = if number == 1 { SUFFIX.to_owned() } else { format!("{SUFFIX}{number}") };
        slug(old, APP - suffix.len()) + &suffix
    });
    let name = candidates.into_iter().find(|name| taken.insert(name.clone())).unwrap_or_default();
    let prefix = (name.len() > DRILLABLE).then(|| format!("{}-{index}", slug(&name, DRILLABLE - 4)));
    (name, prefix)
}

/// Host names of a plan.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Hosts {
    /// The zone that all of them lie below.
    pub(super) zone: Option<String>,
    /// Of each app, those that a plan can have.
    pub(super) kept: Vec<Vec<String>>,
    /// The others, each with the reason.
    pub(super) left: Vec<Vec<(String, &'static str)>>,
}

/// Sorts the host names of the apps. Where a zone is cut is the DNS's secret: the guess is what they have in common.
pub(super) fn hosts<'a>(apps: impl IntoIterator<Item = &'a [String]>) -> Hosts {
    let mut found = Hosts::default();
    let mut zone: Option<Vec<String>> = None;
    for domains in apps {
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        for domain in domains.iter().map(|domain| domain.to_ascii_lowercase()) {
            let labels: Vec<String> = domain.split('.').map(str::to_owned).collect();
            let parent = labels.get(1..).unwrap_or_default();
            let common = zone.as_ref().map_or_else(|| parent.to_vec(), |zone| common_end(zone, parent));
            if domain.starts_with("*.") {
                left.push((domain, "a wildcard, which is not switched over by a CNAME"));
            } else if labels.len() == 2 {
                left.push((domain, "the top of a zone, where no CNAME may stand"));
            } else if common.len() < 2 {
                left.push((domain, "it lies in another zone, and a plan has one"));
            } else {
                zone = Some(common);
                kept.push(domain);
            }
        }
        found.kept.push(kept);
        found.left.push(left);
    }
    found.zone = zone.map(|labels| labels.join("."));
    found
}

fn common_end(one: &[String], other: &[String]) -> Vec<String> {
    let same = one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count();
    one.iter().skip(one.len() - same).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(apps: &[&[&str]]) -> Hosts {
        let apps: Vec<Vec<String>> =
            apps.iter().map(|names| names.iter().map(|&name| name.to_owned()).collect()).collect();
        hosts(apps.iter().map(Vec::as_slice))
    }

    #[test]
    fn a_plan_is_called_what_its_apps_have_in_common() {
        assert_eq!(plan(["apilos-siap", "apilos-standalone"].into_iter()), "apilos");
        assert_eq!(plan(["apilos-siap"].into_iter()), "apilos-siap");
        assert_eq!(plan(["front", "back"].into_iter()), "estate");
    }

    #[test]
    fn names_of_new_things_fit_their_vendors() {
        let mut taken = BTreeSet::from(["myapp-pra".to_owned()]);
        assert_eq!(app("myapp", 0, &mut taken), ("myapp-pra2".to_owned(), None));
        let long = "a".repeat(48);
        let (first, prefix) = app(&long, 1, &mut taken);
        let (second, other) = app(&long, 2, &mut taken);
        assert!(first.len() == 48 && second.len() == 48 && first != second, "{first} {second}");
        assert!(prefix.as_ref().is_some_and(|prefix| prefix.len() <= 35) && prefix != other, "{prefix:?}");
        assert_eq!(read_only_user("2-of-us"), "r2ofusreadonly");
        assert!(bucket(&long).len() <= 50 && project(&"a".repeat(63)).len() <= 51);
    }

    #[test]
    fn the_zone_is_what_the_names_have_in_common() {
        let found = seen(&[&["siap.apilos.test"], &["www.standalone.apilos.test"]]);
        assert_eq!(found.zone.as_deref(), Some("apilos.test"));
        assert_eq!(
            found.kept,
            [vec!["siap.apilos.test".to_owned()], vec!["www.standalone.apilos.test".to_owned()]]
        );
        assert_eq!(seen(&[&["app.service.gouv.example"]]).zone.as_deref(), Some("service.gouv.example"));
        assert_eq!(seen(&[&[], &[]]).zone, None);
    }

    #[test]
    fn what_cannot_be_switched_over_is_left_out_and_told() {
        let found = seen(&[&["example.org", "WWW.example.org", "*.example.org", "www.example.com"]]);
        assert_eq!(found.kept, [vec!["www.example.org".to_owned()]]);
        assert_eq!(found.zone.as_deref(), Some("example.org"));
        let left: Vec<&str> = found.left[0].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, ["example.org", "*.example.org", "www.example.com"]);
    }
}
