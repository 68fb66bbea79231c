//! What takes longer than nothing may move, and goes on all the same: it is no stall.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use reprise_e2e::plan::{APPS, Plan};
use reprise_e2e::records::Request;
use reprise_e2e::shelf;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;
use reprise_sandbox::control::Disaster;
use reprise_sandbox::s3::Key;
use sha2::{Digest as _, Sha256};

use crate::mirror::BETTER;
use crate::platform::Code;

/// An object that takes 25 s at [`SLOWLY`]: more than the stall limit of a world that is so much faster.
const DOCUMENT: [u8; 250] = [7; 250];
const SLOWLY: Fault = Fault::SlowBody { bytes_per_second: 10 };

async fn nothing_stalled(stage: &Stage, request: &Request) {
    stage.daemon.records().succeeded(request).await;
    let stalled = "SELECT message FROM recovery_events WHERE message LIKE 'nothing moved%'";
    assert_eq!(stage.daemon.records().column(stalled).await, [""; 0]);
}

async fn put(client: &Client, bucket: &str) {
    let body = ByteStream::from_static(&DOCUMENT);
    client.put_object().bucket(bucket).key("slow.bin").body(body).send().await.expect("put");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_comes_slowly_and_a_build_that_says_nothing_come_to_their_end() {
    play(73, async |stage: &mut Stage| {
        stage.world.owns("foreign_write: PutObject wrote to the bucket `apilos-mirror`");
        put(&stage.world.mirror(), stage.world.variable("S3_ARCHIVE_BUCKET")).await;
        stage.world.break_("GetObject", "slow.bin", None, SLOWLY);
        let code = Code::of(stage);
        let long = format!("if [ \"$APP\" = {} ]; then sleep 25; fi\n", APPS[0]);
        code.build(&[code.built().as_slice(), long.as_bytes()].concat());
        let request = stage.bad_day(&Plan::example().with(BETTER, "")).await;
        nothing_stalled(stage, &request).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_comes_slowly_from_the_archive_comes_to_its_end() {
    play(74, async |stage: &mut Stage| {
        let variable = |name: &str| stage.world.variable(&format!("S3_SOURCE_{name}")).to_owned();
        let keys = Key::set((variable("ACCESS_KEY_ID"), variable("SECRET_ACCESS_KEY")));
        let (client, bucket) = (shelf::client(&variable("ENDPOINT"), &keys[0]), variable("BUCKET"));
        stage.world.owns("foreign_write: PutObject wrote to the bucket `apilos-production`");
        put(&client, &bucket).await;
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        stage.daemon.run(&["archive", "--dev", "init", "apilos"]).await;
        stage.daemon.run(&["archive", "--dev", "run", "apilos"]).await;
        let content = format!("objects/{}", hex::encode(Sha256::digest(DOCUMENT)));
        stage.world.break_("GetObject", &content, None, SLOWLY);
        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        nothing_stalled(stage, &request).await;
        let chosen = stage.daemon.records().step(&request, "choose-objects").await.expect("it was chosen");
        assert_eq!(chosen.output["from"], "archive", "{:?}", chosen.output);
    })
    .await;
}
