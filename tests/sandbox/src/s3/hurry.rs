//! Filling a store without waiting for the disk at each object: for seeding, never behind HTTP.

use std::sync::Arc;

use super::S3;
use super::disk::Disk;

/// While this lives, the endpoint's writes do not wait for the disk.
#[derive(Debug)]
pub struct Hurry {
    disk: Arc<Disk>,
    was_durable: bool,
}

impl S3 {
    /// Lets writes return before the disk has them, until the guard is dropped.
    pub fn hurry(&self) -> Hurry {
        let disk = Arc::clone(&self.store.disk);
        let was_durable = disk.is_durable();
        disk.set_durable(false);
        Hurry { disk, was_durable }
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        self.disk.set_durable(self.was_durable);
    }
}
