//! What starts [`Job::Drill`](super::job::Job::Drill): a request for a rehearsal is filed, and runs like any other.

use std::sync::Arc;

use serde_json::json;

use super::job::{Order, Work};
use crate::recovery::rehearsal;
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;

/// The longest part of a request's name that comes from the plan's: with all else it stays a DNS label.
const LONGEST_PLAN: usize = 40;

/// The starter.
pub fn job(tools: Arc<Tools>) -> impl Fn(Order) -> Work + Send + Sync + 'static {
    move |order| {
        let tools = Arc::clone(&tools);
        Box::pin(async move { file(&tools, &order).await })
    }
}

/// Files the drill of this due time, once however often it is asked. It does not compete with a recovery: the run fails
/// then, and is tried again later.
async fn file(tools: &Tools, order: &Order) -> Result<String, String> {
    let told = |error| Chain(&error).to_string();
    let name = name(order);
    let filed = tools.store.request(&name).await.map_err(told)?;
    if filed.is_some() {
        return Ok(format!("{name} was filed before"));
    }
    if tools.store.recovery_at_work().await.map_err(told)? {
        return Err("a recovery or another drill is at work; this drill waits for its end".to_owned());
    }
    let spec = json!({ "mode": "drill", "reason": "the weekly rehearsal of the plan's schedule" });
    tools.store.file_request(&name, &order.plan, &spec).await.map_err(told)?;
    Ok(format!("{name} was filed"))
}

/// Always the same for one plan and due time.
fn name(order: &Order) -> String {
    let plan = &order.plan[..order.plan.len().min(LONGEST_PLAN)];
    let day = order.due_at.format("%Y%m%d");
    format!("{plan}-drill-{day}-{}", rehearsal::suffix(&order.plan, order.due_at))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::schedule::job::Job;

    fn due(plan: &str, second: i64) -> String {
        name(&Order {
            job: Job::Drill,
            plan: plan.to_owned(),
            due_at: DateTime::from_timestamp(second, 0).unwrap(),
            failures: 0,
            stop: CancellationToken::new(),
        })
    }

    #[test]
    fn a_drill_has_one_name_for_its_plan_and_due_time() {
        let long = "a".repeat(63);
        assert!(due("shop", 0).starts_with("shop-drill-19700101-"), "{}", due("shop", 0));
        assert!(due(&long, 0).len() <= 63);
        assert_eq!(due("shop", 60), due("shop", 60));
        assert_ne!(due("shop", 60), due("shop", 120));
        assert_ne!(due(&long, 60), due(&"a".repeat(62), 60));
    }
}
