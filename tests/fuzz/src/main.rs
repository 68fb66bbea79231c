//! The targets under libFuzzer. Which one is said by `REPRISE_FUZZ_TARGET`; arguments are libFuzzer's.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<reprise_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("REPRISE_FUZZ_TARGET").unwrap_or_default();
    reprise_fuzz::target(&name).unwrap_or(unknown)
});

#[expect(clippy::panic, reason = "how a target says to libFuzzer that it failed")]
fn unknown(_: &[u8]) {
    panic!("REPRISE_FUZZ_TARGET names no target");
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| (*TARGET)(data));
