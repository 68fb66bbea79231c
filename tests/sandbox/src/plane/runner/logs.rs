//! What an app's containers print: kept in memory for whoever asks, followed live, and written to a file for people.
//!
//! A line carries the date in French time, as the vendor writes it, and the label of its container.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, Utc, Weekday};
use tokio::sync::mpsc;

use crate::world::World;

/// Lines of one app that can still be asked for.
const KEPT: usize = 20_000;
/// A longer line is cut here, as log collectors do.
const LONGEST: usize = 16 * 1024;

/// A line that was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: DateTime<Utc>,
    /// `web-1`, `one-off-1234`, `manager`.
    pub label: String,
    /// Without its end.
    pub text: String,
}

impl Line {
    /// `2026-08-28 10:20:30.123 +0200 CEST [web-1] text`.
    pub fn shown(&self) -> String {
        let (offset, name) = zone(self.at);
        let at = self.at.with_timezone(&offset).format("%Y-%m-%d %H:%M:%S%.3f %z");
        format!("{at} {name} [{}] {}", self.label, self.text)
    }
}

/// Which lines are wanted: `web`, `web-1`, several parted by `|`. Empty: all.
#[derive(Debug, Clone, Default)]
pub struct Filter(Vec<String>);

impl Filter {
    /// The filter that a client wrote.
    pub fn parse(text: &str) -> Self {
        let parts = text.split(['|', ',']).map(str::trim).filter(|part| !part.is_empty());
        Self(parts.map(str::to_owned).collect())
    }

    /// Whether a line of the container `label` is wanted.
    pub fn admits(&self, label: &str) -> bool {
        let kind = label.rsplit_once('-').map_or(label, |(kind, _)| kind);
        self.0.is_empty() || self.0.iter().any(|wanted| wanted == label || wanted == kind)
    }
}

/// The lines of all apps.
#[derive(Debug)]
pub struct Logs {
    world: Arc<World>,
    books: Mutex<HashMap<String, Book>>,
}

#[derive(Debug, Default)]
struct Book {
    lines: VecDeque<Line>,
    followers: Vec<mpsc::UnboundedSender<Line>>,
    file: Option<File>,
}

impl Logs {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), books: Mutex::default() }
    }

    /// Appends one line of the container `label`.
    pub fn write(&self, app: &str, label: &str, text: &str) {
        let mut text = text.trim_end_matches(['\r', '\n']);
        if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= LONGEST) {
            text = &text[..end];
        }
        let line = Line { at: self.world.clock.wall(), label: label.to_owned(), text: text.to_owned() };
        let mut books = self.books();
        let book = books.entry(app.to_owned()).or_default();
        book.keep(&self.world, app, line);
    }

    /// The newest `count` lines that `filter` admits, oldest first.
    pub fn last(&self, app: &str, count: usize, filter: &Filter) -> Vec<Line> {
        let books = self.books();
        let lines = books.get(app).into_iter().flat_map(|book| book.lines.iter().rev());
        let mut newest: Vec<Line> =
            lines.filter(|line| filter.admits(&line.label)).take(count).cloned().collect();
        newest.reverse();
        newest
    }

    /// Every line from now on.
    pub fn follow(&self, app: &str) -> mpsc::UnboundedReceiver<Line> {
        let (sender, lines) = mpsc::unbounded_channel();
        self.books().entry(app.to_owned()).or_default().followers.push(sender);
        lines
    }

    pub(super) fn forget(&self, app: &str) {
        self.books().remove(app);
    }

    fn books(&self) -> MutexGuard<'_, HashMap<String, Book>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn keep(&mut self, world: &World, app: &str, line: Line) {
        if self.file.is_none() {
            let opened = world.folder("logs").and_then(|folder| {
                File::options().create(true).append(true).open(folder.join(format!("{app}.log")))
            });
            self.file = opened.ok();
        }
        if let Some(file) = &mut self.file
            && writeln!(file, "{}", line.shown()).is_err()
        {
            self.file = None;
        }
        self.followers.retain(|follower| follower.send(line.clone()).is_ok());
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

/// The offset of Paris at `at`, and its name: summer from the last Sunday of March to that of October, at 01:00 UTC.
fn zone(at: DateTime<Utc>) -> (FixedOffset, &'static str) {
    let change = |month| {
        let last = NaiveDate::from_ymd_opt(at.year(), month, 31)?;
        let sunday = last - chrono::Days::new(u64::from(last.weekday().days_since(Weekday::Sun)));
        Some(sunday.and_hms_opt(1, 0, 0)?.and_utc())
    };
    let summer = change(3).zip(change(10)).is_some_and(|(begin, end)| at >= begin && at < end);
    let (seconds, name) = if summer { (7_200, "CEST") } else { (3_600, "CET") };
    // An offset of one or two hours exists.
    (FixedOffset::east_opt(seconds).unwrap_or_else(|| chrono::Offset::fix(&Utc)), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(date: &str) -> String {
        let line = Line { at: date.parse().unwrap(), label: "web-1".into(), text: "hello".into() };
        line.shown()
    }

    #[test]
    fn dates_are_those_of_paris() {
        assert_eq!(shown("2026-08-28T08:20:30.123Z"), "2026-08-28 10:20:30.123 +0200 CEST [web-1] hello");
        assert_eq!(shown("2026-03-29T00:59:59Z"), "2026-03-29 01:59:59.000 +0100 CET [web-1] hello");
        assert_eq!(shown("2026-03-29T01:00:00Z"), "2026-03-29 03:00:00.000 +0200 CEST [web-1] hello");
        assert_eq!(shown("2026-10-25T01:00:00Z"), "2026-10-25 02:00:00.000 +0100 CET [web-1] hello");
    }

    #[test]
    fn a_filter_takes_types_and_single_containers() {
        let filter = Filter::parse("web|worker-2");
        assert!(filter.admits("web-1") && filter.admits("web-2") && filter.admits("worker-2"));
        assert!(!filter.admits("worker-1") && !filter.admits("one-off-1"));
        assert!(Filter::parse("one-off-1234").admits("one-off-1234"));
        assert!(Filter::parse("").admits("anything"));
    }

    #[tokio::test]
    async fn the_newest_lines_are_kept_and_followers_miss_none() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::new(&World::new(dir.path(), 1.0, 1).unwrap());
        let mut followed = logs.follow("an-app");
        for number in 0..5 {
            logs.write("an-app", if number % 2 == 0 { "web-1" } else { "worker-1" }, &format!("{number}\n"));
        }
        let texts = |lines: Vec<Line>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join(" ");
        assert_eq!(texts(logs.last("an-app", 2, &Filter::default())), "3 4");
        assert_eq!(texts(logs.last("an-app", 9, &Filter::parse("web"))), "0 2 4");
        assert_eq!(followed.recv().await.unwrap().text, "0");
    }
}
