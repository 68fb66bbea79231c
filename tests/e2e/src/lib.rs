//! A stage for whole recoveries: a sandbox in this process, the real `reprise` beside it, and eyes on both.
//!
//! It knows Reprise from outside only: its binary, its tables, its plan's text. It never calls into the controller, so that
//! what a test sees is what an operator would see. Every wait is bounded and says, when it is over, how things stood.
//!
//! * [`stage`] sets the stage for one test and clears it whichever way the test ends;
//! * [`world`] is the sandbox: what there is, what happened, what shall go wrong;
//! * [`daemon`] is the process under test: started, killed, started again;
//! * [`records`] are its tables, read and written with plain SQL;
//! * [`shared`] is a server that several daemons keep their records on, and a way to it that can be cut;
//! * [`plan`] is the example plan, as an operator would edit it;
//! * [`depot`] is a smaller stage, for the archive alone: two [`shelf`]s, and a [`wire`] that breaks.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "what the harness cannot do ends the test, everywhere"
)]

pub mod daemon;
pub mod depot;
pub mod plan;
pub mod records;
pub mod shared;
pub mod shelf;
pub mod stage;
pub mod stranger;
pub mod wire;
pub mod world;
