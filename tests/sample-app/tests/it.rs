//! The application in the sandbox: real database, real Redis, real processes behind the real ingress.
#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use reprise_sandbox::plane::authority::Authority;
use reprise_sandbox::plane::databases::Databases;
use reprise_sandbox::plane::ingress::Ingress;
use reprise_sandbox::plane::redis::RedisServers;
use reprise_sandbox::plane::runner::{DeployFailure, Formation, Release, Runner};
use reprise_sandbox::world::World;

const HOST: &str = "sample.osc-fr1.scalingo.test";

struct Town {
    dir: tempfile::TempDir,
    world: Arc<World>,
    runner: Arc<Runner>,
    ingress: Arc<Ingress>,
    databases: Arc<Databases>,
    redis: Arc<RedisServers>,
    variables: BTreeMap<String, String>,
}

async fn town() -> Town {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 60.0, 1).unwrap();
    let runner = Runner::start(&world);
    let authority = Authority::new(&world.folder(reprise_sandbox::exec::CA_FOLDER).unwrap()).unwrap();
    let ingress = Ingress::start(&world, &runner, authority).await.unwrap();
    ingress.attach(HOST, "sample");
    let (databases, redis) = (Databases::start(&world).await.unwrap(), RedisServers::start(&world));
    databases.admit(&runner);
    let database = databases.create("sample_1").await.unwrap();
    let queue = redis.create("sample_2").await.unwrap();
    databases.run_sql("sample_1", "CREATE TABLE \"Odd name\" AS SELECT generate_series(1, 7)").await.unwrap();
    databases.add_user("sample_1", "reader", "a-password-of-24-letters", true).await.unwrap();
    let reader =
        format!("postgres://reader:a-password-of-24-letters@{}:{}/sample_1", database.host, database.port);
    let pairs = [
        ("SECRET_KEY", "s".to_owned()),
        ("ENVIRONMENT", "test".into()),
        ("DB_HOST", database.host),
        ("DB_PORT", database.port.to_string()),
        ("DB_NAME", database.database),
        ("DB_USER", database.user),
        ("DB_PASSWORD", database.password),
        ("DB_READONLY", reader),
        ("REDIS_URL", format!("redis://{}:{}@{}:{}", queue.user, queue.password, queue.host, queue.port)),
        ("ALLOWED_HOSTS", format!("{HOST}, other.example.test")),
        ("AWS_ACCESS_KEY_ID", "key".into()),
        ("AWS_SECRET_ACCESS_KEY", "secret".into()),
        ("AWS_STORAGE_BUCKET_NAME", "documents".into()),
        ("AWS_S3_ENDPOINT_URL", "http://127.0.0.1:9".into()),
        ("AWS_S3_REGION_NAME", "fr-par".into()),
        ("SOURCE_VERSION", "0123abcd".into()),
    ];
    let variables = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Town { dir, world, runner, ingress, databases, redis, variables }
}

impl Town {
    async fn release(&self, variables: &BTreeMap<String, String>) -> Result<(), DeployFailure> {
        let program = env!("CARGO_BIN_EXE_reprise-sample-app");
        assert_eq!(Path::new(program).file_name().unwrap(), "reprise-sample-app");
        let commands = [("web", "web"), ("worker", "worker"), ("postdeploy", "migrate")];
        let procfile = commands.map(|(kind, arg)| (kind.to_owned(), format!("reprise-sample-app {arg}")));
        let dir = self.world.folder("apps/sample/d1").unwrap();
        let release = Release { deployment: "d1".into(), dir, procfile: procfile.into_iter().collect() };
        let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
        let formation = Formation::from([("web".to_owned(), 1), ("worker".to_owned(), 1)]);
        self.runner.release("sample", release, &formation, variables, &log).await
    }

    async fn get(&self, host: &str, path: &str) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}{path}", self.ingress.http());
        let answer = client.get(url).header("host", host).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn it_shows_what_a_recovery_brought_back() {
    let town = town().await;
    town.release(&town.variables).await.unwrap();
    let page = async |path: &str| town.get(HOST, path).await;
    let (status, index) = page("/").await;
    assert_eq!(
        (status, index.as_str()),
        (200, r#"{"app":"sample","environment":"test","revision":"0123abcd"}"#)
    );
    assert_eq!(page("/healthz").await, (200, r#"{"database":true,"redis":true}"#.into()));
    assert_eq!(page("/rows").await, (200, r#"{"public.Odd name":7,"public.reprise_migrations":1}"#.into()));
    assert_eq!(page("/readonly").await, (200, r#"{"can_read":true,"can_write":false}"#.into()));
    let (_, migrations) = page("/migrations").await;
    assert!(migrations.contains(r#""app":"sample""#) && migrations.contains("0123abcd"), "{migrations}");
    assert_eq!(page("/objects/a/b.pdf").await.0, 503, "there is no bucket in this world");
    town.ingress.attach("foreign.example.test", "sample");
    assert_eq!(town.get("foreign.example.test", "/").await.0, 400);

    town.redis.destroy("sample_2").await.unwrap();
    assert_eq!(page("/healthz").await.0, 503);
    let kinds: Vec<_> =
        town.runner.containers("sample").into_iter().map(|container| container.kind).collect();
    assert_eq!(kinds, ["web", "worker"]);
    town.runner.stop("sample").await;
    town.databases.shut_down().await;
    drop(town.dir);
}

#[tokio::test]
async fn it_refuses_to_start_without_its_variables_and_names_them() {
    let town = town().await;
    let mut variables = town.variables.clone();
    variables.remove("SECRET_KEY");
    variables.remove("REDIS_URL");
    let failure = town.release(&variables).await.unwrap_err();
    assert!(matches!(failure, DeployFailure::Crashed(_)), "{failure:?}");
    assert!(failure.to_string().contains("SECRET_KEY, REDIS_URL"), "{failure}");
    town.databases.shut_down().await;
}
