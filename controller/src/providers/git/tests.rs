//! With the system's git and repositories in temporary folders.

use super::*;
use crate::runtime::class::{Class, Classified as _};

async fn run(args: &[&str]) -> String {
    let author = |program: Program| {
        ["AUTHOR", "COMMITTER"].iter().fold(program, |program, who| {
            program.env(&format!("GIT_{who}_NAME"), "a").env(&format!("GIT_{who}_EMAIL"), "a@example.org")
        })
    };
    let finished = author(git()).args(args).run(|_| ()).await.unwrap();
    assert!(finished.status.success(), "{args:?}: {}", finished.complaint);
    String::from_utf8(finished.output).unwrap().trim().to_owned()
}

/// A repository with one commit on `main`, its folder, and that commit.
async fn upstream() -> (tempfile::TempDir, Source, String) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap().to_owned();
    run(&["init", "--quiet", "-b", "main", &at]).await;
    std::fs::write(folder.path().join(".env.template"), "SECRET_KEY=\n").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
    run(&["-C", &at, "add", "."]).await;
    run(&["-C", &at, "commit", "--quiet", "-m", "first"]).await;
    run(&["-C", &at, "tag", "v1"]).await;
    let commit = run(&["-C", &at, "rev-parse", "HEAD"]).await;
    (folder, Source { url: at, token: None, extra_ca_pem: None }, commit)
}

#[tokio::test]
async fn a_branch_a_tag_and_a_commit_mean_the_same() {
    let (_folder, source, commit) = upstream().await;
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&repository.dir).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "the code may be private");
    for reference in ["main", "refs/heads/main", "v1", &commit] {
        assert_eq!(repository.fetch(&source, reference).await.unwrap().as_str(), commit, "{reference}");
    }
    let unknown = repository.fetch(&source, "nowhere").await.unwrap_err();
    assert!(matches!(&unknown, GitError::NoSuchRef { .. }), "{unknown}");
    let commit = repository.fetch(&source, &"0".repeat(40)).await.unwrap_err();
    assert!(matches!(&commit, GitError::NoSuchRef { .. }), "{commit}");
    let gone = Source { url: format!("{}-gone", source.url), ..source };
    let gone = repository.fetch(&gone, "main").await.unwrap_err();
    assert!(matches!(&gone, GitError::NoAccess { .. }), "{gone}");
    assert_eq!([unknown.class(), gone.class()], [Class::Terminal; 2]);
}

#[tokio::test]
async fn a_lock_that_a_killed_git_left_is_removed_and_a_fresh_one_is_not() {
    let (folder, source, commit) = upstream().await;
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    repository.fetch(&source, "main").await.unwrap();
    let at = folder.path().to_str().unwrap().to_owned();
    run(&["-C", &at, "commit", "--quiet", "--allow-empty", "-m", "second"]).await;
    let kept = std::fs::read_dir(repository.dir.join("refs/reprise")).unwrap().next().unwrap().unwrap();
    let lock = kept.path().with_extension("lock");
    std::fs::write(&lock, "").unwrap();
    let error = repository.fetch(&source, "main").await.unwrap_err();
    assert!(matches!(&error, GitError::Locked { .. }), "{error}");
    assert_eq!((error.class(), error.is_of_the_host()), (Class::Transient, false), "older code is no help");
    let hour_ago = std::fs::File::options().write(true).open(&lock).unwrap();
    let before = hour_ago.metadata().unwrap().modified().unwrap() - Duration::from_hours(1);
    hour_ago.set_modified(before).unwrap();
    assert_ne!(repository.fetch(&source, "main").await.unwrap().as_str(), commit);
    assert!(!lock.exists());
}

#[tokio::test]
async fn a_file_is_read_and_a_link_is_not_followed() {
    let (_folder, source, _) = upstream().await;
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    let commit = repository.fetch(&source, "main").await.unwrap();
    let read = |path: &'static str, limit| repository.read(&commit, path, limit);
    assert_eq!(read(".env.template", 100).await.unwrap().unwrap(), b"SECRET_KEY=\n");
    assert_eq!(read("missing", 100).await.unwrap(), None);
    assert_eq!(read("link", 100).await.unwrap(), None);
    assert!(read(".env.template", 3).await.is_err());
}

#[tokio::test]
async fn the_paths_of_a_commit_are_told_without_a_checkout() {
    let (folder, source, _) = upstream().await;
    let at = folder.path().to_str().unwrap().to_owned();
    std::fs::create_dir_all(folder.path().join("été/migrations")).unwrap();
    std::fs::write(folder.path().join("été/migrations/0001_a b.py"), "").unwrap();
    run(&["-C", &at, "add", "."]).await;
    run(&["-C", &at, "commit", "--quiet", "-m", "second"]).await;
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    let commit = repository.fetch(&source, "main").await.unwrap();
    let paths = repository.paths(&commit, 1 << 20).await.unwrap();
    assert_eq!(paths, [".env.template", "link", "été/migrations/0001_a b.py"]);
    assert!(repository.paths(&commit, 3).await.is_err(), "a tree that is too large is no small one");
}

#[tokio::test]
async fn exactly_one_commit_reaches_master_and_no_tag() {
    let (_folder, source, commit) = upstream().await;
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    let fetched = repository.fetch(&source, "main").await.unwrap();
    let remote = cache.path().join("app.git");
    let at = remote.to_str().unwrap();
    run(&["init", "--quiet", "--bare", at]).await;
    let mut uploads = 0;
    let told = |line: &str| uploads += usize::from(is_upload(line));
    assert_eq!(repository.push(&fetched, at, None, told).await.unwrap(), Pushed::Moved);
    assert!(uploads > 0, "a large upload would pass in silence");
    assert_eq!(repository.push(&fetched, at, None, |_| ()).await.unwrap(), Pushed::UpToDate);
    assert_eq!(
        run(&["--git-dir", at, "for-each-ref", "--format=%(refname) %(objectname)"]).await,
        format!("{DEPLOYED} {commit}")
    );
}

#[tokio::test]
async fn an_earlier_release_is_deployed_over_a_newer_one() {
    let (folder, source, first) = upstream().await;
    let at = folder.path().to_str().unwrap().to_owned();
    run(&["-C", &at, "commit", "--quiet", "--allow-empty", "-m", "second"]).await;
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    let newer = repository.fetch(&source, "main").await.unwrap();
    let older = repository.fetch(&source, &first).await.unwrap();
    let remote = cache.path().join("app.git");
    let at = remote.to_str().unwrap();
    run(&["init", "--quiet", "--bare", at]).await;
    for commit in [&newer, &older] {
        assert_eq!(repository.push(commit, at, None, |_| ()).await.unwrap(), Pushed::Moved);
        let deployed = run(&["--git-dir", at, "rev-parse", DEPLOYED]).await;
        assert_eq!(deployed, commit.as_str());
    }
}

#[tokio::test]
async fn a_refusing_hook_is_a_refusal_with_its_lines_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, source, _) = upstream().await;
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    let commit = repository.fetch(&source, "main").await.unwrap();
    let remote = cache.path().join("app.git");
    let at = remote.to_str().unwrap();
    run(&["init", "--quiet", "--bare", at]).await;
    let hook = remote.join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\necho building >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    run(&["--git-dir", at, "config", "core.hooksPath", "hooks"]).await;
    let mut told = Vec::new();
    let error = repository.push(&commit, at, None, |line| told.push(line.to_owned())).await.unwrap_err();
    assert!(told.iter().any(|line| line.contains("building") && !is_upload(line)), "{told:?}");
    assert!(matches!(&error, GitError::Refused { reason } if reason.contains("hook declined")), "{error}");
    assert!(!error.outcome_unknown());
}

#[test]
fn a_lost_push_is_in_doubt_and_a_refused_connection_is_not() {
    assert!(verdict("", false, "fatal: the remote end hung up unexpectedly").unwrap_err().outcome_unknown());
    assert!(!verdict("", false, "Host key verification failed.").unwrap_err().outcome_unknown());
    assert!(!verdict("", false, "git@h: Permission denied (publickey).").unwrap_err().outcome_unknown());
}

#[tokio::test]
async fn options_and_helpers_are_no_arguments() {
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    let source = |url: &str| Source { url: url.into(), token: None, extra_ca_pem: None };
    for reference in ["", "--upload-pack=x", "a b", "a:b", "+x", "a..b", "x^{}"] {
        let error = repository.fetch(&source("/nowhere"), reference).await.unwrap_err();
        assert!(matches!(error, GitError::Argument { .. }), "{reference:?}: {error}");
    }
    for url in ["ext::sh -c id", "http://example.org/x.git", "ssh://h/x", "https://user:pass@example.org/x"] {
        let error = repository.fetch(&source(url), "main").await.unwrap_err();
        assert!(matches!(error, GitError::Argument { .. }), "{url:?}: {error}");
    }
}

#[tokio::test]
async fn another_protocol_than_the_addresss_own_is_not_followed() {
    let listen = || tokio::net::TcpListener::bind("127.0.0.1:0");
    let (host, other) = (listen().await.unwrap(), listen().await.unwrap());
    let elsewhere = format!("https://{}/code.git/info/refs", other.local_addr().unwrap());
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    let url = format!("http://{}/code.git", host.local_addr().unwrap());
    let source = Source { url, token: None, extra_ca_pem: None };
    let sends_on = async {
        let (mut stream, _) = host.accept().await.unwrap();
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.unwrap();
        std::future::pending::<std::convert::Infallible>().await
    };
    let error = tokio::select! {
        fetched = repository.fetch(&source, "main") => fetched.unwrap_err(),
        _ = other.accept() => panic!("it went there"),
        never = sends_on => match never {},
    };
    assert!(matches!(&error, GitError::Failed { .. }), "{error}");
}

#[test]
fn a_machine_that_is_short_of_something_may_have_it_again() {
    use std::io::ErrorKind::{NotFound, StorageFull, WouldBlock};
    let start = |kind: std::io::ErrorKind| GitError::Process {
        doing: "fetch the code",
        source: ProcessError::Start { program: "git", source: kind.into() },
    };
    assert_eq!(
        [NotFound, StorageFull, WouldBlock].map(|kind| start(kind).class()),
        [Class::Terminal, Class::Transient, Class::Transient]
    );
    assert!(!start(WouldBlock).is_of_the_host(), "the archive's older code is no help");
}

#[tokio::test]
async fn a_host_that_sends_nothing_is_given_up() {
    let cache = tempfile::tempdir().unwrap();
    let mut repository = Repository::open(&cache.path().join("code.git")).await.unwrap();
    repository.silence = 1;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/code.git", silent.local_addr().unwrap());
    let source = Source { url, token: None, extra_ca_pem: None };
    let fetched = repository.fetch(&source, "main");
    let accepts = async {
        let _open = silent.accept().await.unwrap();
        std::future::pending::<std::convert::Infallible>().await
    };
    let error =
        tokio::select! { fetched = fetched => fetched.unwrap_err(), never = accepts => match never {} };
    assert!(matches!(&error, GitError::Failed { .. }), "{error}");
    assert_eq!(error.class(), Class::Transient, "{error}");
}
