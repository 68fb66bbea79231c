//! Settings: references that are well-formed, and written-out texts that can be judged.

use crate::problem::{At, Report};
use crate::text::{Reference, Setting};

/// Judges a setting; `judge` sees it only if it is written out.
pub(super) fn check(
    setting: &Setting,
    judge: impl FnOnce(&str) -> Option<&'static str>,
    at: &At,
    report: &mut Report,
) {
    let Some(text) = setting.literal() else {
        if let Err(why) = setting.as_str().parse::<Reference>() {
            report.add_with_hint(at, format!("is no reference: it {why}"), "write env:NAME or file:/path");
        }
        return;
    };
    if text.trim().is_empty() {
        report.add(at, "is blank");
    } else if let Some(wrong) = judge(text) {
        report.add(at, wrong);
    }
}

/// Any text that is one word.
pub(super) fn word(text: &str) -> Option<&'static str> {
    text.chars().any(|c| c.is_whitespace() || c.is_control()).then_some("must not hold blanks")
}

/// The base URL of an object store.
pub(super) fn endpoint(text: &str) -> Option<&'static str> {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return Some("must start with https:// (or http://)");
    };
    if rest.contains('@') {
        return Some("must not hold a user name or password");
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let sound = !host.is_empty() && path.is_empty() && !rest.contains(['?', '#']) && word(rest).is_none();
    (!sound).then_some("must be a scheme, a host and perhaps a port, and nothing else")
}

/// `owner/name`.
pub(super) fn github_repository(text: &str) -> Option<&'static str> {
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let sound = text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name));
    (!sound).then_some("must be written owner/name")
}

/// A repository that git can fetch, in a form that can be no option and starts no other program.
pub(super) fn git_repository(text: &str) -> Option<&'static str> {
    let scp =
        |text: &str| text.split_once(':').is_some_and(|(host, path)| host.contains('@') && !path.is_empty());
    let known = ["https://", "http://", "ssh://", "file:///", "git://", "/"];
    if text.starts_with('-') || text.contains("::") || word(text).is_some() {
        return Some("is not the URL of a git repository");
    }
    if !known.iter().any(|start| text.starts_with(start)) {
        return (!scp(text)).then_some("is not the URL of a git repository");
    }
    let authority = text.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let secret = user.contains(':') || !user.is_empty() && text.starts_with("http");
    secret.then_some("must not hold a password or token; keep the URL elsewhere, as env:NAME")
}

/// A branch, a tag or a commit, by git's own rules for names of references.
pub(super) fn git_ref(text: &str) -> Option<&'static str> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
    let sound = !text.is_empty()
        && text.len() <= 255
        && !text.starts_with(['-', '/', '.'])
        && !text.ends_with(['/', '.'])
        && text.strip_suffix(".lock").is_none()
        && !["..", "//", "@{", "/."].iter().any(|part| text.contains(part))
        && text != "@"
        && !text.chars().any(odd);
    (!sound).then_some("is not the name of a branch, a tag or a commit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_can_be_no_option_and_hold_no_password() {
        for good in [
            "https://github.com/MTES-MCT/apilos.git",
            "ssh://git@host:2222/app.git",
            "git@ssh.osc-fr1.scalingo.com:app.git",
            "file:///srv/git/app.git",
            "/srv/git/app.git",
        ] {
            assert_eq!(git_repository(good), None, "{good}");
        }
        for bad in [
            "--upload-pack=touch x",
            "ext::sh -c id",
            "https://user:secret@host/app.git",
            "https://token@host/app.git",
            "apilos",
        ] {
            assert!(git_repository(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_ref_follows_gits_rules() {
        for (text, good) in [
            ("main", true),
            ("release/2026-11", true),
            ("v1.2", true),
            ("-f", false),
            ("a..b", false),
            ("a b", false),
            ("main@{1}", false),
            ("x.lock", false),
            ("", false),
        ] {
            assert_eq!(git_ref(text).is_none(), good, "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_a_base_url() {
        for (text, good) in [
            ("https://s3.fr-par.scw.cloud", true),
            ("http://127.0.0.1:9000/", true),
            ("s3.fr-par.scw.cloud", false),
            ("https://key:secret@host", false),
            ("https://host/bucket", false),
            ("https://", false),
        ] {
            assert_eq!(endpoint(text).is_none(), good, "{text}");
        }
    }
}
