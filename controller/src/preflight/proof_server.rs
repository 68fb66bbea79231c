//! The server that the plan names for its proofs: whether it answers, and would take what the newest backups are of.

use super::Preflight;
use super::finding::{Seen, bad, failed, good, warning};
use super::local::newest_dumped;
use crate::proof::{Door, Facts};
use crate::runtime::chain::Chain;

impl Preflight<'_> {
    pub(super) async fn proof_server(&self) -> Seen {
        let door = match Door::of(self.tools, self.spec) {
            Ok(Some(door)) => door,
            Ok(None) => return good("backups are proven in a server of Reprise's own"),
            Err(error) => return failed(&error),
        };
        let facts = match door.facts().await {
            Ok(facts) => facts,
            Err(error) => return failed(&error),
        };
        let tools = match self.tools.postgresql().await {
            Ok(tools) => tools,
            Err(refusal) => return bad(Chain(&refusal).to_string()),
        };
        match self.tools.store.verdicts(self.plan).await {
            Ok(rows) => judge(door.place(), &facts, tools.major(), newest_dumped(&rows)),
            Err(error) => failed(&error),
        }
    }
}

/// A recovery does without it; no backup is proven meanwhile.
fn judge(at: &str, facts: &Facts, restorer: u32, dumped: Option<u32>) -> Seen {
    let (version, major) = (&facts.version, facts.major());
    if let Some(why) = facts.obstacle(restorer) {
        return bad(format!("{at}: {why}"));
    }
    if let Some(dumped) = dumped.filter(|dumped| *dumped > major) {
        return bad(format!(
            "{at} is PostgreSQL {version}, and the newest backups are of {dumped}: name a server of {dumped} or newer in proof.server"
        ));
    }
    match facts.risk() {
        Some(risk) => warning(format!("{at} is PostgreSQL {version}; {risk}")),
        None => good(format!("{at} is PostgreSQL {version}, and its user may make databases")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Grade;

    #[test]
    fn a_server_that_is_older_than_the_newest_backups_is_bad() {
        let facts = Facts::ordinary(15);
        assert_eq!(judge("db:5432", &facts, 16, Some(15)).0, Grade::Good);
        assert_eq!(judge("db:5432", &facts, 16, None).0, Grade::Good);
        let (grade, told) = judge("db:5432", &facts, 16, Some(16));
        assert!(grade == Grade::Bad && told.contains("name a server of 16"), "{told}");
        assert_eq!(judge("db:5432", &facts, 14, Some(14)).0, Grade::Bad, "pg_restore is older");
    }
}
