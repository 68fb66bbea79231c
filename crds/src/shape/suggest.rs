//! "Did you mean …?"

/// Longer texts are not names that anybody mistyped, and comparing is quadratic.
const LONGEST: usize = 64;

/// The candidate that `name` was probably meant to be.
pub(crate) fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', '.'], "");
    let name = plain(name);
    candidates
        .map(|candidate| (strsim::jaro_winkler(&name, &plain(candidate)), candidate))
        .filter(|(likeness, _)| *likeness > 0.84)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_forgiven_but_not_everything() {
        let known = ["source", "target", "apps", "dataChecks", "healthPath"];
        for (typed, meant) in [
            ("tartget", Some("target")),
            ("data_checks", Some("dataChecks")),
            ("HEALTHPATH", Some("healthPath")),
            ("sources", Some("source")),
            ("zebra", None),
        ] {
            assert_eq!(closest(typed, known.into_iter()), meant, "{typed}");
        }
        assert_eq!(closest(&"target".repeat(1000), known.into_iter()), None);
    }
}
