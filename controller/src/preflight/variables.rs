//! Whether every variable of every app would have a value.

use std::collections::BTreeMap;

use reprise_crds::plan::AppSpec;
use reprise_crds::variables::{Planned, resolve};
use reprise_crds::{Mode, RecoveryPlanSpec, Reference};
use tokio_util::sync::CancellationToken;

use super::Preflight;
use super::finding::{Seen, bad, good, unknown, unusable};
use crate::providers::scalingo::capture::Part;
use crate::providers::scalingo::variables::alias_of;
use crate::recovery::tools::{Captured, Untold};

/// What is asked of an app that is replaced: whether it is there, and its variables.
const PARTS: [Part; 2] = [Part::App, Part::Variables];

impl Preflight<'_> {
    pub(super) async fn variables(&self) -> Seen {
        self.completeness().await.unwrap_or_else(|seen| seen)
    }

    async fn completeness(&self) -> Result<Seen, Seen> {
        let mut told = Told::default();
        for app in &self.spec.apps {
            match self.planned(app).await? {
                Ok(planned) => self.look_at(app, &planned, &mut told).await,
                Err(lacking) => told.lacking.extend(lacking),
            }
        }
        Ok(told.judge())
    }

    /// Where the values come from, or all that is undecided.
    async fn planned(&self, app: &AppSpec) -> Result<Result<BTreeMap<String, Planned>, Vec<String>>, Seen> {
        let RecoveryPlanSpec { variables, .. } = self.spec;
        let template = if variables.template.is_some() {
            let commit = self.tools.revision(app).await.map_err(|error| unusable(&error))?;
            self.tools.template(self.spec, app, &commit).await.map_err(|error| unusable(&error))?
        } else {
            None
        };
        let planned = resolve(self.spec, app, template.as_ref(), Mode::Recover);
        Ok(planned
            .map_err(|problems| problems.iter().map(|problem| format!("{}: {problem}", app.name)).collect()))
    }

    async fn look_at(&self, app: &AppSpec, planned: &BTreeMap<String, Planned>, told: &mut Told) {
        told.count += planned.len();
        let secret = |reference: &_| self.tools.references.resolve(reference).ok();
        told.lacking.extend(mistaken(planned, secret).into_iter().map(|name| {
            format!("{name} of {} has a secret that the platform takes for another variable's name", app.name)
        }));
        told.asked.extend(names(planned, &Planned::Asked).map(|name| format!("{} of {}", name, app.name)));
        let kept: Vec<&str> = names(planned, &Planned::Kept).collect();
        if !kept.is_empty() {
            let stop = CancellationToken::new();
            let replaced = self.tools.replaced((self.plan, self.spec), app, &PARTS, &stop).await;
            told.keep(&app.name, &kept, &replaced);
        }
    }
}

fn names<'a>(planned: &'a BTreeMap<String, Planned>, wanted: &'a Planned) -> impl Iterator<Item = &'a str> {
    planned.iter().filter(move |(_, planned)| *planned == wanted).map(|(name, _)| name.as_str())
}

/// The variables whose secret is `$` and the name of another one: the app would be given that one's value.
fn mistaken(planned: &BTreeMap<String, Planned>, secret: impl Fn(&Reference) -> Option<String>) -> Vec<&str> {
    let is_there = |name: &str| planned.contains_key(name) || name.starts_with("SCALINGO_");
    let is_mistaken = |planned: &Planned| match planned {
        Planned::Reference(reference) => {
            secret(reference).is_some_and(|value| alias_of(&value).is_some_and(is_there))
        }
        _ => false,
    };
    planned.iter().filter(|(_, planned)| is_mistaken(planned)).map(|(name, _)| name.as_str()).collect()
}

/// What was seen of all apps.
#[derive(Debug, Default)]
struct Told {
    count: usize,
    lacking: Vec<String>,
    unseen: Vec<String>,
    asked: Vec<String>,
}

impl Told {
    /// Values that the app has which is replaced.
    fn keep(&mut self, app: &str, kept: &[&str], replaced: &Result<Captured, Untold>) {
        match replaced {
            Ok(captured) => {
                let lacks = kept.iter().filter(|name| captured.variable(name).is_none());
                self.lacking.extend(lacks.map(|name| {
                    format!("{name} of {app} is to be kept, and {} has no value for it", captured.from)
                }));
            }
            Err(Untold { why, passes }) => {
                let what =
                    format!("{} of {app} are to be kept, and nobody tells them: {why}", kept.join(", "));
                if *passes { self.unseen.push(what) } else { self.lacking.push(what) }
            }
        }
    }

    fn judge(self) -> Seen {
        if !self.lacking.is_empty() {
            return bad(self.lacking.join("; "));
        }
        if !self.unseen.is_empty() {
            return unknown(self.unseen.join("; "));
        }
        let asked = if self.asked.is_empty() {
            String::new()
        } else {
            format!("; a person will be asked for {}", self.asked.join(", "))
        };
        good(format!("{} variables have a value or a source{asked}", self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Grade;

    fn told(replaced: &Result<Captured, Untold>) -> Seen {
        let mut told = Told { count: 2, asked: vec!["PIN of web".into()], ..Told::default() };
        told.keep("web", &["SECRET_KEY"], replaced);
        told.judge()
    }

    #[test]
    fn a_secret_that_the_platform_takes_for_a_name_is_found_before_the_day() {
        let reference = |name: &str| Planned::Reference(format!("env:{name}").parse().expect("a reference"));
        let planned: BTreeMap<String, Planned> =
            [("A", reference("A")), ("B", reference("B")), ("C", Planned::Literal("$A".into()))]
                .map(|(name, planned)| (name.to_owned(), planned))
                .into();
        let read = |value: &'static str| mistaken(&planned, |_| Some(value.to_owned())).len();
        assert_eq!((read("$C"), read("$NOBODY"), read("s3cret")), (2, 0, 0), "what the plan says is meant");
        assert_eq!(mistaken(&planned, |_| None), [""; 0]);
    }

    #[test]
    fn a_kept_value_that_nobody_has_is_bad_and_one_that_cannot_be_asked_for_just_now_is_unknown() {
        let captured = |value: &str| Captured::of_variables("app old", &[("SECRET_KEY", value)]);
        let (grade, text) = told(&Ok(captured("s3cret")));
        assert_eq!(grade, Grade::Good);
        assert!(text.contains("PIN of web") && !text.contains("s3cret"), "{text}");
        assert_eq!(told(&Ok(captured(" "))).0, Grade::Bad);
        let untold = |passes| Err(Untold { why: "gone".into(), passes });
        assert_eq!((told(&untold(false)).0, told(&untold(true)).0), (Grade::Bad, Grade::Unknown));
    }
}
