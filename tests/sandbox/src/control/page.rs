//! The page for people: one file, nothing from elsewhere, fed by the same API that programs use.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

/// Only its own style, script and data; nobody may frame it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// `GET /`.
pub(super) async fn show() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(include_str!("page.html"))).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The texts that stand behind `before` in the page, up to where a path ends.
    fn paths(before: &str) -> impl Iterator<Item = String> {
        let page = include_str!("page.html");
        let ends = |letter: char| !(letter.is_ascii_alphanumeric() || "/_${}.".contains(letter));
        page.split(before).skip(1).map(move |rest| {
            let rest = rest.trim_start_matches(['"', '`']);
            rest.split(ends).next().unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn every_call_that_the_page_makes_is_offered() {
        let routes = include_str!("../control.rs");
        let mut called = BTreeSet::new();
        for (verb, before) in [("get", "get("), ("post", "send(\"POST\", "), ("delete", "send(\"DELETE\", ")]
        {
            let found = paths(before).filter(|path| path.starts_with('/'));
            let named = |path: String| match path.split_once("${") {
                Some((front, _)) => format!("{front}{{id}}"),
                None => path,
            };
            called.extend(found.map(|path| (verb, named(path))));
        }
        assert!(called.len() > 8, "the page is read wrongly: {called:?}");
        for (verb, path) in called {
            let route = routes.lines().find(|line| line.contains(&format!(".route(\"{path}\",")));
            let route = route.unwrap_or_else(|| panic!("{path} is not offered"));
            assert!(route.contains(&format!("{verb}(")), "{verb} {path} is not offered: {route}");
        }
    }
}
