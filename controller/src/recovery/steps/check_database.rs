//! Is the data there? Counts against the dump, sequences, indexes, constraints, statistics, the read-only user's rights, and the plan's
//! own questions.

use std::time::Duration;

use sqlx::PgConnection;

use super::database::{Database, goodbye};
use super::dump::{self, Dump};
use super::{Ctx, Result, StepError, deploy};
use crate::backup::checks::{
    Code, DataOutcome, Finding, MigrationLevel, Severity as Weight, Unasked, analyze, applied_migrations,
    compare, compare_migrations, grant_readonly, integrity, observe, planned, readonly_gaps, run_data_checks,
    undumped,
};
use crate::backup::ladder::{rows_document, rows_of};
use crate::recovery::outputs::{CheckedDatabase, ChosenBackup, ChosenObjects, Made};
use crate::recovery::step::Step;
use crate::recovery::tools::CODE_PATIENCE;
use crate::runtime::chain::Chain;
use crate::store::{Rung, Severity, SpanKind, Verdict};
use crate::truth;

/// So often the plan's questions are asked that take too long or lack room: then somebody has to look.
const TRIES: u32 = 3;
/// How long one of the plan's questions may take.
const QUESTION: Duration = Duration::from_mins(2);

pub(super) async fn run(ctx: &Ctx) -> Result<CheckedDatabase> {
    let chosen: ChosenBackup = ctx.outputs.get(&Step::ChooseBackup)?;
    let dump = dump::obtain(ctx, &chosen).await?;
    let database = Database::open(ctx).await?;
    let mut connection = database.connect().await?;
    let checked = database.attended(&ctx.pulse, check(ctx, &dump, &mut connection)).await;
    goodbye(connection).await;
    database.close().await;
    let checked = checked?;
    record(ctx, &chosen, &dump).await?;
    Ok(checked)
}

async fn check(ctx: &Ctx, dump: &Dump, connection: &mut PgConnection) -> Result<CheckedDatabase> {
    let doing = |what: &'static str| StepError::failed(what);
    ctx.doing(SpanKind::Data, "gathering statistics");
    let beat = |done, total| ctx.pulse.progress(done, Some(total), "tables");
    analyze(connection, beat).await.map_err(doing("gathering statistics"))?;
    ctx.doing(SpanKind::Data, "counting rows");
    let seen = observe(connection, beat).await.map_err(doing("counting what is in the database"))?;
    let mut findings = compare(&dump.counts, &seen);
    findings
        .extend(integrity(connection).await.map_err(doing("checking sequences, indexes and constraints"))?);
    findings.extend(undumped(&dump.toc, &seen));
    judge(ctx, dump, &findings).await?;
    read_only(ctx, connection).await?;
    let data_checks = questions(ctx, connection).await?;
    let migrations = migrations(ctx, connection).await?;
    let references = references(ctx, connection).await?;
    let (tables, rows) = seen.counted();
    Ok(CheckedDatabase {
        tables,
        rows,
        sequences: seen.sequences.len() as u64,
        data_checks,
        references,
        migrations: Some(migrations),
    })
}

/// Whether the code that is deployed is as new as the database. It is told and stops nothing: the data is what was lost, and
/// newer code can follow.
async fn migrations(ctx: &Ctx, connection: &mut PgConnection) -> Result<String> {
    let applied =
        applied_migrations(connection).await.map_err(StepError::failed("reading the applied migrations"))?;
    // Without any there is nothing to fetch code for.
    let code = if applied.is_some() { code(ctx).await } else { Code::Known(Vec::new()) };
    let level = compare_migrations(applied.as_deref(), &code);
    let told = level.to_string();
    match &level {
        MigrationLevel::NotDjango => {}
        MigrationLevel::Compared { ahead, .. } if ahead.is_empty() => {}
        _ => ctx.event(Severity::Warning, "MigrationLevel", &told).await?,
    }
    Ok(told)
}

async fn code(ctx: &Ctx) -> Code {
    let levels = async {
        let mut levels = Vec::new();
        for app in &ctx.run.plan.apps {
            let commit = deploy::commit(ctx, app).await?;
            levels.push(ctx.tools.migrations_at(app, &commit).await?);
        }
        Ok::<_, StepError>(levels)
    };
    match tokio::time::timeout(CODE_PATIENCE, Box::pin(levels)).await {
        Ok(Ok(levels)) => Code::Known(levels),
        Ok(Err(error)) => Code::Unknown(Chain(&error).to_string()),
        Err(_) => Code::Unknown("the code host does not answer".to_owned()),
    }
}

/// Which rows name an object that the documents lack. It is told and stops nothing: the rows came back as they were.
async fn references(ctx: &Ctx, connection: &mut PgConnection) -> Result<Option<String>> {
    let columns = &ctx.run.plan.object_keys;
    let chosen: ChosenBackup = ctx.outputs.get(&Step::ChooseBackup)?;
    let Some(ChosenObjects::Archive { run, .. }) = ctx.outputs.find(&Step::ChooseObjects)? else {
        return Ok(None);
    };
    if columns.is_empty() {
        return Ok(None);
    }
    ctx.doing(SpanKind::Data, "holding rows against objects");
    let archiver = ctx.tools.archiver(&ctx.run.plan_name, &ctx.run.plan, &ctx.stop)?;
    match truth::compare(connection, columns, &archiver, &run, &mut |_| Ok(())).await {
        Ok(found) => {
            let row = found.row(&chosen.backup, &run);
            ctx.written(|store| store.record_truth(&ctx.run.plan_name, &row, &ctx.run.request)).await?;
            let weight = if found.dangling > 0 { Severity::Warning } else { Severity::Normal };
            ctx.event(weight, "RowsAgainstObjects", &found.to_string()).await?;
            Ok(Some(found.to_string()))
        }
        Err(error) => {
            let told = format!("rows were not held against objects: {}", Chain(&error));
            ctx.event(Severity::Warning, "RowsAgainstObjects", &told).await?;
            Ok(Some(told))
        }
    }
}

/// Failures end the step with all of them listed; what the source already had is told.
async fn judge(ctx: &Ctx, dump: &Dump, findings: &[Finding]) -> Result<()> {
    let (failures, notices): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.severity(&dump.counts) == Weight::Failure);
    for notice in notices {
        ctx.event(Severity::Warning, "DataNotice", &notice.to_string()).await?;
    }
    if failures.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> = failures.iter().map(ToString::to_string).collect();
    Err(StepError::refused(
        format!("the restored database is not what the dump holds: {}", listed.join("; ")),
        "look at the database; when the cause is mended, resume the request",
    ))
}

/// The read-only user that was made reads every table and writes none; the plan may name another one by now.
async fn read_only(ctx: &Ctx, connection: &mut PgConnection) -> Result<()> {
    let Some(Made { id: user }) = ctx.outputs.find(&Step::ReadOnlyUser)? else { return Ok(()) };
    let user = user.as_str();
    ctx.doing(SpanKind::Data, "granting the read-only user its rights");
    grant_readonly(connection, user)
        .await
        .map_err(StepError::failed("granting SELECT to the read-only user"))?;
    let gaps = readonly_gaps(connection, user)
        .await
        .map_err(StepError::failed("checking the read-only user's rights"))?;
    if gaps.none() {
        return Ok(());
    }
    let names = |tables: &[crate::backup::contents::RelationName]| {
        tables.iter().map(|table| format!("{}.{}", table.schema, table.name)).collect::<Vec<_>>().join(", ")
    };
    Err(StepError::refused(
        format!("{user} cannot read [{}] and can write [{}]", names(&gaps.unreadable), names(&gaps.writable)),
        "correct the user's grants in the database, then resume the request",
    ))
}

async fn questions(ctx: &Ctx, connection: &mut PgConnection) -> Result<u64> {
    ctx.doing(SpanKind::Data, "asking the plan's questions");
    let checks = planned(&ctx.run.plan.data_checks);
    let outcomes = run_data_checks(connection, &checks, QUESTION)
        .await
        .map_err(StepError::failed("asking the plan's questions"))?;
    let judged = judged(&outcomes, || ctx.patience.failed("questions").times);
    judged.map(|()| ctx.run.plan.data_checks.len() as u64)
}

/// What comes of the answers: what does not hold is a matter of the data, what could not be asked is one of the plan, or of now.
fn judged(outcomes: &[DataOutcome], tried: impl FnOnce() -> u32) -> Result<()> {
    let told = |of: &dyn Fn(&DataOutcome) -> bool| {
        let lines: Vec<_> =
            outcomes.iter().filter(|one| !one.holds && of(one)).map(ToString::to_string).collect();
        Some(lines.join("; ")).filter(|lines| !lines.is_empty())
    };
    if let Some(broken) = told(&|one| one.unasked.is_none()) {
        return Err(StepError::refused(
            format!("the restored data does not answer the plan's checks: {broken}"),
            "is it the right backup? If a check itself is wrong, correct dataChecks in the plan, apply it, and resume",
        ));
    }
    if let Some(wrong) = told(&|one| matches!(one.unasked, Some(Unasked::Question { .. }))) {
        return Err(StepError::refused(
            format!("the plan's checks could not be asked: {wrong}"),
            "correct dataChecks in the plan, apply it, and resume; the data is back",
        ));
    }
    let Some(late) = told(&|one| one.unasked.is_some()) else { return Ok(()) };
    if tried() >= TRIES {
        return Err(StepError::refused(
            format!("the plan's checks could not be asked {TRIES} times: {late}"),
            "ask for less in dataChecks, or mend what the message names, apply it, and resume; the data is back",
        ));
    }
    // A time-out, a lack of memory or disk: another try may do.
    Err(StepError::io("asking the plan's questions")(std::io::Error::other(late)))
}

/// It was restored for real, and is what the dump holds. Whether that is all that can be asked of it says the prover, which looks into
/// indexes and pages too, holds it against the backups before it and the code, and doubts what a recovery can only tell.
async fn record(ctx: &Ctx, chosen: &ChosenBackup, dump: &Dump) -> Result<()> {
    let tools = ctx.tools.postgresql().await.map_err(StepError::failed("looking for pg_restore"))?;
    let verdict = Verdict {
        kind: "database".to_owned(),
        backup: chosen.backup.clone(),
        taken_at: Some(chosen.taken_at),
        size_bytes: i64::try_from(chosen.size_bytes).ok(),
        rung: Rung::Restored,
        refused: None,
        message: None,
        sha256: Some(chosen.archive_sha256.clone()),
        tools: dump::tool_versions(&tools),
        checked_at: ctx.tools.clock.now(),
        checked_by: Some(ctx.run.request.clone()),
        name: Some(chosen.name.clone()),
        settled: false,
        dump_sha256: Some(chosen.dump_sha256.clone()),
        counts: Some(rows_document(&rows_of(&dump.counts))),
        ..Verdict::default()
    };
    ctx.written(|store| store.record_verdict(&ctx.run.plan_name, &verdict)).await
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;
    use crate::recovery::steps::bench::{Bench, vendors};
    use crate::runtime::class::{Class, Classified as _};

    #[tokio::test]
    async fn the_user_that_was_made_is_given_its_rights_whatever_the_plan_names_by_now() {
        let bench = Bench::new(Step::CheckDatabase, vendors(|_, _| Err(404))).await;
        let made = serde_json::json!({ "id": "lecteur" });
        let bench = bench
            .replanned(|plan| plan.target.read_only_user = Some("another".to_owned()))
            .after([(Step::ReadOnlyUser, made)]);
        bench.sql("CREATE ROLE lecteur").await;
        let mut connection = PgConnection::connect_with(&bench.options()).await.expect("connected");
        read_only(&bench.ctx, &mut connection).await.expect("it reads all");
        let reads = "SELECT has_table_privilege('lecteur', 'recovery_plans', 'SELECT')";
        let reads: bool = sqlx::query_scalar(reads).fetch_one(&mut connection).await.expect("told");
        assert!(reads);
        goodbye(connection).await;
        bench.end().await;
    }

    fn outcome(holds: bool, unasked: Option<Unasked>) -> DataOutcome {
        let (name, found, expected) = ("rows".to_owned(), "3".to_owned(), "4 or more".to_owned());
        DataOutcome { name, holds, unasked, found, expected }
    }

    #[test]
    fn what_could_not_be_asked_now_is_asked_again_and_what_does_not_hold_is_told() {
        assert!(judged(&[outcome(true, None)], || 1).is_ok());
        let slow = || judged(&[outcome(false, Some(Unasked::Machine))], || TRIES - 1).unwrap_err();
        assert_eq!(slow().class(), Class::Transient, "{}", slow());
        let always = judged(&[outcome(false, Some(Unasked::Machine))], || TRIES).unwrap_err();
        assert_eq!(always.class(), Class::Terminal, "somebody is told: {always}");
        let typo = judged(&[outcome(false, Some(Unasked::Question { absent: true }))], || 1).unwrap_err();
        assert!(typo.class() == Class::Terminal && typo.to_string().contains("correct dataChecks"), "{typo}");
        let both = [outcome(false, Some(Unasked::Machine)), outcome(false, None)];
        let wrong = judged(&both, || 1).unwrap_err();
        assert_eq!(wrong.class(), Class::Terminal);
        assert!(wrong.to_string().contains("rows (found 3, expected 4 or more)"), "{wrong}");
    }
}
