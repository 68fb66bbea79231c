//! A first plan, drawn up from a live estate: what the platform tells is written down, what is guessed is marked, what nobody could know
//! from there is left empty and marked.
//!
//! [`look::Look`] asks the platform; everything else is pure. The values of variables are read to recognise what they are (the
//! database's address, the bucket's key pair), and none of them is written.

use chrono::NaiveDate;
use reprise_crds::{Problem, RecoveryPlan, yaml};
use serde_json::Value;

pub mod account;
mod formation;
pub mod look;
mod names;
mod page;
mod places;
mod plan;
pub mod seen;
mod variables;

use self::page::FILL_IN;
use self::seen::Estate;

/// A plan that still has to be looked at.
#[derive(Debug)]
pub struct Draft {
    /// The plan's name.
    pub name: String,
    /// YAML with remarks.
    pub text: String,
    /// The same without the remarks.
    pub document: Value,
    /// The fields that `reprise apply` will name.
    pub blanks: Vec<String>,
}

/// Draws up the plan of `estate`, as it was on `today`.
pub fn draft(estate: &Estate, today: NaiveDate) -> Draft {
    let name = names::plan(estate.apps.iter().map(|app| app.name.as_str()));
    let (body, mut blanks) = plan::write(estate, &name);
    // What is judged is the text itself: it is what the person has in hand.
    let others: Vec<Problem> = RecoveryPlan::parse_yaml(&body).err().unwrap_or_default();
    let others: Vec<Problem> = others.into_iter().filter(|one| !blanks.contains(&one.path)).collect();
    let text = head(estate, &name, today, &others) + &body;
    blanks.extend(others.into_iter().map(|problem| problem.path));
    let document = yaml::read(&text).map(|document| document.value).unwrap_or_default();
    Draft { name, text, document, blanks }
}

fn head(estate: &Estate, name: &str, today: NaiveDate, others: &[Problem]) -> String {
    let mut page = page::Page::default();
    let apps: Vec<&str> = estate.apps.iter().map(|app| app.name.as_str()).collect();
    page.remark(&format!(
        "Drawn up by `reprise init` from {} in {}, as of {today}. It holds no value of any variable.",
        apps.join(", "),
        estate.region
    ));
    page.remark("");
    page.remark("FILL IN: empty, since nobody could know it from there. `reprise apply` names these fields until they are filled in.");
    page.remark("CHECK: a guess, or a place (env:NAME) that is yours to set where the daemon runs. Correct it, then take the remark away.");
    page.remark("");
    page.remark(&format!(
        "All fields are explained in docs/plan.md. Next: `reprise apply -f FILE`, `reprise plan {name}`, `reprise doctor {name}`."
    ));
    for problem in others {
        page.remark(&format!("{FILL_IN}: {problem}"));
    }
    for remark in &estate.remarks {
        page.remark(&format!("{}: {remark}", page::CHECK));
    }
    page.finish().0
}

#[cfg(test)]
mod tests;
