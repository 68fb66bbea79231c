//! Which runs a listing shows, and on which page. Pure.

use std::collections::HashMap;

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::state::Run;

/// Results of one search, at most.
pub const SEARCH_CAP: usize = 1_000;

/// The parameters that make a listing a search.
const SEARCHING: [&str; 7] = ["actor", "branch", "check_suite_id", "created", "event", "head_sha", "status"];

/// Whether these parameters go to the search index.
pub(crate) fn is_search(query: &HashMap<String, String>) -> bool {
    SEARCHING.iter().any(|name| query.get(*name).is_some_and(|value| !value.is_empty()))
}

/// Whether `run` passes all parameters.
pub(crate) fn passes(run: &Run, query: &HashMap<String, String>) -> bool {
    let wanted = |name: &str| query.get(name).map(String::as_str).filter(|value| !value.is_empty());
    wanted("branch").is_none_or(|branch| run.head_branch == branch)
        && wanted("event").is_none_or(|event| run.event == event)
        && wanted("head_sha").is_none_or(|sha| run.head_sha == sha)
        && wanted("actor").is_none_or(|actor| run.actor.eq_ignore_ascii_case(actor))
        && wanted("check_suite_id").is_none_or(|id| run.check_suite().to_string() == id)
        && wanted("status")
            .is_none_or(|status| run.status == status || run.conclusion.as_deref() == Some(status))
        && wanted("created").is_none_or(|range| in_range(run.created_at, range))
}

/// The search syntax of dates: `A..B` (either may be `*`), `>=A`, `>A`, `<=B`, `<B`, or one date. A day is the whole day.
fn in_range(at: DateTime<Utc>, range: &str) -> bool {
    if let Some((from, to)) = range.split_once("..") {
        let after = from == "*" || span(from).is_some_and(|(start, _)| at >= start);
        let before = to == "*" || span(to).is_some_and(|(_, end)| at < end);
        return after && before;
    }
    let compared = |prefix: &str| range.strip_prefix(prefix).map(span);
    if let Some(span) = compared(">=") {
        return span.is_some_and(|(start, _)| at >= start);
    }
    if let Some(span) = compared("<=") {
        return span.is_some_and(|(_, end)| at < end);
    }
    if let Some(span) = compared(">") {
        return span.is_some_and(|(_, end)| at >= end);
    }
    if let Some(span) = compared("<") {
        return span.is_some_and(|(start, _)| at < start);
    }
    span(range).is_some_and(|(start, end)| at >= start && at < end)
}

/// The first moment of a date or second, and the first after it.
fn span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        let start = day.and_hms_opt(0, 0, 0)?.and_utc();
        return Some((start, start.checked_add_days(Days::new(1))?));
    }
    let second = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    Some((second, second + chrono::Duration::seconds(1)))
}

/// One page of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    number: usize,
    size: usize,
}

impl Page {
    /// From `page` and `per_page`; nonsense falls back to the defaults, as the vendor does.
    pub fn from_query(query: &HashMap<String, String>) -> Self {
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
        Self {
            number: number("page").filter(|page| *page > 0).unwrap_or(1),
            size: number("per_page").filter(|size| *size > 0).unwrap_or(30).min(100),
        }
    }

    /// The items of this page.
    pub fn of<T>(self, items: Vec<T>) -> Vec<T> {
        items.into_iter().skip((self.number - 1).saturating_mul(self.size)).take(self.size).collect()
    }

    /// The `Link` header over `total` items; `None` when one page holds all.
    pub fn link(self, base: &str, query: &HashMap<String, String>, total: usize) -> Option<String> {
        let last = total.div_ceil(self.size).max(1);
        let mut pages = Vec::new();
        if self.number > 1 {
            pages.extend([("prev", (self.number - 1).min(last))]);
        }
        if self.number < last {
            pages.extend([("next", self.number + 1), ("last", last)]);
        }
        if self.number > 1 {
            pages.push(("first", 1));
        }
        let link =
            |(rel, page): &(&str, usize)| format!("<{base}?{}>; rel=\"{rel}\"", with_page(query, *page));
        (!pages.is_empty()).then(|| pages.iter().map(link).collect::<Vec<_>>().join(", "))
    }
}

fn with_page(query: &HashMap<String, String>, page: usize) -> String {
    let mut pairs: Vec<(&str, String)> = query
        .iter()
        .filter(|(name, _)| *name != "page")
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    pairs.sort();
    pairs.push(("page", page.to_string()));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_ranges() {
        let at = "2026-03-10T12:00:00Z".parse().unwrap();
        for (range, inside) in [
            ("2026-03-01..2026-03-10", true),
            ("2026-03-01..2026-03-09", false),
            ("*..2026-03-10T12:00:00Z", true),
            (">=2026-03-10", true),
            (">2026-03-10", false),
            ("<2026-03-10T12:00:01Z", true),
            ("<=2026-03-10", true),
            ("2026-03-10", true),
            ("nonsense", false),
        ] {
            assert_eq!(in_range(at, range), inside, "{range}");
        }
    }

    #[test]
    fn links_lead_through_all_pages() {
        let query =
            |page: &str| HashMap::from([("per_page".into(), "2".into()), ("page".into(), page.to_owned())]);
        let link = |page: &str| Page::from_query(&query(page)).link("http://x/runs", &query(page), 5);
        assert_eq!(
            link("1").unwrap(),
            "<http://x/runs?per_page=2&page=2>; rel=\"next\", <http://x/runs?per_page=2&page=3>; rel=\"last\""
        );
        assert!(!link("3").unwrap().contains("next"));
        assert_eq!(Page::from_query(&query("2")).of(vec![1, 2, 3, 4, 5]), [3, 4]);
        assert_eq!(Page::from_query(&HashMap::new()).link("x", &HashMap::new(), 30), None);
    }

    #[test]
    fn nonsense_pages_are_the_first() {
        let page = |size: &str| {
            Page::from_query(&HashMap::from([
                ("per_page".into(), size.to_owned()),
                ("page".into(), "0".into()),
            ]))
        };
        assert_eq!((page("500"), page("x")), (Page { number: 1, size: 100 }, Page { number: 1, size: 30 }));
    }
}
