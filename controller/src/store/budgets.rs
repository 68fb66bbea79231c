//! The budgets of requests that all processes at one database share. Times are the database's.

use std::time::Duration;

use super::{Result, Store, StoreError};

/// The generic cell rate algorithm: the row says until when an even pace would have taken for what was spent. One may spend as long as that is
/// at most `$3` ahead. What lies further ahead than anybody could have spent was written by a clock that was set back since.
const SPEND: &str = "INSERT INTO vendor_budgets AS budget (account, spent_until)
    VALUES ($1, clock_timestamp() + make_interval(secs => $2))
    ON CONFLICT (account) DO UPDATE SET spent_until = make_interval(secs => $2) + CASE
        WHEN budget.spent_until > clock_timestamp() + make_interval(secs => $4) THEN clock_timestamp()
        ELSE greatest(budget.spent_until, clock_timestamp()) END
    WHERE budget.spent_until <= clock_timestamp() + make_interval(secs => $3)
        OR budget.spent_until > clock_timestamp() + make_interval(secs => $4)";

impl Store {
    /// Takes one request from an account's budget, of which there is one more each `period`, if what was taken before is at most `ahead` of that
    /// pace. `Some`: there is none, and may be one after so long. Nobody is ever further ahead than `most`.
    pub async fn spend_budget(
        &self,
        account: &str,
        period: Duration,
        ahead: Duration,
        most: Duration,
    ) -> Result<Option<Duration>> {
        let spent = sqlx::query(SPEND).bind(account).bind(period.as_secs_f64());
        let spent = spent.bind(ahead.as_secs_f64()).bind(most.as_secs_f64()).execute(&self.pool).await;
        let spent = spent.map_err(StoreError::query("budget.spend"))?;
        if spent.rows_affected() > 0 {
            return Ok(None);
        }
        let left = "SELECT extract(epoch FROM spent_until - clock_timestamp())::float8 - $2 FROM vendor_budgets WHERE account = $1";
        let left = sqlx::query_scalar::<_, f64>(left).bind(account).bind(ahead.as_secs_f64());
        let left = left.fetch_optional(&self.pool).await.map_err(StoreError::query("budget.left"))?;
        // Nobody asks in a circle.
        Ok(Some(Duration::try_from_secs_f64(left.unwrap_or_default()).unwrap_or_default().max(period / 4)))
    }

    /// Leaves nothing in an account's budget for as long as `ahead`.
    pub async fn exhaust_budget(&self, account: &str, ahead: Duration) -> Result<()> {
        let exhaust = "INSERT INTO vendor_budgets AS budget (account, spent_until)
            VALUES ($1, clock_timestamp() + make_interval(secs => $2))
            ON CONFLICT (account) DO UPDATE SET spent_until = greatest(budget.spent_until, excluded.spent_until)";
        let exhausted =
            sqlx::query(exhaust).bind(account).bind(ahead.as_secs_f64()).execute(&self.pool).await;
        exhausted.map(drop).map_err(StoreError::query("budget.exhaust"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::lab;

    #[tokio::test]
    async fn two_processes_spend_one_budget_and_leave_some_to_whoever_is_urgent() {
        const PERIOD: Duration = Duration::from_mins(1);
        let lab = lab().await;
        let other = Store::connect(lab.options()).await.expect("connected");
        let ask = async |store: &Store, ahead: u32| {
            store.spend_budget("platform", PERIOD, PERIOD * ahead, PERIOD * 20).await.expect("an answer")
        };
        for store in [&lab.store, &other, &lab.store] {
            assert_eq!(ask(store, 2).await, None);
        }
        let wait = ask(&other, 2).await.expect("nothing is left");
        assert!(wait <= PERIOD && wait > PERIOD / 2, "{wait:?}");
        assert_eq!(ask(&other, 9).await, None, "something is, for whoever is urgent");
        assert_eq!(other.spend_budget("another", PERIOD, Duration::ZERO, PERIOD * 20).await.unwrap(), None);

        lab.store.exhaust_budget("platform", PERIOD * 15).await.expect("exhausted");
        assert!(ask(&other, 9).await.expect("it is held") > PERIOD * 5);
        // A clock that was ahead when it was written holds nobody.
        lab.store.exhaust_budget("platform", PERIOD * 90).await.expect("exhausted");
        assert_eq!(ask(&other, 2).await, None);
        assert_eq!(ask(&other, 0).await.map(|wait| wait <= PERIOD), Some(true));
        other.close().await;
        lab.end().await;
    }
}
