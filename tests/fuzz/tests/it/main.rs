//! Every seed, and every input that ever failed, through its target.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

/// The seeds of `target`. A folder that is not there would be a test that cannot fail.
fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    let seeds: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds
}

#[test]
fn every_seed_passes_its_parser() {
    for (name, target) in reprise_fuzz::TARGETS {
        for seed in seeds(name) {
            let data = std::fs::read(&seed).unwrap();
            let passed = std::panic::catch_unwind(|| target(&data));
            assert!(passed.is_ok(), "{} breaks {name}", seed.display());
        }
    }
}

#[test]
fn every_folder_of_seeds_has_a_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for entry in std::fs::read_dir(corpus).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // Whole dumps are built, not kept: they have a test of their own.
        if name == "dumps" {
            continue;
        }
        assert!(reprise_fuzz::target(&name).is_some(), "nothing reads the seeds of {name}");
    }
}
