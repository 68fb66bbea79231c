//! `cron.json`: which tasks an app has. Pure.
//!
//! Source: the vendor's documentation "Scalingo Scheduler": five tasks, ten minutes apart at least, expressions in UTC.

use std::str::FromStr as _;

use chrono::{DateTime, TimeDelta, Utc};
use croner::Cron;
use serde_json::Value;

use crate::paas::catalogue;

/// The file, at the root of the source.
pub(in crate::paas) const FILE: &str = "cron.json";
const MOST: usize = 5;
const APART: TimeDelta = TimeDelta::minutes(10);
/// How many times of a task are compared: enough for the shortest distance of a pattern to show.
const COMPARED: usize = 60;

/// One task.
#[derive(Debug, Clone)]
pub(in crate::paas) struct Task {
    /// Expression and command, as written.
    pub(in crate::paas) line: String,
    pub(in crate::paas) command: String,
    pub(in crate::paas) size: String,
    cron: Cron,
}

impl Task {
    /// Its first time after `at`.
    pub(in crate::paas) fn next(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.cron.find_next_occurrence(&at, false).ok()
    }
}

/// The tasks in `text`; the error is a line for the log of the build.
pub(in crate::paas) fn parse(text: &str) -> Result<Vec<Task>, String> {
    let file: Value =
        serde_json::from_str(text).map_err(|error| format!("{FILE} is not valid JSON: {error}"))?;
    let jobs = file["jobs"].as_array().ok_or_else(|| format!("{FILE} has no list `jobs`"))?;
    if jobs.len() > MOST {
        return Err(format!("{FILE} has {} tasks: there may be {MOST}", jobs.len()));
    }
    jobs.iter()
        .enumerate()
        .map(|(index, job)| task(job).map_err(|why| format!("{FILE}, task {}: {why}", index + 1)))
        .collect()
}

fn task(job: &Value) -> Result<Task, String> {
    let line = job["command"].as_str().ok_or("it has no `command`")?.trim();
    let (expression, command) =
        split(line).ok_or_else(|| format!("{line:?} is no expression and a command"))?;
    let cron = Cron::from_str(&expression)
        .map_err(|error| format!("{expression:?} is no cron expression: {error}"))?;
    let size = match &job["size"] {
        Value::Null => "M",
        size => size.as_str().unwrap_or_default(),
    };
    if !catalogue::SIZES.iter().any(|(_, known, ..)| *known == size) {
        return Err(format!("there is no container size {size:?}"));
    }
    let task = Task { line: line.to_owned(), command: command.to_owned(), size: size.to_owned(), cron };
    let mut last = task.next(DateTime::UNIX_EPOCH).ok_or_else(|| format!("{expression:?} never comes"))?;
    for _ in 0..COMPARED {
        let Some(next) = task.next(last) else { break };
        if next - last < APART {
            return Err(format!("{expression:?} comes more often than every 10 minutes"));
        }
        last = next;
    }
    Ok(task)
}

/// Five fields, or one that begins with `@`; then the command.
fn split(line: &str) -> Option<(String, &str)> {
    let fields = if line.starts_with('@') { 1 } else { 5 };
    let mut rest = line;
    let mut words = Vec::new();
    for _ in 0..fields {
        let (word, after) = rest.split_once(char::is_whitespace)?;
        words.push(word);
        rest = after.trim_start();
    }
    (!rest.is_empty()).then(|| (words.join(" "), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Vec<Task>, String> {
        parse(&serde_json::json!({"jobs": [{"command": line}]}).to_string())
    }

    #[test]
    fn a_task_is_an_expression_and_a_command() {
        let tasks = parse(r#"{"jobs": [{"command": "*/10  3 * * 1-5 rake  import", "size": "2XL"}, {"command": "@daily true"}]}"#).unwrap();
        assert_eq!((tasks[0].command.as_str(), tasks[0].size.as_str()), ("rake  import", "2XL"));
        let at = "2026-11-30T02:00:00Z".parse().unwrap();
        assert_eq!(tasks[0].next(at).unwrap().to_rfc3339(), "2026-11-30T03:00:00+00:00");
        assert_eq!(
            (tasks[1].size.as_str(), tasks[1].next(at).unwrap().to_rfc3339().as_str()),
            ("M", "2026-12-01T00:00:00+00:00")
        );
        assert!(parse(r#"{"jobs": []}"#).unwrap().is_empty());
    }

    #[test]
    fn what_the_platform_refuses_is_refused_with_a_reason() {
        for (line, told) in [
            ("*/5 * * * * true", "10 minutes"),
            ("0,5 3 1 * * true", "10 minutes"),
            ("61 * * * * true", "no cron expression"),
            ("0 0 31 2 * true", "never"),
            ("0 3 * * *", "no expression and a command"),
        ] {
            let why = one(line).unwrap_err();
            assert!(why.contains(told) && why.contains("task 1"), "{line}: {why}");
        }
        for (text, told) in [
            ("{", "JSON"),
            ("[]", "jobs"),
            (r#"{"jobs": [{}]}"#, "command"),
            (r#"{"jobs": [{"command": "@daily true", "size": "XXS"}]}"#, "XXS"),
        ] {
            assert!(parse(text).unwrap_err().contains(told), "{text}");
        }
        let six =
            serde_json::json!({"jobs": vec![serde_json::json!({"command": "@daily true"}); 6]}).to_string();
        assert!(parse(&six).unwrap_err().contains("6 tasks"));
    }
}
