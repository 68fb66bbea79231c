//! What `up` says to people, and what it looks for before it starts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::seed::Size;

/// The real programs behind the world, and the Debian package of each. `PostgreSQL` says so itself.
const PROGRAMS: [(&str, &str); 4] =
    [("redis-server", "redis-server"), ("git", "git"), ("unshare", "util-linux"), ("mount", "mount")];

/// Says which programs are missing, and where they come from.
pub(super) fn check_programs() -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !is_there(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let named = |pick: fn(&(&'static str, &'static str)) -> &'static str| {
        missing.iter().map(|one| pick(one)).collect::<Vec<_>>()
    };
    let (programs, packages) = (named(|one| one.0).join(", "), named(|one| one.1).join(" "));
    Err(format!("{programs} (Debian: apt-get install {packages})"))
}

/// What the banner tells.
#[derive(Debug)]
pub(super) struct About {
    pub(super) dir: PathBuf,
    pub(super) env_file: PathBuf,
    pub(super) speed: f64,
    pub(super) seed: u64,
    pub(super) size: Size,
}

impl About {
    /// The banner of a world that took `took` to start and has this environment. No secret is in it.
    pub(super) fn banner(&self, took: Duration, env: &[(String, String)]) -> String {
        let of = |name: &str| env.iter().find(|(one, _)| one == name).map_or("", |(_, value)| value.as_str());
        let (dir, file) = (quoted(&self.dir), quoted(&self.env_file));
        let size = format!("{:?}", self.size).to_lowercase();
        let pace = if (self.speed - 1.0).abs() < f64::EPSILON {
            "as slow as life".into()
        } else {
            format!("{} times faster", self.speed)
        };
        format!(
            "\n  A world is up (in {:.1} s): {size}, {pace}, seed {}.\n\n  \
             Environment  set -a; . {file}; set +a\n  \
             Control      {}\n  \
             Programs     reprise-sandbox exec --dir {dir} -- COMMAND\n  \
             Again        reprise-sandbox reset --dir {dir}; snapshot NAME, restore NAME, snapshots\n  \
             Stop         Ctrl-C, or SIGTERM to process {}; {dir} will be emptied\n\n",
            took.as_secs_f64(),
            self.seed,
            of("CONTROL_URL"),
            std::process::id(),
        )
    }
}

/// A path as a shell wants it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=,@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_says_how_to_go_on_and_no_secret() {
        let about =
            About { dir: "/w x".into(), env_file: "/e".into(), speed: 30.0, seed: 1, size: Size::Small };
        let env = [("CONTROL_URL", "http://127.0.0.1:9"), ("GITHUB_TOKEN", "ghp_secret")];
        let env: Vec<_> = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let banner = about.banner(Duration::from_secs(2), &env);
        for part in ["small", "30 times", "http://127.0.0.1:9", "--dir '/w x' -- COMMAND", ". /e;"] {
            assert!(banner.contains(part), "{part}: {banner}");
        }
        assert!(!banner.contains("ghp_"));
        assert!(!banner.lines().any(|line| line.trim() == "ready"));
    }
}
