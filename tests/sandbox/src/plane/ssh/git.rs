//! What a client may ask of git: `git-receive-pack` and `git-upload-pack` of an app's repository. Pure.

/// What git is to do, in the repository of which app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// `git push`.
    Push(String),
    /// `git clone`, `git fetch`, `git ls-remote`.
    Fetch(String),
}

/// The request in `git-receive-pack '/app.git'` and its like; else a line for the client.
pub(super) fn parse(command: &[u8]) -> Result<Request, String> {
    let command = std::str::from_utf8(command).map_err(|_| "The command is not text.".to_owned())?.trim();
    let argument = |verbs: [&str; 2]| verbs.iter().find_map(|verb| command.strip_prefix(verb));
    let (request, path): (fn(String) -> Request, &str) =
        if let Some(path) = argument(["git-receive-pack ", "git receive-pack "]) {
            (Request::Push, path)
        } else if let Some(path) = argument(["git-upload-pack ", "git upload-pack "]) {
            (Request::Fetch, path)
        } else {
            return Err("Only git is served here.".to_owned());
        };
    app(unquoted(path.trim()))
        .map(|app| request(app.to_owned()))
        .ok_or_else(|| "This is no repository of an application.".to_owned())
}

fn unquoted(path: &str) -> &str {
    let inner = |quote: char| path.strip_prefix(quote).and_then(|path| path.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(path)
}

fn app(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let name = name.strip_suffix('/').unwrap_or(name);
    let name = name.strip_suffix(".git").unwrap_or(name);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (!name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.bytes().all(plain))
        .then_some(name)
}

/// What a hook asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// `all REF OLD NEW REF OLD NEW …`: whether the push as a whole is taken.
    All(Vec<Update>),
    /// `one REF OLD NEW`: to deploy this ref.
    One(Update),
}

impl Question {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let verb = words.next()?;
        let words: Vec<&str> = words.collect();
        let updates = words.chunks(3).map(Update::parse).collect::<Option<Vec<_>>>()?;
        match verb {
            "all" => Some(Self::All(updates)),
            "one" if updates.len() == 1 => updates.into_iter().next().map(Self::One),
            _ => None,
        }
    }
}

/// A ref that a push moves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) reference: String,
    /// Where the pusher saw it: zeros for nowhere.
    pub(super) old: String,
    pub(super) new: String,
}

impl Update {
    fn parse(words: &[&str]) -> Option<Self> {
        let is_id = |id: &str| id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit());
        match words {
            [reference, old, new] if is_id(old) && is_id(new) => Some(Self {
                reference: (*reference).to_owned(),
                old: (*old).to_owned(),
                new: (*new).to_owned(),
            }),
            _ => None,
        }
    }

    /// Whether this is deployed; else a line for the pusher.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.reference.starts_with("refs/tags/") {
            return Err("Tags are not accepted.");
        }
        if !matches!(self.reference.as_str(), "refs/heads/master" | "refs/heads/main") {
            return Err(
                "Only the branches master and main are deployed: push with `git push <remote> <branch>:master`.",
            );
        }
        if self.new.bytes().all(|b| b == b'0') {
            return Err("The deployed branch cannot be deleted.");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_read_from_every_form_of_the_path() {
        for path in ["'/my-app.git'", "'my-app.git'", "my-app", "\"/my-app.git/\""] {
            let of = |verb: &str| parse(format!("{verb} {path}").as_bytes());
            assert_eq!(of("git-receive-pack"), Ok(Request::Push("my-app".into())), "{path}");
            assert_eq!(of("git-upload-pack"), Ok(Request::Fetch("my-app".into())), "{path}");
        }
    }

    #[test]
    fn a_path_cannot_leave_its_place() {
        for path in ["'../x.git'", "'/a/b.git'", "''", "'a b'", "--help", "'$(id)'"] {
            assert!(parse(format!("git-receive-pack {path}").as_bytes()).is_err(), "{path}");
            assert!(parse(format!("git-upload-pack {path}").as_bytes()).is_err(), "{path}");
        }
        assert!(parse(b"git-upload-archive '/my-app.git'").is_err());
        assert!(parse(b"bash").is_err());
    }

    #[test]
    fn only_two_branches_deploy() {
        let update = |reference: &str, new: &str| match Question::parse(&format!(
            "one {reference} {} {new}",
            "0".repeat(40)
        )) {
            Some(Question::One(update)) => update.check(),
            other => panic!("{other:?}"),
        };
        let commit = "a".repeat(40);
        assert!(update("refs/heads/main", &commit).is_ok() && update("refs/heads/master", &commit).is_ok());
        assert!(update("refs/heads/feature", &commit).unwrap_err().contains("master"));
        assert!(update("refs/tags/v1", &commit).unwrap_err().contains("Tags"));
        assert!(update("refs/heads/main", &"0".repeat(40)).is_err());
    }

    #[test]
    fn a_push_is_asked_about_as_a_whole() {
        let (old, new) = ("0".repeat(40), "a".repeat(40));
        let line = format!("all refs/heads/main {old} {new} refs/tags/v1 {old} {new}");
        let Some(Question::All(updates)) = Question::parse(&line) else { panic!("{line}") };
        let refs: Vec<_> = updates.iter().map(|update| update.reference.as_str()).collect();
        assert_eq!(refs, ["refs/heads/main", "refs/tags/v1"]);
        for broken in ["", "all refs/heads/main", "one", "other a b c", &format!("one a {old}")] {
            assert_eq!(Question::parse(broken), None, "{broken}");
        }
    }
}
