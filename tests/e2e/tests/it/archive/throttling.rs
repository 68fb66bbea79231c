//! Stores that take only so many requests a second: asked for less, less is asked.

use bytes::Bytes;
use reprise_e2e::depot::{ARCHIVE, PRODUCTION, play};
use reprise_e2e::plan::Plan;

use super::body;

/// Objects that are copied.
const OBJECTS: usize = 600;
/// Writes that the store takes in a second: far fewer than would come.
const RATE: f64 = 100.0;
/// Of a hundred answers, so many at most are refusals.
const SHARE: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copying_and_restoring_find_the_pace_that_a_store_bears() {
    play(&Plan::example(), async |depot| {
        let objects = (0..OBJECTS).map(|n| (format!("{n:05}"), body(&n.to_string())));
        depot.source.seed(PRODUCTION, objects.collect::<Vec<(String, Bytes)>>().into_iter()).await;
        depot.archive.limit_writes(RATE);
        let record = depot.take().await;
        assert_eq!(record["manifest"]["objects"], OBJECTS);
        let share = |shelf: &reprise_e2e::shelf::Shelf, path: &str| {
            let (good, slow) = (shelf.answers("PutObject", path, 200), shelf.answers("PutObject", path, 503));
            println!("{path}: {good} objects were taken, {slow} times less was asked for");
            assert!(good >= OBJECTS && slow > 0, "{good} were taken, {slow} refused");
            assert!(slow * 100 <= (good + slow) * SHARE, "{slow} refusals for {good} objects");
        };
        share(&depot.archive, ARCHIVE);

        depot.source.bucket("back", false, false).await;
        depot.source.limit_writes(RATE);
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!(
            (&restored["copied"], &restored["differences"]),
            (&OBJECTS.into(), &serde_json::json!([]))
        );
        share(&depot.source, "/back/");
    })
    .await;
}
