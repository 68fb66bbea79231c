//! What can be bought and chosen: addon providers and their plans, stacks, container sizes.

/// A service that can be added.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) id: &'static str,
    /// The display name, which the vendor's command line compares.
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    /// The variable that holds its URL, and the alias to it.
    pub(super) variable: &'static str,
    pub(super) alias: &'static str,
    /// World seconds from the request to running.
    pub(super) provisioning_s: u64,
    pub(super) plans: &'static [Plan],
}

/// A price.
#[derive(Debug)]
pub(super) struct Plan {
    /// 24 hex digits; the only way to name a plan in a request.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) display_name: &'static str,
    /// Euros a minute, as text: that is how the vendor sends it.
    pub(super) per_minute: &'static str,
    /// Euros in thirty days.
    pub(super) price: f64,
    pub(super) trial: bool,
    /// A dead free plan: what is provisioned instead.
    pub(super) becomes: Option<&'static str>,
}

const fn plan(
    id: &'static str,
    name: &'static str,
    display_name: &'static str,
    per_minute: &'static str,
    price: f64,
) -> Plan {
    Plan { id, name, display_name, per_minute, price, trial: false, becomes: None }
}

const POSTGRESQL: &[Plan] = &[
    Plan {
        becomes: Some("5cc45d220000000000000512"),
        ..plan("5cc45d220000000000000000", "postgresql-sandbox", "Sandbox", "0.0", 0.0)
    },
    Plan {
        trial: true,
        ..plan("5cc45d220000000000000512", "postgresql-starter-512", "Starter 512M", "0.0001666667", 7.2)
    },
    plan("5cc45d220000000000001024", "postgresql-starter-1024", "Starter 1G", "0.0003333333", 14.4),
    plan("5cc45d220000000000002048", "postgresql-starter-2048", "Starter 2G", "0.0006666667", 28.8),
    plan("5cc45d220000000000004096", "postgresql-starter-4096", "Starter 4G", "0.0013333333", 57.6),
    plan("5cc45d220000000000101024", "postgresql-business-1024", "Business 1G", "0.0010000000", 43.2),
    plan("5cc45d220000000000102048", "postgresql-business-2048", "Business 2G", "0.0020000000", 86.4),
];

const REDIS: &[Plan] = &[
    Plan {
        becomes: Some("5cc45d330000000000000256"),
        ..plan("5cc45d330000000000000000", "redis-sandbox", "Sandbox", "0.0", 0.0)
    },
    Plan {
        trial: true,
        ..plan("5cc45d330000000000000256", "redis-starter-256", "Starter 256M", "0.0001666667", 7.2)
    },
    plan("5cc45d330000000000000512", "redis-starter-512", "Starter 512M", "0.0003333333", 14.4),
    plan("5cc45d330000000000100256", "redis-business-256", "Business 256M", "0.0010000000", 43.2),
];

/// All providers.
pub(super) const PROVIDERS: &[Provider] = &[
    Provider {
        id: "postgresql",
        name: "PostgreSQL",
        category: "databases",
        variable: "SCALINGO_POSTGRESQL_URL",
        alias: "DATABASE_URL",
        provisioning_s: 63,
        plans: POSTGRESQL,
    },
    Provider {
        id: "redis",
        name: "Redis® OSS",
        category: "databases",
        variable: "SCALINGO_REDIS_URL",
        alias: "REDIS_URL",
        provisioning_s: 20,
        plans: REDIS,
    },
];

/// The provider of this id, or of the older one with the vendor's name before it.
pub(super) fn provider(id: &str) -> Option<&'static Provider> {
    let id = id.strip_prefix("scalingo-").unwrap_or(id);
    PROVIDERS.iter().find(|provider| provider.id == id)
}

impl Provider {
    /// The plan of this id, with its position.
    pub(super) fn plan(&self, id: &str) -> Option<(usize, &'static Plan)> {
        self.plans.iter().enumerate().find(|(_, plan)| plan.id == id)
    }

    /// What is really provisioned when `id` is asked for: free plans silently become the smallest paid one.
    pub(super) fn provisioned(&self, id: &str) -> Option<&'static Plan> {
        let (_, asked) = self.plan(id)?;
        asked.becomes.map_or(Some(asked), |other| self.plan(other).map(|(_, plan)| plan))
    }

    /// The plan of this name: for seeding and for looking it up. Nothing is bought by it.
    pub(super) fn plan_named(&self, name: &str) -> Option<&'static Plan> {
        self.plans.iter().find(|plan| plan.name == name)
    }
}

/// A base image.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) base_image: &'static str,
    pub(super) default: bool,
    pub(super) deprecated_at: Option<&'static str>,
}

/// All stacks.
pub(super) const STACKS: &[Stack] = &[
    Stack {
        id: "st-0f0f0000-2626-4000-8000-000000000026",
        name: "scalingo-26",
        base_image: "scalingo/scalingo-26:latest",
        default: true,
        deprecated_at: None,
    },
    Stack {
        id: "st-0f0f0000-2424-4000-8000-000000000024",
        name: "scalingo-24",
        base_image: "scalingo/scalingo-24:latest",
        default: false,
        deprecated_at: None,
    },
    Stack {
        id: "st-0f0f0000-2222-4000-8000-000000000022",
        name: "scalingo-22",
        base_image: "scalingo/scalingo-22:latest",
        default: false,
        deprecated_at: Some("2026-04-30"),
    },
];

/// The stack of new apps.
pub(super) const DEFAULT_STACK: &str = STACKS[0].id;

/// The stack of this id or name.
pub(super) fn stack(key: &str) -> Option<&'static Stack> {
    STACKS.iter().find(|stack| stack.id == key || stack.name == key)
}

/// Container sizes: id, name, megabytes, cents an hour (whole ones: the vendor's Go client takes nothing else).
pub(super) const SIZES: &[(&str, &str, u64, u64)] = &[
    ("sz-s", "S", 256, 1),
    ("sz-m", "M", 512, 2),
    ("sz-l", "L", 1_024, 4),
    ("sz-xl", "XL", 2_048, 8),
    ("sz-2xl", "2XL", 4_096, 16),
    ("sz-3xl", "3XL", 8_192, 32),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_plan_silently_becomes_the_smallest_paid_one() {
        for provider in PROVIDERS {
            for plan in provider.plans {
                let given = provider.provisioned(plan.id).unwrap();
                assert!(given.price > 0.0, "{} gave the free {}", plan.name, given.name);
                assert_eq!(plan.price == 0.0, given.id != plan.id, "{} became {}", plan.name, given.name);
            }
        }
    }

    #[test]
    fn plan_ids_are_unique_object_ids() {
        let ids: Vec<_> = PROVIDERS.iter().flat_map(|provider| provider.plans).map(|plan| plan.id).collect();
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit())), "{ids:?}");
    }
}
