//! The archive: point-in-time copies of the bucket, off the platform.

pub mod retention;
pub mod suspicion;
