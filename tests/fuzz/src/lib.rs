//! Every parser that reads bytes which somebody else made, the controller's and the sandbox's, as a function of bytes.
//!
//! A target must not panic, hang or let memory grow with what the bytes *claim*; and where two ways of reading must agree, it
//! says so. The seeds in `tests/corpus/TARGET` are run by `make test`; `make fuzz` goes on from them with libFuzzer.

mod files;
mod network;
mod served;
mod text;

/// One parser.
pub type Target = fn(&[u8]);

/// Every parser by name; the name is also its folder of seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("archive", files::archive),
    ("artifact", files::artifact),
    ("contents", text::contents),
    ("dns", network::dns),
    ("document", served::document),
    ("form", served::form),
    ("messages", text::messages),
    ("plan", text::plan),
    ("question", served::question),
    ("s3", network::s3),
    ("source", served::source),
    ("startup", served::startup),
    ("template", text::template),
    ("toc", text::toc),
];

/// The parser with this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// Runs `work` to its end on this thread; what the parsers hand to blocking threads is waited for.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    use std::cell::OnceCell;
    thread_local! {
        static RUNTIME: OnceCell<tokio::runtime::Runtime> = const { OnceCell::new() };
    }
    RUNTIME.with(|runtime| {
        #[expect(clippy::expect_used, reason = "without a runtime there is nothing to try")]
        let runtime = runtime.get_or_init(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
        });
        runtime.block_on(work)
    })
}
