//! Whether documents could be brought back: the store that they come to, those that they come from, and what opens them.

use futures::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use super::Preflight;
use super::finding::{Seen, bad, failed, good, unknown, unusable, warning};
use crate::archive::vault::is_cold;
use crate::providers::s3::S3Error;
use crate::recovery::tools::Untold;

/// Where the plan's status says whether a mirror has to be thawed before it can be read.
pub const MIRROR_IS_COLD: &str = "mirrorIsCold";

impl Preflight<'_> {
    pub(super) async fn target_bucket(&self) -> Seen {
        let Some(bucket) = &self.spec.target.bucket else { return good("the plan has no target.bucket") };
        match self.tools.target_store(bucket) {
            Ok(store) => judge(&bucket.name, store.bucket_exists(&bucket.name).await),
            Err(error) => unusable(&error),
        }
    }

    pub(super) async fn mirrors(&self) -> Seen {
        self.reached().await.unwrap_or_else(|seen| seen)
    }

    async fn reached(&self) -> Result<Seen, Seen> {
        let (mut told, mut cold) = (Vec::new(), false);
        for mirror in self.spec.source.objects.iter().filter_map(|one| one.mirror.as_ref()) {
            let store = self.tools.mirror(mirror).map_err(|error| unusable(&error))?;
            let bucket = self.tools.setting(&mirror.bucket, "the mirror's bucket");
            let bucket = bucket.map_err(|error| unusable(&error))?;
            if !store.bucket_exists(&bucket).await.map_err(|error| failed(&error))? {
                return Ok(bad(format!("the mirror bucket {bucket} does not exist")));
            }
            // One object of the first page stands for all: a mirror is of one class.
            let prefix = mirror.prefix.clone().unwrap_or_default();
            let first = std::pin::pin!(store.list(&bucket, &prefix)).try_next().await;
            let first = first.map_err(|error| failed(&error))?;
            cold |= is_cold(first.and_then(|object| object.storage_class).as_deref());
            told.push(bucket);
        }
        // What a recovery is predicted to take depends on it.
        let kept = self.tools.store.record_plan_status(self.plan, MIRROR_IS_COLD, &cold.into()).await;
        kept.map_err(|error| failed(&error))?;
        let told = format!("can be reached: {}", told.join(", "));
        Ok(good(if cold { format!("{told}; a thaw takes minutes to a day") } else { told }))
    }

    /// Opens the smallest of what a run keeps sealed.
    pub(super) async fn identity(&self) -> Seen {
        match self.tools.configuration((self.plan, self.spec), None, &CancellationToken::new()).await {
            Ok(Some((run, _))) => good(format!("the archive's identity opens what run {run} keeps")),
            Ok(None) => {
                warning("no run of the archive keeps anything yet that the identity could be tried on")
            }
            Err(Untold { why, passes: true }) => unknown(why),
            Err(Untold { why, passes: false }) => bad(why),
        }
    }
}

/// Only a name that is free is good: a recovery takes no bucket that it did not make.
fn judge(name: &str, exists: Result<bool, S3Error>) -> Seen {
    match exists {
        Ok(false) => good(format!("the store takes our key pair, {name} is free")),
        Ok(true) => bad(format!(
            "a bucket called {name} is there already, and a recovery takes only one that it makes: choose another name for target.bucket in the plan"
        )),
        Err(error) => failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Grade;
    use crate::providers::s3::tests::store;

    #[tokio::test]
    async fn only_a_free_name_at_a_store_that_takes_our_keys_is_good() {
        for (status, grade) in [(404, Grade::Good), (200, Grade::Bad), (403, Grade::Bad), (301, Grade::Bad)] {
            let (store, _seen, _server) = store(vec![(status, &[], "")]).await;
            let (seen, told) = judge("shop-pra", store.bucket_exists("shop-pra").await);
            assert_eq!(seen, grade, "{status}: {told}");
        }
    }
}
