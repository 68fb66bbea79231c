//! The example plan, edited as an operator would edit it.

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

/// A plan's text.
#[derive(Debug, Clone)]
pub struct Plan(String);

impl Plan {
    /// The example as it is shipped.
    pub fn example() -> Self {
        Self(EXAMPLE.to_owned())
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
