//! What the platform tells of an app that is there.

use futures::StreamExt as _;
use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::AppSpec;
use serde_json::Value;

use super::{Captured, replaced_by};
use crate::providers::scalingo::capture::Part;
use crate::recovery::error::{Result, StepError};
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};

/// Calls to the platform at once.
const AT_ONCE: usize = 4;

impl Tools {
    /// What the platform tells of the app that `app` replaces. One that it does not know is a refusal.
    pub(crate) async fn alive(
        &self,
        plan: &RecoveryPlanSpec,
        app: &AppSpec,
        parts: &[Part],
    ) -> Result<Captured> {
        let (platform, old) = (&self.platform(&plan.source.region)?, replaced_by(plan, app));
        let told = futures::stream::iter(parts.iter().copied()).map(|part| async move {
            let told = platform.captured(old, part).await;
            (part, told.map_err(StepError::provider(format!("looking at {old}"))))
        });
        gathered(old, told.buffer_unordered(AT_ONCE).collect().await)
    }
}

/// What was told of an app. Its variables are brought back; the rest is only told to people, and what of it could not be asked keeps
/// nobody from them. Pure.
fn gathered(app: &str, told: Vec<(Part, Result<Option<Value>>)>) -> Result<Captured> {
    let mut captured = Captured { from: format!("app {app}"), ..Captured::default() };
    for (part, told) in told {
        match told {
            Ok(Some(told)) => {
                captured.parts.insert(part.name(), told);
            }
            Ok(None) if part == Part::App => {
                let advice = "nothing, if it was lost: what the archive keeps of it is read";
                return Err(StepError::refused(format!("the platform has no app {app}"), advice));
            }
            Ok(None) => {}
            Err(error)
                if matches!(part, Part::App | Part::Variables) || error.class() == Class::Cancelled =>
            {
                return Err(error);
            }
            Err(error) => captured.silent.push(format!("the {} of {app}: {}", part.name(), Chain(&error))),
        }
    }
    captured.silent.sort_unstable();
    Ok(captured)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_only_told_to_people_keeps_no_value_from_coming_back() {
        let trouble = || {
            let source = "503".into();
            StepError::Failed {
                doing: "looking".to_owned(),
                class: Class::Transient,
                in_doubt: false,
                source,
            }
        };
        let variables = || json!({ "variables": [{ "name": "KEY", "value": "now" }] });
        let told = |app, drains, variables| {
            gathered("old", vec![(Part::App, app), (Part::LogDrains, drains), (Part::Variables, variables)])
        };
        let there = || Ok(Some(json!({})));
        let captured = told(there(), Err(trouble()), Ok(Some(variables()))).expect("its variables are there");
        let value = captured.variable("KEY").expect("a value");
        assert_eq!((value.expose_secret(), captured.silent.len()), ("now", 1));
        assert!(captured.silent[0].contains("log_drains of old"), "{:?}", captured.silent);
        let error = told(there(), there(), Err(trouble())).expect_err("its variables are not told");
        assert_eq!(error.class(), Class::Transient, "{error}");
        let gone = told(Ok(None), Ok(None), Ok(None)).expect_err("it is gone");
        assert!(matches!(gone, StepError::Refused { .. }), "{gone}");
    }
}
