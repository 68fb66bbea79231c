//! A private `PostgreSQL` server run with the machine's own binaries.
//!
//! One folder, one owner, one server: it is created on first use, listens on a Unix socket only, is stopped with its
//! owner, and is taken over again after its owner died. It knows nothing of what is stored in it.
//!
//! It must not speak SQL, open a network port, or touch a server that it cannot prove to be its own.

mod binaries;
mod error;
mod launch;
mod layout;
mod owner;
mod server;
mod settings;

pub use binaries::{Binaries, client_folders, one_of_each_major};
pub use error::ClusterError;
pub use server::Cluster;
pub use settings::Settings;
