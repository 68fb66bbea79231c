//! The new bucket: ours by its tags, private and versioned as the plan says, each setting read back.

use std::sync::atomic::{AtomicBool, Ordering};

use reprise_crds::plan::{TargetBucket, Visibility};

use super::{Ctx, Result, StepError, place};
use crate::providers::s3::S3;
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::Made;
use crate::recovery::step::Step;
use crate::store::{LedgerRow, LedgerState, Severity, SpanKind};

/// The tag that marks a bucket as this request's.
pub(super) const TAG: &str = "reprise-request";

/// What the ledger keeps of the look before the intent.
const ABSENT: &str = "absent";

/// What the store says of the bucket.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    exists: bool,
    mark: Mark,
    empty: bool,
    versioned: bool,
    /// `None`: the store does not tell.
    private: Option<bool>,
}

/// Whose the bucket says it is.
#[derive(Debug, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    None,
    Of(String),
    /// The store has no room for marks.
    NoRoom,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Create,
    Tag,
    Version,
    MakePrivate,
}

pub(super) async fn run(ctx: &Ctx) -> Result<Made> {
    let lacks = || StepError::refused("the plan has no target.bucket", "file a new request");
    let bucket = ctx.run.plan.target.bucket.as_ref().ok_or_else(lacks)?;
    let (store, name) = (ctx.tools.target_store(bucket)?, bucket.name.as_str());
    let doing = |what: &str| StepError::s3(format!("{what} bucket {name}"));
    let absent = !store.bucket_exists(name).await.map_err(doing("looking for"))?;
    let intent = ctx.intend("bucket", name, None, serde_json::json!({ ABSENT: absent })).await?;
    let mark = format!("{}/{}", ctx.run.request, intent.nonce.simple());
    let act = |action: Action| async {
        let action = action;
        match action {
            Action::Create => match store.create_bucket(name).await {
                // The SDK repeats a call whose answer was lost, and then meets what it made itself: the next look tells whose it is.
                Err(error) if error.is_bucket_taken() && store.bucket_exists(name).await.unwrap_or(false) => {
                    Ok(())
                }
                Err(error) if error.is_bucket_taken() => Err(taken(name)),
                other => other.map_err(doing("creating")),
            },
            Action::Tag => store.set_bucket_tags(name, &[(TAG, &mark)]).await.map_err(doing("marking")),
            Action::Version => {
                let doing = doing("turning on the versions that target.bucket.versioning asks for in");
                store.enable_versioning(name).await.map_err(doing)
            }
            Action::MakePrivate => store.make_private(name).await.map_err(doing("making private the")),
        }
    };
    ctx.doing(SpanKind::Provider, format!("preparing bucket {name}"));
    // An unmarked bucket is ours only if there was none before the intent, or in this attempt.
    let absence = Absence::of(&intent);
    let is_told = AtomicBool::new(true);
    let decide = |seen: &Seen| {
        is_told.store(seen.private.is_some(), Ordering::Relaxed);
        decide(bucket, &mark, absence.after(seen.exists), seen)
    };
    let driven = drive(ctx, Pace::PROVIDER, false, || observe(&store, name), decide, act).await;
    if matches!(driven, Err(StepError::Refused { .. })) {
        // Nothing was made under it, and a later attempt must not take the stranger's for its own.
        ctx.gone(&intent).await?;
    }
    driven?;
    if bucket.visibility == Visibility::Private && !is_told.load(Ordering::Relaxed) {
        let message = format!("the store does not tell who may read bucket {name}: look at its settings");
        ctx.event(Severity::Warning, "VisibilityUnknown", &message).await?;
    }
    ctx.saw(&intent, name).await?;
    Ok(Made { id: name.to_owned() })
}

/// The plan's bucket, if it is the one that this request made. A plan that names another one by now is refused: that one nobody made,
/// marked or looked at, and somebody's objects may be in it.
pub(super) async fn made(ctx: &Ctx) -> Result<&TargetBucket> {
    let lacks = || StepError::refused("the plan has no target.bucket", "file a new request");
    let planned = ctx.run.plan.target.bucket.as_ref().ok_or_else(lacks)?;
    let made: Made = ctx.outputs.get(&Step::Bucket)?;
    if made.id != planned.name {
        return Err(another(&made.id, &planned.name));
    }
    let ledger = ctx.tools.store.ledger(&ctx.run.request).await?;
    let ours =
        |row: &&LedgerRow| row.kind == "bucket" && row.name == made.id && row.state != LedgerState::Deleted;
    ledger.iter().find(ours).map_or(Ok(()), |row| place::is_as_planned(ctx, row))?;
    Ok(planned)
}

fn another(made: &str, planned: &str) -> StepError {
    StepError::refused(
        format!(
            "this request made bucket {made}, and the plan names {planned} now, which it neither made nor looked at"
        ),
        format!(
            "put target.bucket.name back to {made}, apply the plan, and resume the request; to recover into {planned}, cancel this request \
             and file another"
        ),
    )
}

/// Whether there was no bucket of the name before the intent; `None` where an earlier release did not look.
pub(super) fn was_absent(intent: &LedgerRow) -> Option<bool> {
    intent.detail[ABSENT].as_bool()
}

/// What the looks of an attempt have shown: whether there was no bucket before this request made one.
#[derive(Debug)]
struct Absence {
    absent: AtomicBool,
    /// There was one. That it is not found for a moment later on makes nobody's bucket ours.
    foreign: AtomicBool,
}

impl Absence {
    fn of(intent: &LedgerRow) -> Self {
        let absent = was_absent(intent).unwrap_or(!intent.fresh);
        Self { absent: AtomicBool::new(absent), foreign: AtomicBool::new(false) }
    }

    /// Whether there was none, with one more look.
    fn after(&self, exists: bool) -> bool {
        if !exists && !self.foreign.load(Ordering::Relaxed) {
            self.absent.store(true, Ordering::Relaxed);
        }
        let absent = self.absent.load(Ordering::Relaxed);
        self.foreign.fetch_or(exists && !absent, Ordering::Relaxed);
        absent
    }
}

async fn observe(store: &S3, name: &str) -> Result<Seen> {
    let doing = || StepError::s3(format!("looking at bucket {name}"));
    if !store.bucket_exists(name).await.map_err(doing())? {
        return Ok(Seen::default());
    }
    let mark = match store.bucket_tags(name).await.map_err(doing())? {
        None => Mark::NoRoom,
        Some(tags) => {
            tags.into_iter().find(|(key, _)| key == TAG).map_or(Mark::None, |(_, value)| Mark::Of(value))
        }
    };
    Ok(Seen {
        exists: true,
        mark,
        empty: store.is_empty(name, "").await.map_err(doing())?,
        versioned: store.is_versioned(name).await.map_err(doing())?,
        private: store.is_private(name).await.map_err(doing())?,
    })
}

fn decide(bucket: &TargetBucket, mark: &str, may_be_ours: bool, seen: &Seen) -> Result<Next<Action, ()>> {
    if !seen.exists {
        return Ok(Next::Act(Action::Create));
    }
    match &seen.mark {
        Mark::Of(tag) if tag == mark => {}
        Mark::None if may_be_ours && seen.empty => return Ok(Next::Act(Action::Tag)),
        Mark::NoRoom if may_be_ours && seen.empty => {}
        _ => return Err(taken(&bucket.name)),
    }
    Ok(if bucket.versioning && !seen.versioned {
        Next::Act(Action::Version)
    } else if bucket.visibility == Visibility::Private && seen.private == Some(false) {
        Next::Act(Action::MakePrivate)
    } else {
        Next::Done(())
    })
}

fn taken(name: &str) -> StepError {
    StepError::refused(
        format!(
            "a bucket called {name} exists and is not this recovery's (names are shared by all customers)"
        ),
        "choose another name for target.bucket in the plan, apply it, and resume the request; nothing was changed in it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "bad-day/1234";

    fn bucket() -> TargetBucket {
        serde_json::from_value(serde_json::json!({
            "name": "apilos-pra", "endpoint": "https://s3.example.org", "region": "fr-par",
            "credentials": {"accessKeyId": "env:A", "secretAccessKey": "env:B"}
        }))
        .expect("a bucket")
    }

    fn seen(mark: Mark, empty: bool) -> Seen {
        Seen { exists: true, mark, empty, versioned: false, private: Some(true) }
    }

    #[test]
    fn a_bucket_that_was_there_before_is_never_adopted() {
        let other = Mark::Of("other/99".into());
        for stranger in
            [seen(Mark::None, true), seen(Mark::None, false), seen(other, true), seen(Mark::NoRoom, true)]
        {
            assert!(decide(&bucket(), MARK, false, &stranger).is_err(), "{stranger:?}");
        }
        for mark in [Mark::None, Mark::NoRoom] {
            assert!(
                decide(&bucket(), MARK, true, &seen(mark, false)).is_err(),
                "it holds somebody's objects"
            );
        }
    }

    #[test]
    fn where_a_store_has_no_room_for_marks_our_records_say_whose_it_is() {
        let plain = TargetBucket { versioning: false, ..bucket() };
        let untold = Seen { private: None, ..seen(Mark::NoRoom, true) };
        assert!(matches!(decide(&plain, MARK, true, &untold), Ok(Next::Done(()))));
    }

    #[test]
    fn a_bucket_that_is_not_found_for_a_moment_was_there_all_the_same() {
        let looks = |looks: &[bool]| {
            let absence = Absence { absent: AtomicBool::new(false), foreign: AtomicBool::new(false) };
            looks.iter().map(|exists| absence.after(*exists)).last()
        };
        assert_eq!(looks(&[true, false, true]), Some(false), "it is somebody's");
        assert_eq!(looks(&[false, true]), Some(true), "this attempt made it");
    }

    #[test]
    fn one_whose_creation_got_no_answer_is_marked_then_set_up() {
        assert!(matches!(decide(&bucket(), MARK, true, &seen(Mark::None, true)), Ok(Next::Act(Action::Tag))));
        assert!(matches!(
            decide(&bucket(), MARK, true, &seen(Mark::Of(MARK.into()), true)),
            Ok(Next::Act(Action::Version))
        ));
    }
}
