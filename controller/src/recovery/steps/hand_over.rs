//! One look at the hand-over of the recovered estate, and what is due then: the new owner is invited to every app, and once they have
//! accepted the project is offered to them, once. What people take days for is waited for between the looks.
//!
//! It is done when every app was seen to be theirs, and not when the platform says that they accepted.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Ctx, Result, StepError, app, place};
use crate::providers::scalingo::Scalingo;
use crate::providers::scalingo::apps::Owner;
use crate::providers::scalingo::collaborators::Collaborator;
use crate::providers::scalingo::transfers::{TransferInvitation, TransferStatus};
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::hand_over::{Ending, HandOver, Stage, found};
use crate::recovery::step::Step;
use crate::store::{LedgerRow, LedgerState, SpanKind};

mod decide;

use decide::decide;

/// The ledger's kind of an offer.
pub(super) const TRANSFER: &str = "transfer";
/// The member of an offer's detail that says to which account it is made.
pub(super) const USER: &str = "user";
/// The member of an offer's detail that says whom the plan named.
const TO: &str = "to";
/// The member of a row's detail that says which ask had been heard when what it is about was seen to have ended.
const HEARD: &str = "heard";
/// How far the platform's clock may lag behind the store's for an offer to count as made after the intent.
const SKEW: TimeDelta = TimeDelta::seconds(60);

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    /// Invite the new owner to this app.
    Invite(String),
    /// Offer the project to this account.
    Offer { user: String, who: String },
    /// Take this offer back: the plan names somebody else by now.
    TakeBack(String),
}

/// What is on record and what the platform shows.
#[derive(Debug, Default)]
struct Seen {
    /// When that was.
    now: DateTime<Utc>,
    /// As whom we act.
    me: String,
    /// The apps of this request by the ledger, each with its owner; `None`: it is not to be seen.
    apps: Vec<(String, Option<Owner>)>,
    /// Whether the project is ours to see.
    listed: bool,
    /// What else is in the project.
    others: Vec<String>,
    /// All offers of the project.
    offers: Vec<TransferInvitation>,
    /// The collaborators of each app; not asked for while our offer is open.
    people: Vec<(String, Vec<Collaborator>)>,
    /// Who could own the project; asked for only where somebody accepted everywhere.
    candidates: Vec<String>,
    /// The intent of an offer, and of invitations by their apps.
    offer: Option<LedgerRow>,
    invitations: Vec<LedgerRow>,
    /// The ask that is heard now, as the ledger keeps it.
    asked: serde_json::Value,
}

impl Seen {
    /// The offer of this request, if the platform shows one.
    fn ours(&self) -> Option<&TransferInvitation> {
        let row = self.offer.as_ref()?;
        let is_of_intent = |one: &&TransferInvitation| {
            row.detail[USER] == one.invited_user_id.as_str()
                && one.created_at.is_some_and(|created| created >= row.intended_at - SKEW)
        };
        match row.external_id.as_deref() {
            Some(id) => self.offers.iter().find(|one| one.id == id),
            None => self.offers.iter().filter(is_of_intent).max_by_key(|one| one.created_at),
        }
    }

    fn pending(&self) -> Option<&TransferInvitation> {
        self.offers.iter().find(|one| one.status == TransferStatus::Pending && !self.is_late(one))
    }

    /// Whether our offer is open.
    fn is_open(&self) -> bool {
        self.pending().zip(self.ours()).is_some_and(|(open, ours)| open.id == ours.id)
    }

    /// Whether its time is over, whatever the platform calls that.
    fn is_late(&self, offer: &TransferInvitation) -> bool {
        offer.expires_at.is_some_and(|end| end + SKEW < self.now)
    }

    /// How an offer ended that does not wait any more; `None` where it waits or was accepted.
    fn ending(&self, offer: &TransferInvitation) -> Option<Ending> {
        match offer.status {
            TransferStatus::Pending => self.is_late(offer).then_some(Ending::Expired),
            TransferStatus::Accepted => None,
            TransferStatus::Declined => Some(Ending::Declined),
            TransferStatus::Canceled => Some(Ending::TakenBack),
            TransferStatus::Failed | TransferStatus::Error | TransferStatus::Other(_) => {
                let why = offer.status_reason.as_deref().unwrap_or_default().to_lowercase();
                let late = why.contains("expire") || self.is_late(offer);
                Some(if late { Ending::Expired } else { Ending::Failed })
            }
        }
    }

    fn invitation(&self, app: &str) -> Option<&LedgerRow> {
        self.invitations.iter().find(|row| row.parent.as_deref() == Some(app))
    }

    /// Whether somebody asked to try again since what `row` is about was seen to have ended.
    fn is_asked_since(&self, row: &LedgerRow) -> bool {
        row.detail.get(HEARD).is_some_and(|heard| *heard != self.asked)
    }
}

pub(super) async fn run(ctx: &Ctx) -> Result<HandOver> {
    let Some(spec) = &ctx.run.plan.hand_over else {
        return Err(StepError::refused("the plan hands nothing over", "add `handOver:` to it, and apply it"));
    };
    let (to, store) = (spec.to.as_str(), &ctx.tools.store);
    let before = HandOver::known(&store.steps(&ctx.run.request).await?);
    let asked = store.request(&ctx.run.request).await?.and_then(|row| row.retry_requested_at);
    let rows = live(ctx).await?;
    let project = of_kind(&rows, "project")
        .next()
        .ok_or_else(|| StepError::Output { step: Step::Project.to_string() })?;
    place::is_as_planned(ctx, project)?;
    ctx.doing(SpanKind::Provider, format!("looking how the hand-over to {to} stands"));
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let look = Look { ctx, platform: &platform, project, to, asked: json!(asked) };
    let doubt = rows.iter().any(|row| look.concerns(row) && row.state == LedgerState::Intended);
    let observe = || async { look.observe().await.map(Arc::new) };
    let decide = |seen: &Arc<Seen>| {
        Ok(match decide(to, seen) {
            Next::Done(stage) => Next::Done((stage, Arc::clone(seen))),
            Next::Act(action) => Next::Act(action),
            Next::Wait(why) => Next::Wait(why),
        })
    };
    let (stage, seen) = drive(ctx, Pace::PROVIDER, doubt, observe, decide, |action| look.act(action)).await?;
    look.keep(&stage, &seen).await?;
    let silence = ctx.tools.clock.scaled(spec.silence.duration());
    let named = (to, project.name.as_str(), asked);
    Ok(found(before.as_ref(), named, stage, ctx.tools.clock.now(), silence))
}

async fn live(ctx: &Ctx) -> Result<Vec<LedgerRow>> {
    let mut rows = ctx.tools.store.ledger(&ctx.run.request).await?;
    rows.retain(|row| row.state != LedgerState::Deleted);
    Ok(rows)
}

fn of_kind<'a>(rows: &'a [LedgerRow], kind: &'a str) -> impl Iterator<Item = &'a LedgerRow> {
    rows.iter().filter(move |row| row.kind == kind)
}

/// What all parts of a look need.
struct Look<'a> {
    ctx: &'a Ctx,
    platform: &'a Scalingo,
    project: &'a LedgerRow,
    to: &'a str,
    asked: serde_json::Value,
}

impl Look<'_> {
    /// Whether a row is of the hand-over.
    fn concerns(&self, row: &LedgerRow) -> bool {
        row.kind == TRANSFER || (row.kind == "collaborator" && row.name.eq_ignore_ascii_case(self.to))
    }

    fn project_id(&self) -> &str {
        self.project.external_id.as_deref().unwrap_or_default()
    }

    async fn observe(&self) -> Result<Seen> {
        let doing = StepError::provider;
        let rows = live(self.ctx).await?;
        let all = self.platform.apps().await.map_err(doing("listing the account's apps"))?;
        let owner = |name: &str| all.iter().find(|app| app.name == name).and_then(|app| app.owner.clone());
        let ours: Vec<&str> = of_kind(&rows, "app").map(|row| row.name.as_str()).collect();
        let in_it =
            all.iter().filter(|app| app.project.as_ref().is_some_and(|of| of.id == self.project_id()));
        let others =
            in_it.map(|app| app.name.clone()).filter(|name| !ours.contains(&name.as_str())).collect();
        let offers = match self.platform.transfers(self.project_id()).await {
            // The account is let in elsewhere: the project alone is not ours to see.
            Err(error) if error.is_denied() => None,
            told => told.map_err(doing("listing the offers of the project"))?,
        };
        let mut seen = Seen {
            now: self.ctx.tools.clock.now(),
            me: self.ctx.tools.account(&self.ctx.run).await?,
            apps: ours.iter().map(|name| ((*name).to_owned(), owner(name))).collect(),
            listed: offers.is_some(),
            others,
            offers: offers.unwrap_or_default(),
            offer: of_kind(&rows, TRANSFER).next().cloned(),
            invitations: of_kind(&rows, "collaborator").filter(|row| self.concerns(row)).cloned().collect(),
            asked: self.asked.clone(),
            ..Seen::default()
        };
        if !seen.listed {
            place::is_of_our_account(self.ctx, self.project).await?;
        } else if !seen.is_open() {
            self.observe_people(&mut seen).await?;
        }
        Ok(seen)
    }

    async fn observe_people(&self, seen: &mut Seen) -> Result<()> {
        for (app, _) in &seen.apps {
            let people = self.platform.collaborators(app).await;
            let people =
                people.map_err(StepError::provider(format!("listing the collaborators of {app}")))?;
            seen.people.push((app.clone(), people));
        }
        if decide::accepted(self.to, seen).is_some() {
            let candidates = self.platform.transfer_candidates(self.project_id()).await;
            let candidates = candidates.map_err(StepError::provider("asking who could own the project"))?;
            seen.candidates = candidates.unwrap_or_default().into_iter().map(|one| one.user_id).collect();
        }
        Ok(())
    }

    async fn act(&self, action: Action) -> Result<()> {
        match action {
            Action::Invite(app) => self.invite(&app).await,
            Action::Offer { user, who } => self.offer(&user, &who).await,
            Action::TakeBack(offer) => {
                let taken = self.platform.cancel_transfer(self.project_id(), &offer).await;
                taken.map_err(StepError::provider("taking the offer of the project back"))
            }
        }
    }

    async fn invite(&self, app: &str) -> Result<()> {
        let row = self.fresh("collaborator", self.to, Some(app), json!({})).await?;
        let invited = self.platform.invite_collaborator(app, self.to, false).await;
        let invited = invited.map_err(StepError::provider(format!("inviting {} to {app}", self.to)))?;
        self.ctx.saw(&row, &invited.id).await
    }

    /// What is handed over must be all ours, and be so now: there is no way back.
    async fn offer(&self, user: &str, who: &str) -> Result<()> {
        for row in of_kind(&live(self.ctx).await?, "app") {
            if app::read_marker(self.ctx, &row.name).await? != Some(app::marker(self.ctx, row)) {
                return Err(StepError::refused(
                    format!(
                        "app {} does not bear the mark of this recovery any more: its project is offered to nobody",
                        row.name
                    ),
                    "hand the project over in the platform's dashboard, and take handOver out of the plan",
                ));
            }
        }
        let row = self
            .fresh(TRANSFER, &self.project.name, None, json!({ USER: user, TO: self.to, "who": who }))
            .await?;
        let offered = self.platform.offer_project(self.project_id(), user).await;
        let offered = offered.map_err(StepError::provider(format!("offering the project to {who}")))?;
        self.ctx.saw(&row, &offered.id).await
    }

    /// A new intent; what an earlier one was about has ended.
    async fn fresh(
        &self,
        kind: &str,
        name: &str,
        parent: Option<&str>,
        detail: serde_json::Value,
    ) -> Result<LedgerRow> {
        for row in live(self.ctx).await? {
            let same =
                row.kind == kind && row.name.eq_ignore_ascii_case(name) && row.parent.as_deref() == parent;
            // To somebody else, or after it has ended and somebody asked.
            let another = [USER, TO].iter().any(|member| row.detail[*member] != detail[*member]);
            if same && (row.detail.get(HEARD).is_some() || another) {
                self.ctx.gone(&row).await?;
            }
        }
        self.ctx.intend(kind, name, parent, detail).await
    }

    /// Writes down what was seen: the ids of what an answer that was lost had made, and what has ended.
    async fn keep(&self, stage: &Stage, seen: &Seen) -> Result<()> {
        if let (Some(row), Some(offer)) = (&seen.offer, seen.ours()) {
            self.ctx.saw(row, &offer.id).await?;
        }
        for (app, people) in &seen.people {
            let Some(row) = seen.invitation(app) else { continue };
            if let Some(one) = people.iter().find(|one| decide::is(self.to, Some(row), one)) {
                self.ctx.saw(row, &one.id).await?;
            }
        }
        let ended: Vec<&LedgerRow> = match stage {
            Stage::Ended { .. } => seen.offer.iter().collect(),
            Stage::Withdrawn { apps } => apps.iter().filter_map(|app| seen.invitation(app)).collect(),
            _ => Vec::new(),
        };
        for row in ended.into_iter().filter(|row| row.detail.get(HEARD).is_none()) {
            self.ctx.amend(row, &json!({ HEARD: self.asked })).await?;
        }
        Ok(())
    }
}
