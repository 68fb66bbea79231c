//! The example plan, edited as an operator would edit it.

use chrono::{TimeDelta, Utc};

/// The plan that the project ships: what the demo applies is what is tested.
const EXAMPLE: &str = include_str!("../../../deploy/examples/apilos.yaml");

/// The name of the example plan.
pub const NAME: &str = "apilos";
/// Its apps: the one that owns the database, and the one that shares it.
pub const APPS: [&str; 2] = ["apilos-siap-pra", "apilos-standalone-pra"];
/// Its public names, in the order of its apps.
pub const DOMAINS: [&str; 2] = ["siap.apilos.test", "standalone.apilos.test"];
/// Its new bucket.
pub const BUCKET: &str = "apilos-pra";

/// The line that says when the example is archived.
const ARCHIVED: &str = "    schedule: { cron: \"27 1 * * 1\", timeZone: Europe/Paris, jitter: 10m }\n";
/// The line before which [`Plan::and`] adds.
const NEXT: &str = "  objectives:\n";
/// What has hours of its own that are not in the example.
const JOBS: [&str; 2] = ["proof", "drill"];

/// A plan's text.
#[derive(Debug, Clone)]
pub struct Plan(String);

impl Plan {
    /// The example as it is shipped, but for its hours: nothing of it comes due while a scene plays, whatever the clock says.
    pub fn example() -> Self {
        let asleep = format!("schedule: {{ cron: \"{}\" }}", far());
        let archive = format!("    dumps: {{ {asleep} }}\n");
        let plan = Self(EXAMPLE.to_owned()).with(ARCHIVED, &archive);
        JOBS.iter().fold(plan, |plan, job| plan.and(job, &format!("{{ {asleep} }}")))
    }

    /// With this member of `spec:` too, a line of YAML; it takes the place of what was added under its name before.
    #[must_use]
    pub fn and(self, name: &str, value: &str) -> Self {
        let line = format!("  {name}: ");
        let kept: String = self.0.split_inclusive('\n').filter(|kept| !kept.starts_with(&line)).collect();
        Self(kept).with(NEXT, &format!("{line}{value}\n{NEXT}"))
    }

    /// With every `old` replaced by `new`; `old` must be there.
    #[must_use]
    pub fn with(self, old: &str, new: &str) -> Self {
        assert!(self.0.contains(old), "the example plan does not say `{old}` any more");
        Self(self.0.replace(old, new))
    }

    /// The YAML.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// A cron line for the day half a year from now.
pub fn far() -> String {
    (Utc::now() + TimeDelta::days(182)).format("%-M %-H %-d %-m *").to_string()
}
