//! The endpoint under the vendor-neutral Rust client, over HTTP.

mod browsers;
mod durability;
mod evidence;
mod faults;
mod forms;
mod glacier;
mod locking;
mod meanwhile;
mod model;
mod multipart;
mod objects;
mod policies;
mod presigned;
mod signing;
mod support;
mod versions;
