//! What looks like ours and is not any more, and what looks gone and is not.

use super::*;
use crate::recovery::evidence::tests::step as done;
use crate::store::StepPhase;

/// What the steps left that made the app to which names lead.
fn made(host: &str) -> Arc<Outputs> {
    let output = json!({ "id": "1", "gitUrl": "git@ssh.test:shop.git", "defaultHost": host });
    Arc::new(Outputs::read(&[done("app/shop", StepPhase::Done, output)]))
}

#[tokio::test]
async fn a_record_that_somebody_switched_on_is_left_alone_though_it_bears_the_mark() {
    let mut bench = Bench::new().await;
    let row = bench.record().await;
    bench.ctx.outputs = made("new.test");
    bench.vendor().record.as_mut().expect("there")["value"] = json!("elsewhere.test");
    assert_eq!(bench.settle(&row).await.expect("looked at"), Undone::LeftAlone);
    let untouched = |vendor: &Vendor| {
        vendor.deletions == 0 && vendor.record.as_ref().is_some_and(|now| now["value"] == "elsewhere.test")
    };
    assert!(untouched(&bench.vendor()), "it was switched back");
    bench.vendor().record.as_mut().expect("there")["value"] = json!("NEW.test.");
    assert_eq!(bench.settle(&row).await.expect("undone"), Undone::Settled, "it leads where we led it");
    bench.end().await;
}

#[tokio::test]
async fn a_name_that_leads_to_our_app_without_the_mark_holds_its_app_up() {
    let mut bench = Bench::new().await;
    let app = bench.app().await;
    let detail = json!({ "record": 3, "oldValue": "lost.test", "oldTtl": 600 });
    let row = bench.ctx.intend("dns-record", "www.apilos.test", None, detail).await.expect("written");
    bench.ctx.saw(&row, "3").await.expect("written");
    let domain =
        bench.ctx.intend("domain", "www.apilos.test", Some("shop"), json!({})).await.expect("written");
    bench.vendor().record = Some(json!({
        "id": 3, "domain": 7, "type": "CNAME", "name": "www", "value": "new.test", "ttl": 300, "annotation": "",
    }));
    bench.ctx.outputs = made("new.test");
    let (undone, told) = undo_all(&bench.ctx, &[row, domain, app]).await.expect("all were looked at");
    let told = told.expect("it is held up").to_string();
    assert!(told.contains("www.apilos.test leads to new.test"), "{told}");
    let untouched = |vendor: &Vendor| vendor.apps.len() == 1 && vendor.deletions == 0;
    assert!(undone.resources == 0 && untouched(&bench.vendor()));
    bench.end().await;
}

#[tokio::test]
async fn what_another_account_does_not_see_is_not_gone() {
    let bench = Bench::new().await;
    let row = bench.app().await;
    bench.vendor().apps.clear();
    let other = LedgerRow { detail: json!({ "region": "osc-fr1", "account": "us-2" }), ..row.clone() };
    let told = bench.settle(&other).await.expect_err("it may be there").to_string();
    assert!(told.contains("made as account us-2") && told.contains("of account us-1"), "{told}");
    assert_eq!(bench.settle(&row).await.expect("looked at"), Undone::Absent);
    bench.end().await;
}

#[tokio::test]
async fn what_was_seen_and_is_not_told_for_a_moment_is_not_gone() {
    let bench = Bench::new().await;
    let row = bench.app().await;
    bench.vendor().hidden = 2;
    assert_eq!(bench.settle(&row).await.expect("undone"), Undone::Settled);
    assert!(bench.vendor().apps.is_empty(), "it was deleted");
    bench.end().await;
}
