//! Names that others would refuse, refused before they are asked.
//!
//! Each function tells what is wrong with a name, as the end of a sentence, or `None`. Sources: the platform's pages on
//! apps, projects, variables and database users; the object store's page on buckets; RFC 1123 for host names.

/// What every drill adds to a name: `-drill-` and six hexadecimal digits.
pub(crate) const DRILL_SUFFIX: usize = "-drill-".len() + 6;

const APP: usize = 48;
const PROJECT: usize = 64;
const BUCKET: usize = 63;

fn only(name: &str, also: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c))
}

/// A name of the form that Kubernetes gives to objects; it is a label of metrics too.
pub(crate) fn object(name: &str) -> Option<&'static str> {
    let sound = (1..=63).contains(&name.len()) && only(name, "-") && !hyphen_outside(name);
    (!sound).then_some("must be 1 to 63 lower-case letters, digits and hyphens, none of these first or last")
}

fn hyphen_outside(name: &str) -> bool {
    name.starts_with('-') || name.ends_with('-')
}

/// An app of the platform.
pub(crate) fn app(name: &str) -> Option<&'static str> {
    let sound =
        (6..=APP).contains(&name.len()) && only(name, "-") && !hyphen_outside(name) && !name.contains("--");
    (!sound).then_some(
        "must be 6 to 48 lower-case letters, digits and single hyphens, none of these first or last",
    )
}

/// What the names of an app's drills begin with.
pub(crate) fn drill_prefix(name: &str) -> Option<&'static str> {
    let sound = (1..=APP - DRILL_SUFFIX).contains(&name.len())
        && only(name, "-")
        && !hyphen_outside(name)
        && !name.contains("--");
    (!sound).then_some(
        "must be 1 to 35 lower-case letters, digits and single hyphens, none of these first or last",
    )
}

/// A project of the platform, with room for the suffix of a drill.
pub(crate) fn project(name: &str) -> Option<&'static str> {
    let sound = (1..=PROJECT - DRILL_SUFFIX).contains(&name.len()) && only(name, "-_");
    (!sound).then_some("must be 1 to 51 lower-case letters, digits, hyphens and underscores")
}

/// A bucket, with room for the suffix of a drill. A dot would break the store's wildcard certificate.
pub(crate) fn bucket(name: &str) -> Option<&'static str> {
    let sound = (3..=BUCKET - DRILL_SUFFIX).contains(&name.len()) && only(name, "-") && !hyphen_outside(name);
    (!sound).then_some("must be 3 to 50 lower-case letters, digits and hyphens, none of these first or last")
}

/// A database user: what satisfies both of the vendor's contradicting pages.
pub(crate) fn database_user(name: &str) -> Option<&'static str> {
    let sound = (6..=32).contains(&name.len())
        && only(name, "")
        && name.starts_with(|c: char| c.is_ascii_lowercase());
    (!sound).then_some("must be 6 to 32 lower-case letters and digits, a letter first")
}

/// A region or a stack.
pub(crate) fn code(name: &str) -> Option<&'static str> {
    let sound = (1..=32).contains(&name.len()) && only(name, "-") && !hyphen_outside(name);
    (!sound).then_some("must be lower-case letters, digits and hyphens, none of these first or last")
}

/// A process type of a `Procfile`.
pub(crate) fn process(name: &str) -> Option<&'static str> {
    let sound = (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    (!sound).then_some("is not a process type: letters, digits, hyphens and underscores, a letter first")
}

/// A host name of at least two labels, in lower case and without the last dot.
pub(crate) fn host(name: &str) -> Option<&'static str> {
    if name.starts_with("*.") {
        return Some("is a wildcard, which needs another kind of proof than a CNAME");
    }
    if name.ends_with('.') {
        return Some("must not end in a dot");
    }
    if !name.is_ascii() {
        return Some("must be written in its ASCII form (xn--…)");
    }
    let label = |label: &str| (1..=63).contains(&label.len()) && only(label, "-") && !hyphen_outside(label);
    let sound = name.len() <= 253 && name.contains('.') && name.split('.').all(label);
    (!sound).then_some("is not a host name in lower case")
}

/// An address that can be invited. Loose on purpose: the platform has the last word.
pub(crate) fn email(address: &str) -> Option<&'static str> {
    let sound = address.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && host.contains('.')
            && !host.contains('@')
            && !host.starts_with('.')
            && !host.ends_with('.')
    });
    let plain = address.len() <= 254 && address.chars().all(|c| !c.is_whitespace() && !c.is_control());
    (!(sound && plain)).then_some("is not an e-mail address")
}

/// A user of the platform. Loose on purpose: it is only compared with what the platform tells.
pub(crate) fn user(name: &str) -> Option<&'static str> {
    let sound = (1..=64).contains(&name.len()) && name.chars().all(|c| !c.is_whitespace() && !c.is_control());
    (!sound).then_some("is neither an e-mail address nor a user name")
}

/// A path of a URL.
pub(crate) fn url_path(path: &str) -> Option<&'static str> {
    let sound = path.starts_with('/')
        && path.len() <= 1024
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    (!sound).then_some("must be a path that starts with / and holds no blanks")
}

/// Whether a plan of an addon is one that costs nothing, which the platform no longer provisions: the request would
/// silently yield another plan.
pub(crate) fn is_free_plan(plan: &str) -> bool {
    plan.split('-').any(|word| matches!(word, "sandbox" | "free" | "trial" | "hobby"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_name_obeys_the_platform() {
        for name in ["apilos", "apilos-siap-pra", &"a".repeat(48)] {
            assert_eq!(app(name), None, "{name}");
        }
        for name in ["", "apilo", "Apilos", "-apilos", "apilos-", "api--los", "api_los", &"a".repeat(49)] {
            assert!(app(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_longest_drill_name_still_fits() {
        let longest = "a".repeat(35);
        assert_eq!(drill_prefix(&longest), None);
        assert!(drill_prefix(&format!("{longest}a")).is_some());
        assert_eq!(app(&format!("{longest}-drill-0a1b2c")), None);
    }

    #[test]
    fn a_user_satisfies_both_pages_of_the_vendor() {
        for (name, good) in [("readonly", true), ("reader", true), ("read_only", false), ("read-only", false)]
        {
            assert_eq!(database_user(name).is_none(), good, "{name}");
        }
        for name in ["short", "1reader", &"a".repeat(33), "Reader"] {
            assert!(database_user(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_host_is_a_plain_one() {
        for (name, good) in [
            ("siap.apilos.test", true),
            ("localhost", false),
            ("*.apilos.test", false),
            ("siap.apilos.test.", false),
            ("a..test", false),
            ("été.test", false),
            ("a_b.test", false),
            ("A.test", false),
        ] {
            assert_eq!(host(name).is_none(), good, "{name}");
        }
    }

    #[test]
    fn free_plans_are_known_by_their_words() {
        for (plan, free) in [
            ("postgresql-sandbox", true),
            ("redis-free", true),
            ("free", true),
            ("postgresql-starter-512", false),
            ("redis-freedom-1", false),
        ] {
            assert_eq!(is_free_plan(plan), free, "{plan}");
        }
    }
}
