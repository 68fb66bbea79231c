//! Shares at, above and below their limits, and what looks like noise.

use std::io::Write as _;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

fn changes(before: u64, deleted: u64, rewritten: u64, scrambled: u64) -> Changes {
    Changes { before, deleted, rewritten, scrambled }
}

#[test]
fn what_the_plan_allows_is_not_suspicious_and_one_object_more_is() {
    let spec = SuspicionSpec::default();
    assert_eq!(suspicion(&changes(1_000, 200, 300, 50), &spec), None);
    for (changes, told) in [
        (changes(1_000, 201, 0, 0), "201 of 1000 objects (20.1 %) were deleted; the plan allows 20 %"),
        (
            changes(100_000, 0, 30_001, 0),
            "30001 of 100000 objects (30.1 %) were rewritten; the plan allows 30 %",
        ),
        (
            changes(1_000, 0, 51, 51),
            "51 of 1000 objects (5.1 %) turned into what looks like noise, as encryption leaves it; the plan allows 5 %",
        ),
    ] {
        assert_eq!(suspicion(&changes, &spec), Some(vec![told.to_owned()]));
    }
}

#[test]
fn every_reason_is_told() {
    let reasons = suspicion(&changes(10, 4, 6, 6), &SuspicionSpec::default()).expect("suspicious");
    assert_eq!(reasons.len(), 3, "{reasons:?}");
}

#[test]
fn an_emptied_bucket_is_suspicious_whatever_the_plan_says() {
    let spec = SuspicionSpec { deleted_percent: 100, rewritten_percent: 100, scrambled_percent: 100 };
    assert_eq!(suspicion(&changes(7, 0, 7, 7), &spec), None, "a limit of 100 percent is none");
    assert_eq!(suspicion(&changes(7, 6, 0, 0), &spec), None);
    let reasons = suspicion(&changes(7, 7, 0, 0), &spec).expect("suspicious");
    assert_eq!(reasons, ["7 of 7 objects (100.0 %) were deleted; the plan allows 100 %"]);
}

#[test]
fn of_an_empty_run_nothing_can_be_said() {
    assert_eq!(suspicion(&Changes::default(), &SuspicionSpec::default()), None);
}

#[test]
fn a_part_that_was_read_stands_for_all_if_it_is_large_enough() {
    let spec = SuspicionSpec::default();
    // A tenth was rewritten, and half of that was read: all of it is noise.
    let told = suspicion_of_part(&changes(1_000, 0, 100, 50), 50, &spec).expect("suspicious");
    assert!(told.contains("of all 100 that would be 100 of 1000 objects (10.0 %)"), "{told}");
    assert_eq!(suspicion_of_part(&changes(1_000, 0, 100, 49), 49, &spec), None, "too few were read");
    assert_eq!(suspicion_of_part(&changes(1_000, 0, 100, 25), 50, &spec), None, "50 of 1,000 are allowed");
    // All that was rewritten was read.
    assert!(suspicion_of_part(&changes(40, 0, 3, 3), 3, &spec).is_some());
    assert_eq!(suspicion_of_part(&changes(40, 0, 0, 0), 0, &spec), None);
}

proptest! {
    #[test]
    fn no_count_is_too_large(before: u64, deleted: u64, rewritten: u64, scrambled: u64) {
        let spec = SuspicionSpec::default();
        let told = suspicion(&changes(before, deleted, rewritten, scrambled), &spec);
        prop_assert!(told.is_none_or(|reasons| (1..=3).contains(&reasons.len())));
    }
}

/// Bytes that look random, the same in each run of the test.
fn random(seed: u32, length: usize) -> Vec<u8> {
    let block = |number: u64| {
        Sha256::new().chain_update(seed.to_be_bytes()).chain_update(number.to_be_bytes()).finalize()
    };
    (0_u64..).flat_map(block).take(length).collect()
}

fn text(length: usize) -> Vec<u8> {
    let line = |number: u64| {
        format!("{number};Équipe n° {};{}.03.2026;une évaluation\n", number % 37, number % 28).into_bytes()
    };
    (0_u64..).flat_map(line).take(length).collect()
}

fn is_noise(bytes: &[u8]) -> bool {
    let mut noise = Noise::new();
    noise.update(bytes);
    noise.is_noise()
}

#[test]
fn random_bytes_look_random_as_soon_as_there_are_enough() {
    for seed in 0..300 {
        assert!(is_noise(&random(seed, 1_024)), "1 KiB, seed {seed}");
        assert!(is_noise(&random(seed, 20_000)), "20 kB, seed {seed}");
    }
    assert!(is_noise(&random(1, 1_000_000)));
    assert!(!is_noise(&random(1, 1_023)), "too few to say so");
    assert!(!is_noise(b""));
}

#[test]
fn text_base64_and_programs_do_not() {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(random(1, 100_000));
    let program = std::fs::read(std::env::current_exe().expect("this test")).expect("readable");
    for (what, bytes) in
        [("text", &text(100_000)[..]), ("base64", base64.as_bytes()), ("a program", &program)]
    {
        assert!(!is_noise(bytes), "{what}");
    }
}

#[test]
fn encrypting_text_is_seen_and_encrypting_what_was_compressed_is_not() {
    let encrypted = is_noise(&random(7, 60_000));
    assert!(scrambled(is_noise(&text(60_000)), encrypted));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let words: Vec<u8> = random(3, 60_000).iter().flat_map(|byte| format!("{byte},").into_bytes()).collect();
    gzip.write_all(&words).expect("written");
    let compressed = gzip.finish().expect("written");
    assert!(is_noise(&compressed), "compressed bytes are noise already");
    assert!(!scrambled(is_noise(&compressed), encrypted), "so only that it was rewritten counts");
    assert!(!scrambled(encrypted, is_noise(&text(60_000))), "and decrypting is no damage");
}

#[test]
fn however_the_stream_is_cut_the_verdict_is_the_same() {
    let mixed: Vec<u8> = text(9_000).into_iter().chain(random(5, 80_000)).collect();
    for cut in [1, 7, 255, 256, 1_000, 4_096, 65_536, 89_000] {
        let mut noise = Noise::new();
        mixed.chunks(cut).for_each(|chunk| noise.update(chunk));
        let mut whole = Noise::new();
        whole.update(&mixed);
        assert_eq!(format!("{noise:?}"), format!("{whole:?}"), "{cut}");
    }
}
