//! Evidence as a page: Markdown, and HTML made of the same Markdown.
//!
//! Names and messages come from people and providers: every one is escaped, so that none becomes markup.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use pulldown_cmark::{Options, Parser};
use serde_json::Value;

use super::{Choice, DoneWith, Evidence, Later, Left, Moment, Objective};

/// The page as Markdown, with tables as GitHub has them.
pub fn markdown(evidence: &Evidence) -> String {
    let sections = [
        head(evidence),
        objectives(evidence),
        split(evidence),
        choices(&evidence.choices),
        checks(evidence),
        left(&evidence.left),
        timeline(evidence),
        versions(&evidence.tools),
    ];
    let later = evidence.hand_over.as_ref().map(hand_over);
    sections.into_iter().chain(later).collect::<Vec<_>>().join("\n")
}

/// The page as one HTML file that needs nothing else.
pub fn html(evidence: &Evidence) -> String {
    document(&evidence.request, &markdown(evidence))
}

/// A page of Markdown about `name` as an HTML file.
pub(super) fn document(name: &str, page: &str) -> String {
    let mut body = String::new();
    pulldown_cmark::html::push_html(&mut body, Parser::new_ext(page, Options::ENABLE_TABLES));
    let mut title = String::new();
    // The title is text, not markup, and there is no other text outside the page.
    for letter in name.chars().filter(|letter| !matches!(letter, '<' | '>' | '&')) {
        title.push(letter);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Evidence of {title}</title>\n\
         <style>body{{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}\
         table{{border-collapse:collapse}}td,th{{border:1px solid #999;padding:.2em .6em;text-align:left}}</style>\n\
         </head><body>\n{body}</body></html>\n"
    )
}

fn head(evidence: &Evidence) -> String {
    let Evidence { request, plan, phase, state, message, filed_at, finished_at, .. } = evidence;
    let scope =
        evidence.scope.as_deref().map(|scope| format!(", scope {}", plain(scope))).unwrap_or_default();
    let ended = finished_at.map_or_else(|| "has not ended".to_owned(), |at| format!("ended {}", date(at)));
    format!(
        "# Evidence of {}\n\n**{}**, state {}, plan {}{scope}.\n\nFiled {}, {ended}.\n\n{}\n",
        plain(request),
        plain(phase),
        plain(state),
        plain(plan),
        date(*filed_at),
        plain(message)
    )
}

fn objectives(Evidence { objectives, objectives_known: known, .. }: &Evidence) -> String {
    let rows = objectives.iter().map(|one: &Objective| {
        let met = match one.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None if *known => "nothing was asked for",
            None => "what was asked for is not known: an earlier release did not keep the plan",
        };
        vec![one.what.clone(), time(one.wanted_seconds), time(one.achieved_seconds), met.to_owned()]
    });
    section("Objectives", &["Objective", "Wanted", "Achieved", "Met"], rows)
}

fn split(evidence: &Evidence) -> String {
    let rto = evidence.rto;
    let parts = [
        ("provider wait", rto.provider_wait_seconds),
        ("data movement", rto.data_movement_seconds),
        ("DNS wait", rto.dns_wait_seconds),
        ("own overhead", rto.own_overhead_seconds),
        ("total", rto.total_seconds),
    ];
    let rows = parts.map(|(what, spent)| vec![what.to_owned(), time(Some(spent))]);
    section("Where the time went", &["Part", "Time"], rows.into_iter())
}

fn choices(choices: &[Choice]) -> String {
    let taken = choices.iter().map(|choice| {
        let of = choice.taken_at.map(|at| format!(", of {}", date(at))).unwrap_or_default();
        vec![choice.of.clone(), "taken".to_owned(), plain(&choice.taken) + &of]
    });
    let refused = choices.iter().flat_map(|choice| {
        choice.refused.iter().map(|one| {
            let of = one.taken_at.map(|at| format!(" of {}", date(at))).unwrap_or_default();
            let why = format!("{}{of}: {} ({})", plain(&one.backup), plain(&one.message), plain(&one.reason));
            vec![choice.of.clone(), "refused".to_owned(), why]
        })
    });
    section("What it was brought back from", &["Part", "Choice", "What and why"], taken.chain(refused))
}

fn checks(evidence: &Evidence) -> String {
    let held = evidence.checks.iter().map(|check| vec![plain(&check.step), plain(&check.seen)]);
    let held = section("What was checked", &["Step", "Seen"], held);
    if evidence.not_shown.is_empty() {
        return held;
    }
    let not_shown: Vec<String> = evidence.not_shown.iter().map(|step| format!("- {}", plain(step))).collect();
    format!("{held}\nNot shown:\n\n{}\n", not_shown.join("\n"))
}

fn left(left: &[Left]) -> String {
    let rows = left.iter().flat_map(|one| {
        let from = one.from.as_deref().map(|from| format!(" (as {from} shows)")).unwrap_or_default();
        let unknown = one.unknown.iter().map(|why| format!("not known: {why}"));
        let nothing = (one.what.is_empty() && one.unknown.is_none()).then(|| format!("nothing{from}"));
        let what = one.what.iter().map(move |what| format!("{what}{from}"));
        what.chain(unknown).chain(nothing).map(|what| vec![plain(&one.app), plain(&what)]).collect::<Vec<_>>()
    });
    section("What the old apps had and was not brought back", &["App", "What"], rows)
}

fn timeline(evidence: &Evidence) -> String {
    moments("Timeline", &evidence.timeline)
}

fn moments(title: &str, moments: &[Moment]) -> String {
    let rows = moments.iter().map(|moment| {
        let step = moment.step.as_deref().map(|step| format!("{}: ", plain(step))).unwrap_or_default();
        vec![date(moment.at), time(Some(moment.after_seconds)), step + &plain(&moment.message)]
    });
    section(title, &["At", "After", "What"], rows)
}

/// A page of its own day: the recovery was over by then.
fn hand_over(later: &Later) -> String {
    let Later { handed_over, reason, message, timeline } = later;
    let stands = format!("**HandedOver={}** ({}): {}\n", plain(handed_over), plain(reason), plain(message));
    format!("{}\n{stands}", moments("Hand-over, after the end", timeline))
}

/// What each step was done with.
fn versions(steps: &[DoneWith]) -> String {
    let rows = steps.iter().flat_map(|DoneWith { step, versions }| {
        versions.iter().map(|(tool, version)| vec![plain(step), plain(tool), plain(version)])
    });
    section("Versions", &["Step", "What", "Version"], rows)
}

pub(super) fn tools(tools: &Value) -> String {
    let known = tools.as_object().into_iter().flatten();
    let rows = known
        .map(|(tool, version)| vec![plain(tool), plain(version.as_str().unwrap_or(&version.to_string()))]);
    section("Tools that judged the backup", &["Tool", "Version"], rows)
}

/// A heading and a table; says so where there is nothing.
pub(super) fn section(title: &str, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<String> = rows.map(|row| format!("| {} |", row.join(" | "))).collect();
    if rows.is_empty() {
        return format!("## {title}\n\nNothing is recorded.\n");
    }
    let rule = "---|".repeat(header.len());
    format!("## {title}\n\n| {} |\n|{rule}\n{}\n", header.join(" | "), rows.join("\n"))
}

/// Text that is nothing but text, on one line: what Markdown gives a meaning is escaped.
pub(super) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' | '~' | '!' | '$' => {
                safe.extend(['\\', letter]);
            }
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

pub(super) fn date(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(super) fn time(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "—".to_owned() };
    if seconds < 120.0 {
        return format!("{seconds:.1} s");
    }
    humantime::format_duration(Duration::from_secs_f64(seconds.round())).to_string()
}
