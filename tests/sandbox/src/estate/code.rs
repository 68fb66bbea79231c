//! The application's code: a bare repository with one commit on `main`.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{EstateError, failed};
use crate::sandbox::Parts;

/// The process types. Their program comes from `PATH`: there are no buildpacks here.
const PROCFILE: &str = "\
web: reprise-sample-app web
worker: reprise-sample-app worker
postdeploy: reprise-sample-app postdeploy
";

/// What each variable is, as the real application's repository says it.
const TEMPLATE: &str = "\
SECRET_KEY=my-secret-key
ENVIRONMENT=development
DEBUG=True
LOGLEVEL=ERROR

# Default DB settings
DB_USER=apilos
DB_NAME=apilos
DB_HOST=localhost
DB_PASSWORD=apilos
DB_PORT=5433

# Read only DB settings
DB_READONLY=postgres://apilos:apilos@localhost:5433/apilos

# Application domain url for email
APPLICATION_DOMAIN_URL=http://localhost:8000
ALLOWED_HOSTS=localhost

# Comment AWS configuration block to store files locally in development
# AWS_ACCESS_KEY_ID=<AWS_ACCESS_KEY_ID>
# AWS_SECRET_ACCESS_KEY=<AWS_SECRET_ACCESS_KEY>
# AWS_STORAGE_BUCKET_NAME='apilos-dev'
# AWS_S3_REGION_NAME='fr-par'
# AWS_S3_ENDPOINT_URL='https://s3.example.test'

# Comment sentry setting to deactivate it
SENTRY_URL=

# Portal, for the deployment that depends on it
# CERBERE_AUTH=https://portal.example.test/cas/
";

const README: &str = "\
# apilos

A small application that needs a database, a bucket and a Redis. Deployed twice.
";

/// Makes the repository: its folder and the commit of `main`.
pub(super) async fn make(parts: &Parts) -> Result<(PathBuf, String), EstateError> {
    let file = |source| EstateError::File { what: "the code's repository", source };
    let folder = parts.world.folder("code").map_err(file)?;
    let (work, bare) = (folder.join("work"), folder.join("apilos.git"));
    std::fs::create_dir_all(&work).map_err(file)?;
    for (name, content) in [("Procfile", PROCFILE), (".env.template", TEMPLATE), ("README.md", README)] {
        std::fs::write(work.join(name), content).map_err(file)?;
    }
    git(&work, &["init", "--quiet", "--initial-branch=main", "."]).await?;
    git(&work, &["add", "--all"]).await?;
    git(&work, &["commit", "--quiet", "--message=first version"]).await?;
    let commit = git(&work, &["rev-parse", "HEAD"]).await?;
    let target = bare.display().to_string();
    git(&work, &["clone", "--quiet", "--bare", ".", &target]).await?;
    std::fs::remove_dir_all(&work).map_err(file)?;
    Ok((bare, commit.trim().to_owned()))
}

/// Runs git on its own: neither the machine's nor the user's configuration, always the same author and date.
async fn git(dir: &Path, args: &[&str]) -> Result<String, EstateError> {
    const DATE: &str = "2026-01-05T09:00:00+01:00";
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([
            ("GIT_AUTHOR_NAME", "apilos"),
            ("GIT_AUTHOR_EMAIL", "dev@apilos.test"),
            ("GIT_AUTHOR_DATE", DATE),
        ])
        .envs([("GIT_COMMITTER_NAME", "apilos"), ("GIT_COMMITTER_EMAIL", "dev@apilos.test")])
        .env("GIT_COMMITTER_DATE", DATE)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(failed("run git"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed("make the code's repository")(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
