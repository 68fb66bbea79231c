//! A call that succeeded, as the timelines look at it.

use serde_json::Value;

use super::Before;

/// A call that succeeded.
#[derive(Debug, Clone, Copy)]
pub(in crate::paas::events) struct Call<'a> {
    pub(in crate::paas::events) method: &'a str,
    /// `/v1/apps/{app}/scale`.
    pub(in crate::paas::events) template: &'a str,
    /// The path after `/v1/apps/` (or another list), in parts.
    pub(in crate::paas::events) path: &'a [String],
    /// The query, as it was sent.
    pub(in crate::paas::events) query: &'a str,
    pub(in crate::paas::events) asked: &'a Value,
    pub(in crate::paas::events) answered: &'a Value,
}

impl Call<'_> {
    /// A parameter of the query.
    pub(super) fn queried(&self, name: &str) -> Option<String> {
        let mut all = url::form_urlencoded::parse(self.query.as_bytes());
        all.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// Id and name of the project that the call itself is about.
    pub(in crate::paas::events) fn project(&self, before: &Before) -> Option<(String, String)> {
        if !matches!(self.template, "/v1/projects" | "/v1/projects/{id}") {
            return None;
        }
        let shown = &self.answered["project"];
        let id = shown["id"].as_str().or_else(|| self.path.first().map(String::as_str))?;
        Some((id.to_owned(), shown["name"].as_str().unwrap_or(&before.named).to_owned()))
    }
}
