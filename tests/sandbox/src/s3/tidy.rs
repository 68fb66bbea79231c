//! Headers that the library refuses where the protocol does not.

use hyper::Request;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, RANGE};
use s3s::dto::Range;

/// Leaves out a `Range` that has no meaning here (several ranges, an end before the beginning): the whole object is the answer.
/// Makes one entity tag of a list of them, see [`any_of`].
pub(crate) fn tidy<T>(request: &mut Request<T>) {
    let headers = request.headers_mut();
    let makes_sense = |value: &HeaderValue| value.to_str().is_ok_and(|text| Range::parse(text).is_ok());
    if headers.get(RANGE).is_some_and(|value| !makes_sense(value)) {
        headers.remove(RANGE);
    }
    gather(headers, IF_MATCH);
    gather(headers, IF_NONE_MATCH);
}

fn gather(headers: &mut HeaderMap, name: HeaderName) {
    let Some(list) = headers.get(&name).and_then(|value| value.to_str().ok()) else { return };
    if !list.contains(',') {
        return;
    }
    let tags = list.split(',').map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'));
    if let Ok(value) = HeaderValue::from_str(&format!("\"{}\"", tags.collect::<Vec<_>>().join(","))) {
        headers.insert(name, value);
    }
}

/// Whether one of the entity tags that were gathered is meant. No tag of an object here has a comma.
pub(crate) fn any_of(gathered: &str, tag: &str) -> bool {
    gathered.split(',').any(|one| one == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(name: HeaderName, value: &str) -> Option<String> {
        let mut request = Request::get("/b/k").header(&name, value).body(()).unwrap();
        tidy(&mut request);
        request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_range_without_meaning_is_left_out() {
        for range in ["bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=x"] {
            assert_eq!(tidied(RANGE, range), None, "{range}");
        }
        assert_eq!(tidied(RANGE, "bytes=-3").as_deref(), Some("bytes=-3"));
    }

    #[test]
    fn a_list_of_tags_becomes_one() {
        let gathered = tidied(IF_NONE_MATCH, "\"a\", W/\"b-2\"").unwrap();
        assert_eq!(gathered, "\"a,b-2\"");
        assert!(any_of("a,b-2", "b-2") && any_of("a", "a") && !any_of("a,b-2", "b"));
        assert_eq!(tidied(IF_MATCH, "*").as_deref(), Some("*"));
    }
}
