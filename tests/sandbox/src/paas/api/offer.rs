//! What is on offer: providers and plans (for anybody), sizes and stacks.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use serde_json::{Value, json};

use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::{catalogue, view};

/// `GET /v1/addon_providers?category_id=&dedicated=`: none of them is on resources of its own.
pub(super) async fn providers(Query(query): Query<HashMap<String, String>>) -> Reply {
    let category = query.get("category_id").filter(|wanted| !wanted.is_empty());
    let dedicated = query.get("dedicated").is_some_and(|wanted| wanted == "true");
    let listed = catalogue::PROVIDERS
        .iter()
        .filter(|one| !dedicated && category.is_none_or(|wanted| one.category == wanted.as_str()));
    Reply::ok(json!({"addon_providers": listed.map(view::provider).collect::<Value>()}))
}

/// `GET /v1/addon_providers/:id/plans`.
pub(super) async fn plans(Path(id): Path<String>) -> Answer {
    let provider = catalogue::provider(&id).ok_or(Refusal::NotFound("addon_provider"))?;
    let plans = provider.plans.iter().enumerate().map(|(position, plan)| view::plan(plan, position));
    Ok(Reply::ok(json!({"plans": plans.collect::<Value>()})))
}

/// `GET /v1/addon_categories`.
pub(super) async fn categories() -> Reply {
    Reply::ok(
        json!({"addon_categories": [{"id": "databases", "name": "Databases", "description": "", "position": 1}]}),
    )
}

/// `GET /v1/features/container_sizes`.
pub(super) async fn container_sizes() -> Reply {
    let sizes = catalogue::SIZES.iter().map(|(_, name, _, cents)| {
        let mut size = view::container_size(name);
        for (field, value) in
            [("pids_limit", 256), ("hourly_price", *cents), ("thirtydays_price", cents * 720), ("pps", 0)]
        {
            size[field] = json!(value);
        }
        let price = |cents: u64| json!({"price": cents.to_string(), "currency": "EUR"});
        size["pricings"] = json!({"hourly": price(*cents), "thirtydays": price(cents * 720)});
        size
    });
    Reply::ok(json!({"container_sizes": sizes.collect::<Value>()}))
}

/// `GET /v1/features/stacks`.
pub(super) async fn stacks() -> Reply {
    let stacks = catalogue::STACKS.iter().map(|stack| {
        json!({
            "id": stack.id, "name": stack.name, "description": stack.name, "base_image": stack.base_image,
            "default": stack.default, "deprecated_at": stack.deprecated_at, "created_at": "2026-01-01T00:00:00.000Z",
        })
    });
    Reply::ok(json!({"stacks": stacks.collect::<Value>()}))
}
