//! What is due in a hand-over, from what is on record and what the platform shows. No I/O.

use super::{Action, Seen, TO, USER};
use crate::providers::scalingo::apps::Owner;
use crate::providers::scalingo::collaborators::{Collaborator, CollaboratorStatus};
use crate::providers::scalingo::transfers::{TransferInvitation, TransferStatus};
use crate::recovery::drive::Next;
use crate::recovery::hand_over::Stage;
use crate::store::{LedgerRow, LedgerState};

/// What to do now, or how far it is.
pub(super) fn decide(to: &str, seen: &Seen) -> Next<Action, Stage> {
    if let Some(stage) = whose(to, seen) {
        return Next::Done(stage);
    }
    if !seen.listed {
        return Next::Done(Stage::NotSeen);
    }
    if let Some(pending) = seen.pending() {
        return offered(to, seen, pending);
    }
    if let Some(stage) = last_offer(to, seen) {
        return Next::Done(stage);
    }
    if !seen.others.is_empty() {
        return Next::Done(Stage::NotAlone { apps: seen.others.clone() });
    }
    match invited(to, seen) {
        Some(next) => next,
        None => eligible(to, seen),
    }
}

/// Whose the apps are, where they are not ours.
fn whose(to: &str, seen: &Seen) -> Option<Stage> {
    let owners: Vec<&Owner> = seen.apps.iter().filter_map(|(_, owner)| owner.as_ref()).collect();
    let offer = seen.offer.as_ref().filter(|row| row.detail[TO] == to);
    let is_theirs = |owner: &Owner| {
        let named = |name: &Option<String>| name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(to));
        named(&owner.email)
            || named(&owner.username)
            || offer.is_some_and(|row| row.detail[USER] == owner.id.as_str())
    };
    if let Some(other) = owners.iter().find(|owner| owner.id != seen.me && !is_theirs(owner)) {
        return Some(Stage::Elsewhere { who: name(other) });
    }
    let first = owners.first().filter(|_| owners.iter().all(|owner| is_theirs(owner)))?;
    // Of a project that is theirs we need not see every app any more.
    let all = owners.len() == seen.apps.len() || !seen.listed;
    all.then(|| Stage::HandedOver { who: name(first) })
}

fn name(owner: &Owner) -> String {
    owner.username.clone().or_else(|| owner.email.clone()).unwrap_or_else(|| owner.id.clone())
}

/// An offer is open; there can be one at a time.
fn offered(to: &str, seen: &Seen, pending: &TransferInvitation) -> Next<Action, Stage> {
    let who = invited_name(pending);
    let offered = |who| Next::Done(Stage::Offered { who, until: pending.expires_at });
    if seen.ours().is_some_and(|ours| ours.id == pending.id) {
        let is_meant = seen.offer.as_ref().is_some_and(|row| row.detail[TO] == to);
        return if is_meant { offered(who) } else { Next::Act(Action::TakeBack(pending.id.clone())) };
    }
    // Made in the dashboard.
    let same = accepted(to, seen).is_some_and(|(user, _)| user == pending.invited_user_id);
    if same || who == to { offered(who) } else { Next::Done(Stage::OfferedElsewhere { who }) }
}

/// How the offer stands that was made and is not open; `None` where another one may be made.
fn last_offer(to: &str, seen: &Seen) -> Option<Stage> {
    let row = seen.offer.as_ref().filter(|row| row.detail[TO] == to)?;
    let Some(ours) = seen.ours() else {
        // It was made, and no list shows it: another one would be refused, or be one too many.
        let who = row.detail["who"].as_str().unwrap_or(to).to_owned();
        return row.external_id.is_some().then_some(Stage::Offered { who, until: None });
    };
    let who = invited_name(ours);
    match seen.ending(ours) {
        None if ours.status == TransferStatus::Accepted => Some(Stage::Accepted { who }),
        Some(_) if seen.is_asked_since(row) => None,
        Some(how) => {
            let why = ours.status_reason.clone().unwrap_or_default();
            Some(Stage::Ended { who, how, why })
        }
        None => None,
    }
}

fn invited_name(offer: &TransferInvitation) -> String {
    let name = offer.invited_user_name.clone().filter(|name| !name.is_empty());
    name.unwrap_or_else(|| offer.invited_user_id.clone())
}

/// Whether `one` is who is meant; `row` is the invitation that we made.
pub(super) fn is(to: &str, row: Option<&LedgerRow>, one: &Collaborator) -> bool {
    let named = |name: &Option<String>| name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(to));
    let made = row.and_then(|row| row.external_id.as_deref());
    named(&one.email) || named(&one.username) || made == Some(one.id.as_str())
}

fn find<'a>(to: &str, seen: &Seen, app: &str, people: &'a [Collaborator]) -> Option<&'a Collaborator> {
    people.iter().find(|one| is(to, seen.invitation(app), one))
}

/// Who is to be invited, or whose acceptance is waited for; `None` where they are in every app.
fn invited(to: &str, seen: &Seen) -> Option<Next<Action, Stage>> {
    let (mut waits, mut withdrawn) = (Vec::new(), Vec::new());
    for (app, people) in &seen.people {
        let row = seen.invitation(app);
        match find(to, seen, app, people).map(|one| &one.status) {
            Some(CollaboratorStatus::Accepted) => {}
            Some(CollaboratorStatus::Deleted) => withdrawn.push(app.clone()),
            Some(CollaboratorStatus::Pending | CollaboratorStatus::Other(_)) => waits.push(app.clone()),
            // A user name cannot be invited: it is somebody whom the plan invites by an address.
            None if !to.contains('@') => waits.push(app.clone()),
            None if row.is_some_and(|row| row.state == LedgerState::Present && !seen.is_asked_since(row)) => {
                withdrawn.push(app.clone());
            }
            None => return Some(Next::Act(Action::Invite(app.clone()))),
        }
    }
    if !withdrawn.is_empty() {
        return Some(Next::Done(Stage::Withdrawn { apps: withdrawn }));
    }
    (!waits.is_empty()).then_some(Next::Done(Stage::Invited { apps: waits }))
}

/// Who accepted everywhere, with their name: one and the same account.
pub(super) fn accepted(to: &str, seen: &Seen) -> Option<(String, String)> {
    let mut who: Option<(String, String)> = None;
    for (app, people) in &seen.people {
        let one = find(to, seen, app, people).filter(|one| one.status == CollaboratorStatus::Accepted)?;
        let user = one.user_id.clone()?;
        if who.as_ref().is_some_and(|(other, _)| *other != user) {
            return None;
        }
        let name = one.username.clone().filter(|name| name != "n/a").unwrap_or_else(|| to.to_owned());
        who = Some((user, name));
    }
    who
}

fn eligible(to: &str, seen: &Seen) -> Next<Action, Stage> {
    let known = accepted(to, seen);
    let limited = |(app, people): &(String, Vec<Collaborator>)| {
        find(to, seen, app, people).filter(|one| one.is_limited == Some(true)).map(|_| app.clone())
    };
    match known {
        Some((user, who)) if seen.candidates.contains(&user) => Next::Act(Action::Offer { user, who }),
        known => {
            let who = known.map_or_else(|| to.to_owned(), |(_, who)| who);
            Next::Done(Stage::NotEligible { who, limited: seen.people.iter().filter_map(limited).collect() })
        }
    }
}

#[cfg(test)]
mod tests;
