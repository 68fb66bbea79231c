use super::*;

fn load(file: &str, dev: bool, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let path = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(path.path(), file).expect("written");
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(path.path()), dev, &References::new(environment))
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "[github]\napi_url = \"https://one.example\"";
    let config = load(file, false, &[("GITHUB_API_URL", "https://two.example")]).expect("valid");
    assert_eq!(config.github.api_url, "https://two.example");
}

#[test]
fn a_secret_in_the_file_is_refused() {
    let error = load("[scalingo]\ntoken = \"tk-us-visible\"", false, &[]).expect_err("refused");
    assert!(error.to_string().contains("SCALINGO_API_TOKEN"), "{error}");
    assert!(!error.to_string().contains("visible"), "{error}");
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    for file in ["\n[scalingo]\ntokn = \"tk-us-visible\"", "\n[scalingo]\ntoken = tk-us-visible"] {
        let error = crate::runtime::chain::Chain(&load(file, false, &[]).expect_err("refused")).to_string();
        assert!(error.contains("line 3: ") && !error.contains("visible"), "{error}");
    }
}

#[test]
fn what_is_no_url_is_told_at_the_start_and_not_shown() {
    for name in ["REPRISE_HEARTBEAT_URL", "GITHUB_API_URL"] {
        for wrong in ["hidden", "ftp://hidden.example", "https://", "hidden.example/ping"] {
            let error = load("", false, &[(name, wrong)]).expect_err(wrong).to_string();
            assert!(error.contains(name) && !error.contains("hidden"), "{wrong}: {error}");
        }
        load("", false, &[(name, "https://one.example/ping")]).expect("valid");
    }
}

#[test]
fn no_secret_is_in_the_debug_text() {
    let config =
        load("", false, &[("SCALINGO_API_TOKEN", "tk-us-hidden"), ("ALWAYSDATA_API_KEY", "hidden-too")])
            .expect("valid");
    let text = format!("{config:?}");
    assert!(!text.contains("hidden"), "{text}");
}

#[test]
fn time_runs_faster_only_with_dev() {
    let environment = [("REPRISE_TIME_SCALE", "60")];
    assert!(load("", false, &environment).is_err());
    let scale = load("", true, &environment).expect("valid").dev.time_scale;
    assert!((scale - 60.0).abs() < f64::EPSILON, "{scale}");
}

#[test]
fn numbers_of_a_rehearsal_are_written_with_or_without_quotes() {
    let dev = |file: &str| load(file, true, &[("BUDGET", "7")]).map(|config| config.dev);
    for (scale, budget) in [("30", "600"), ("\"30\"", "\"600\""), ("30.0", "600")] {
        let found =
            dev(&format!("[dev]\ntime_scale = {scale}\nrequests_per_minute = {budget}")).expect("valid");
        assert!((found.time_scale - 30.0).abs() < f64::EPSILON, "{scale}: {found:?}");
        assert_eq!(found.requests_per_minute, 600, "{budget}");
    }
    assert_eq!(dev("[dev]\nrequests_per_minute = \"env:BUDGET\"").expect("valid").requests_per_minute, 7);
    for wrong in
        ["time_scale = true", "requests_per_minute = 1.5", "requests_per_minute = -1", "time_scale = nan"]
    {
        assert!(dev(&format!("[dev]\n{wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn an_unknown_key_is_refused() {
    assert!(load("[scalingo]\ntokn = \"env:X\"", false, &[]).is_err());
}

#[test]
fn a_pipe_that_nobody_writes_into_is_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let references = References::new(std::iter::empty());
    for path in [pipe.as_path(), folder.path()] {
        let told = references
            .resolve(&reprise_crds::Reference::File(path.to_owned()))
            .expect_err("no file")
            .to_string();
        assert!(told.contains("is not a regular file"), "{told}");
    }
}
