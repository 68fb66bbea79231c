//! Deployments that fail as they are told to, and the archive way in.

use serde_json::{Value, json};

use super::{Site, site, tarball, until};
use crate::doors::Doors;
use crate::paas::work::demolish;
use crate::world::Fault;
use crate::world::faults::Rule;

async fn deployed(site: &Site, reason: &str) -> (String, String) {
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let fault = Fault::Reject { reason: reason.into() };
    let rule = Rule {
        service: Some("scalingo".into()),
        method: Some("build".into()),
        path: None,
        skip: 0,
        times: Some(1),
        fault,
    };
    site.world.faults.add(rule);
    let body = json!({"deployment": {"git_ref": "v1", "source_url": "http://127.0.0.1:1/never"}});
    let (status, made) = site.post("/v1/apps/demarches-test/deployments", body).await;
    assert_eq!((status, made["deployment"]["status"].as_str()), (201, Some("queued")));
    let id = made["deployment"]["id"].as_str().unwrap().to_owned();
    let (busy, _) = site.post("/v1/apps/demarches-test/scale", json!({"containers": []})).await;
    assert_eq!(busy, 409, "an app that deploys was scaled");
    let delete = "/v1/apps/demarches-test?current_name=demarches-test";
    assert_eq!(site.call("DELETE", delete, Value::Null).await.0, 409, "an app that deploys was deleted");
    site.advance(120);
    let path = format!("/v1/apps/demarches-test/deployments/{id}");
    until("the deployment ends", async || {
        site.paas.state().app("demarches-test").unwrap().deployments[0].is_finished()
    })
    .await;
    let status = site.get(&path).await.1["deployment"]["status"].as_str().unwrap().to_owned();
    let url = format!("{}{path}/output", site.paas.urls().api);
    let output = site.ask(&site.bearer, reqwest::Method::GET, &url, None).await.text().await.unwrap();
    (status, output)
}

#[tokio::test]
async fn a_deployment_that_is_rejected_ends_with_that_status() {
    for reason in ["build-error", "hook-error"] {
        let site = site().await;
        let (status, output) = deployed(&site, reason).await;
        assert_eq!(status, reason);
        assert!(output.contains("rejected on purpose"), "{output}");
        assert_eq!(site.get("/v1/apps/demarches-test").await.1["app"]["status"], "new");
    }
}

#[tokio::test]
async fn a_source_is_uploaded_once_and_its_address_ends() {
    let site = site().await;
    let (status, made) = site.post("/v1/sources", json!({})).await;
    assert_eq!(status, 201);
    let (up, down) =
        (made["source"]["upload_url"].as_str().unwrap(), made["source"]["download_url"].as_str().unwrap());
    let put =
        site.http.put(up).header("content-type", "application/x-gzip").body("archive").send().await.unwrap();
    assert_eq!(put.status().as_u16(), 200);
    assert_eq!(site.http.get(down).send().await.unwrap().text().await.unwrap(), "archive");
    site.advance(601);
    assert_eq!(site.http.get(down).send().await.unwrap().status().as_u16(), 403);
    let journal = serde_json::to_string(&site.world.journal.entries()).unwrap();
    assert!(!journal.contains("sig="), "a signature is in the journal");
}

#[tokio::test]
async fn an_archive_is_deployed_and_then_runs() {
    let site = site().await;
    site.idle_app().await;
    let (status, app) = site.get("/v1/apps/demarches-test").await;
    assert_eq!((status, app["app"]["status"].as_str()), (200, Some("stopped")), "no web: nothing runs");
    assert_eq!(app["app"]["last_deployed_by"], "agence");
    let formation = site.get("/v1/apps/demarches-test/containers").await.1;
    assert_eq!(formation["containers"][0]["command"], "sleep 600");
    let listed = site.get("/v1/apps/demarches-test/deployments?per_page=1").await.1;
    assert_eq!(
        (listed["deployments"][0]["status"].as_str(), listed["meta"]["pagination"]["total_count"].as_u64()),
        (Some("success"), Some(1))
    );
}

#[tokio::test]
async fn a_container_knows_its_version_and_size() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let says = "postdeploy: echo $CONTAINER_VERSION, $CONTAINER_SIZE, $CONTAINER_MEMORY";
    let url = site.upload(tarball(&[("root/Procfile", &format!("worker: sleep 600\n{says}\n"))])).await;
    let id = site.deploy("demarches-test", &url).await;
    let (status, output) = site.deployed("demarches-test", &id).await;
    assert_eq!(status, "success", "{output}");
    assert!(output.contains("v1, M, 536870912"), "{output}");
}

#[tokio::test]
async fn a_deployment_does_not_reach_a_later_app_of_the_same_name() {
    let (site, name) = (site().await, "demarches-test");
    site.paas.seed_app(&site.user, name).unwrap();
    let whole = site.upload(tarball(&[("root/Procfile", "worker: sleep 600\n")])).await;
    site.deploy(name, &whole).await;
    // As the loss of the account takes it away: a call would be refused while it deploys.
    let remains = {
        let mut state = site.paas.state();
        let place = state.apps.iter().position(|app| app.name == name).unwrap();
        let app = state.apps.remove(place);
        demolish::detach(&site.paas, app)
    };
    demolish::app(&site.paas, remains);
    assert_eq!(site.post("/v1/apps", json!({"app": {"name": name}})).await.0, 201);
    let broken = site.upload(b"this is no gzip".to_vec()).await;
    site.deploy(name, &broken).await;
    until("its own deployment, which waits for that of the former app, ends", async || {
        site.advance(21);
        site.paas.state().app(name).unwrap().deployments[0].is_finished()
    })
    .await;
    let state = site.paas.state();
    let app = state.app(name).unwrap();
    assert_eq!((app.status.as_str(), app.deployments[0].status.as_str()), ("new", "build-error"));
    assert!(app.formation.is_empty(), "the former app's types: {:?}", app.formation);
}

#[tokio::test]
async fn clearing_an_app_away_does_not_touch_a_later_one_of_the_same_name() {
    let (site, name) = (site().await, "demarches-test");
    site.paas.seed_app(&site.user, name).unwrap();
    let scale = json!({"containers": [{"name": "worker", "amount": 1}]});
    assert_eq!(site.post(&format!("/v1/apps/{name}/scale"), scale).await.0, 200);
    // It leaves when it is let go, and not before.
    let signs = site.world.folder("signs").unwrap();
    let at = signs.display();
    let stubborn = format!(
        "worker: trap 'until [ -e {at}/leave ]; do sleep 0.05; done; exit' TERM; touch {at}/up; while :; do sleep 0.05; done\n"
    );
    let url = site.upload(tarball(&[("root/Procfile", &stubborn)])).await;
    let id = site.deploy(name, &url).await;
    let (status, output) = site.deployed(name, &id).await;
    assert_eq!(status, "success", "{output}");
    let (apps, git) = (site.world.folder("apps").unwrap(), site.world.folder("git").unwrap());
    let (former, repository) = (apps.join(name).join(&id), git.join(format!("{name}.git")));
    until("the worker runs", async || signs.join("up").exists()).await;
    std::fs::create_dir_all(repository.join("refs")).unwrap();

    let path = format!("/v1/apps/{name}?current_name={name}");
    assert_eq!(site.call("DELETE", &path, serde_json::Value::Null).await.0, 204);
    assert!(!repository.exists(), "the former app's repository is still there");
    assert_eq!(site.post("/v1/apps", json!({"app": {"name": name}})).await.0, 201);
    std::fs::create_dir_all(&repository).unwrap();
    let archive = site.world.dir().join("new.tar.gz");
    std::fs::write(&archive, tarball(&[("root/Procfile", "worker: true\n")])).unwrap();
    let runner = &site.paas.plane.runner;
    let new = runner.unpack(name, "d2", &archive).await.unwrap();
    runner.note(name, "worker-1", "of the new app");

    std::fs::write(signs.join("leave"), "").unwrap();
    until("the former app's files are gone", async || !former.exists()).await;
    until("its repository is gone", async || std::fs::read_dir(&git).unwrap().count() == 1).await;
    assert!(new.join("Procfile").exists() && repository.exists(), "the new app lost its files");
    let lines = runner.last_lines(name, 9, &crate::plane::runner::logs::Filter::default());
    assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["of the new app"]);
}

#[tokio::test]
async fn an_app_inherits_nothing_of_a_former_one_of_its_name_at_the_ingress() {
    let (site, name) = (site().await, "demarches-test");
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("http://{}/", site.paas.plane.ingress.http());
    let status = async || {
        let host = format!("{name}.{}", crate::paas::DEFAULT_DOMAIN);
        client.get(&url).header("host", host).send().await.unwrap().status()
    };
    site.paas.seed_app(&site.user, name).unwrap();
    let path = format!("/v1/apps/{name}");
    assert_eq!(site.call("PUT", &path, json!({"force_https": true})).await.0, 200);
    assert!(status().await.is_redirection());
    let delete = format!("{path}?current_name={name}");
    assert_eq!(site.call("DELETE", &delete, serde_json::Value::Null).await.0, 204);
    assert_eq!(site.post("/v1/apps", json!({"app": {"name": name}})).await.0, 201);
    assert_eq!(status().await.as_u16(), 503, "nothing runs, and nobody asked for HTTPS");
}

#[tokio::test]
async fn what_is_no_archive_of_one_folder_is_a_build_error() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let heavy = vec![0_u8; 315_000_000];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut header = tar::Header::new_gnu();
    header.set_size(heavy.len() as u64);
    header.set_cksum();
    header.set_path("root/heavy").unwrap();
    header.set_cksum();
    std::io::Write::write_all(&mut gzip, header.as_bytes()).unwrap();
    std::io::Write::write_all(&mut gzip, &heavy).unwrap();
    let refused = [
        (tarball(&[("a/Procfile", "web: x\n"), ("b/file", "x")]), "exactly one root folder"),
        (gzip.finish().unwrap(), "The archive is too heavy"),
        (b"this is no gzip".to_vec(), "could not be unpacked"),
        (tarball(&[("root/file", "x")]), "no Procfile"),
    ];
    for (archive, told) in refused {
        let url = site.upload(archive).await;
        let id = site.deploy("demarches-test", &url).await;
        let (status, output) = site.deployed("demarches-test", &id).await;
        assert_eq!(status, "build-error");
        assert!(output.contains(told), "{output}");
        assert_eq!(site.get("/v1/apps/demarches-test").await.1["app"]["status"], "new");
    }
    let apps = site.world.folder("apps").unwrap().join("demarches-test");
    until("nothing of the failed builds is left", async || std::fs::read_dir(&apps).unwrap().count() == 0)
        .await;
}

#[tokio::test]
async fn a_version_that_fails_leaves_the_formation_of_the_one_that_serves() {
    let site = site().await;
    site.idle_app().await;
    let scale = json!({"containers": [{"name": "worker", "amount": 1}]});
    assert_eq!(site.post("/v1/apps/demarches-test/scale", scale).await.0, 202);
    until("the worker runs", async || {
        site.advance(10);
        site.paas.state().app("demarches-test").unwrap().busy_with().is_none()
    })
    .await;
    let renamed = "celery: sleep 600\npostdeploy: exit 3\n";
    let url = site.upload(tarball(&[("root/Procfile", renamed)])).await;
    let id = site.deploy("demarches-test", &url).await;
    assert_eq!(site.deployed("demarches-test", &id).await.0, "hook-error");
    let told = site.get("/v1/apps/demarches-test/containers").await.1;
    let formation: Vec<_> = told["containers"].as_array().unwrap().iter().map(|kind| &kind["name"]).collect();
    assert_eq!(formation, ["worker"]);
    assert_eq!(site.paas.plane.runner.containers("demarches-test").len(), 1);
}

#[tokio::test]
async fn of_a_repository_of_many_the_project_dir_is_deployed() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let variable = json!({"variable": {"name": "PROJECT_DIR", "value": "apps/api"}});
    assert_eq!(site.post("/v1/apps/demarches-test/variables", variable).await.0, 201);
    let files = [("root/Procfile", "web: false\n"), ("root/apps/api/Procfile", "worker: sleep 600\n")];
    let url = site.upload(tarball(&files)).await;
    let id = site.deploy("demarches-test", &url).await;
    let (status, output) = site.deployed("demarches-test", &id).await;
    assert_eq!(status, "success", "{output}");
    assert!(output.contains("Process types: worker"), "{output}");
    let elsewhere = site.upload(tarball(&[("root/Procfile", "worker: true\n")])).await;
    let id = site.deploy("demarches-test", &elsewhere).await;
    let (status, output) = site.deployed("demarches-test", &id).await;
    assert!(status == "build-error" && output.contains("PROJECT_DIR"), "{output}");
}

#[tokio::test]
async fn an_address_that_has_ended_cannot_be_deployed_from() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let url = site.upload(tarball(&[("root/Procfile", "worker: true\n")])).await;
    site.advance(601);
    let id = site.deploy("demarches-test", &url).await;
    let (status, output) = site.deployed("demarches-test", &id).await;
    assert_eq!(status, "build-error");
    assert!(output.contains("could not be downloaded: the server answered 403"), "{output}");
    for (url, told) in [
        ("http://127.0.0.1:1/code?sig=secret", "Connection refused"),
        ("http://nowhere.apilos.test/code?sig=secret", "no name server knows nowhere.apilos.test"),
    ] {
        let id = site.deploy("demarches-test", url).await;
        let (_, output) = site.deployed("demarches-test", &id).await;
        assert!(output.contains(told) && !output.contains("secret"), "{output}");
    }
}

#[tokio::test]
async fn an_archive_is_deployed_from_a_name_of_the_world() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    site.world.names.add("sources.example.test").unwrap();
    let url = site.upload(tarball(&[("root/Procfile", "worker: sleep 600\n")])).await;
    let id = site.deploy("demarches-test", &url.replace("127.0.0.1", "sources.example.test")).await;
    let (status, output) = site.deployed("demarches-test", &id).await;
    assert_eq!(status, "success", "{output}");
}

#[tokio::test]
async fn an_archives_address_may_lead_from_http_to_https() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    site.world.names.add("sources.example.test").unwrap();
    let listen = || tokio::net::TcpListener::bind(("127.0.0.1", 0));
    let (plain, secure) = (listen().await.unwrap(), listen().await.unwrap());
    let port = |door: &tokio::net::TcpListener| door.local_addr().unwrap().port();
    // As where low ports are not ours to bind.
    let ports = std::collections::BTreeMap::from([(80, port(&plain)), (443, port(&secure))]);
    let doors = Doors { address: None, ports, name_servers: std::collections::BTreeMap::new() };
    std::fs::write(site.world.dir().join("doors.json"), serde_json::to_vec(&doors).unwrap()).unwrap();
    let id = site.deploy("demarches-test", "http://sources.example.test/code").await;
    let way = async {
        let (mut asked, _) = plain.accept().await.unwrap();
        assert!(asked.read(&mut [0; 4096]).await.unwrap() > 0);
        let answer =
            "HTTP/1.1 302 Found\r\nLocation: https://sources.example.test/code\r\nContent-Length: 0\r\n\r\n";
        asked.write_all(answer.as_bytes()).await.unwrap();
        tokio::select! {
            accepted = secure.accept() => accepted.unwrap().0.read_u8().await.unwrap(),
            _ = plain.accept() => panic!("https was asked where http is served"),
        }
    };
    let ((_, output), first) = tokio::join!(site.deployed("demarches-test", &id), way);
    assert_eq!(first, 22, "no TLS handshake: {output}");
}
