//! Databases as folders: beginning as a copy of one that is full, saved in a snapshot, brought back from it.
//!
//! A server is stopped in order while its folder is copied; clients see their connections end and come back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::addon::Addon;
use super::{DatabaseError, Databases, Origin, sql};
use crate::files::{self, Take};
use crate::seed::cache::{Cache, Entry};

/// The data folder within a kept one.
const DATA: &str = "data";
/// The dump of that data, beside it.
const DUMP: &str = "dump.pgsql";

/// What was said about the next addon, and which addons are copies.
#[derive(Debug, Default)]
pub(super) struct Copies {
    next: Mutex<Option<(Cache, String)>>,
    made: Mutex<BTreeMap<String, Entry>>,
    full: Mutex<BTreeSet<String>>,
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One addon in a snapshot. It holds a password: never shown, kept in private files.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SavedDatabase {
    resource: String,
    port: u16,
    password: String,
    users: BTreeMap<String, bool>,
}

impl std::fmt::Debug for SavedDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SavedDatabase").field("resource", &self.resource).finish_non_exhaustive()
    }
}

impl Databases {
    /// The next addon begins as a copy of what `cache` holds under `content` and the addon's name, if it holds that.
    pub(crate) fn expect(&self, cache: Cache, content: &str) {
        let (options, extensions) = (super::addon::OPTIONS, super::EXTENSIONS);
        let identity = format!("{content} {} {options:?} {extensions:?}", self.version());
        *locked(&self.copies.next) = Some((cache, identity));
    }

    /// Whether the addon began full.
    pub(crate) fn is_copy(&self, resource: &str) -> bool {
        locked(&self.copies.full).contains(resource)
    }

    /// The dump that was made of the content with which the addon began.
    pub(crate) fn dump_of_copy(&self, resource: &str) -> Option<PathBuf> {
        let made = locked(&self.copies.made);
        let dump = made.get(resource)?.path().join(DUMP);
        dump.exists().then_some(dump)
    }

    /// Starts an addon as it was said of it.
    pub(super) async fn begin(&self, resource: &str) -> Result<Addon, DatabaseError> {
        let next = locked(&self.copies.next).take();
        let Some((cache, identity)) = next else {
            return Addon::start(self, resource, Origin::Nothing).await;
        };
        let entry = cache.entry(&format!("{identity} {resource}"));
        locked(&self.copies.made).insert(resource.to_owned(), entry.clone());
        if entry.is_there() {
            match Addon::start(self, resource, Origin::Copy(entry.path().join(DATA))).await {
                Ok(addon) => {
                    locked(&self.copies.full).insert(resource.to_owned());
                    return Ok(addon);
                }
                Err(error) => {
                    tracing::warn!(%error, "a kept database cannot be used, it is made again");
                    entry.forget();
                }
            }
        }
        Addon::start(self, resource, Origin::Nothing).await
    }

    /// Keeps the addon's content, with a dump of it, for the next one that is to begin so. That it cannot is no error.
    pub(crate) async fn keep(&self, resource: &str) -> Result<(), DatabaseError> {
        let entry = locked(&self.copies.made).get(resource).cloned();
        let Some(entry) = entry.filter(|_| !self.is_copy(resource)) else { return Ok(()) };
        let draft = match entry.draft() {
            Ok(draft) => draft,
            Err(error) => {
                tracing::warn!(%error, "the database is not kept for later");
                return Ok(());
            }
        };
        self.dump(resource, &draft.path().join(DUMP)).await?;
        let addon = self.addon(resource)?;
        let copied = addon.copy_data(self, &draft.path().join(DATA)).await?;
        if let Err(error) = copied.map_or(Ok(()), |()| draft.keep()) {
            tracing::warn!(%error, "the database is not kept for later");
        }
        Ok(())
    }

    /// Copies every addon into `folder`.
    pub(crate) async fn save(&self, folder: &Path) -> Result<Vec<SavedDatabase>, DatabaseError> {
        let addons: Vec<_> = self.addons().values().cloned().collect();
        let mut saved = Vec::new();
        for addon in addons {
            let resource = addon.resource().to_owned();
            std::fs::create_dir_all(folder).map_err(sql::files(&resource))?;
            addon.copy_data(self, &folder.join(&resource)).await?;
            saved.push(SavedDatabase {
                resource,
                port: addon.access.port,
                password: addon.access.password.clone(),
                users: addon.user_list(),
            });
        }
        Ok(saved)
    }

    /// Destroys every addon.
    pub(crate) async fn clear(&self) {
        let all: Vec<String> = self.addons().keys().cloned().collect();
        for resource in all {
            if let Err(error) = self.destroy(&resource).await {
                tracing::warn!(%error, "a database was not destroyed whole");
            }
        }
        // What was said of an addon that was never made is not meant for the next one.
        *locked(&self.copies.next) = None;
        locked(&self.copies.made).clear();
        locked(&self.copies.full).clear();
    }

    /// In place of every addon, those that were saved in `folder`: same ports, same passwords.
    pub(crate) async fn bring_back(
        &self,
        folder: &Path,
        saved: &[SavedDatabase],
    ) -> Result<(), DatabaseError> {
        self.clear().await;
        for one in saved {
            let origin = Origin::Saved {
                data: folder.join(&one.resource),
                port: one.port,
                password: one.password.clone(),
                users: one.users.clone(),
            };
            let addon = Addon::start(self, &one.resource, origin).await?;
            self.world.names.add(&addon.access.host).map_err(sql::files(&one.resource))?;
            self.addons().insert(one.resource.clone(), Arc::new(addon));
        }
        Ok(())
    }
}

impl Addon {
    /// A copy of the server's data in `target`, the server stopped meanwhile. `None`: its data lie where only it can read.
    async fn copy_data(&self, all: &Databases, target: &Path) -> Result<Option<()>, DatabaseError> {
        let mut server = self.server.lock().await;
        let Some((cluster, group)) = server.take() else { return Ok(None) };
        let data = cluster.data_dir().to_owned();
        cluster.stop().await;
        drop(group);
        let target = target.to_owned();
        let copied = files::aside(move || files::take_tree(&data, &target, Take::Copy)).await;
        *server = Some(self.serve_again(all).await?);
        copied.map(Some).map_err(sql::files(self.resource()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    const FILLED: &str =
        "DO $$ BEGIN IF (SELECT sum(n) FROM things) <> 6 THEN RAISE 'not full'; END IF; END $$";

    async fn databases(dir: &Path, cache: &Cache) -> Arc<Databases> {
        let databases = Databases::start(&World::new(dir, 1.0, 1).unwrap()).await.unwrap();
        databases.expect(cache.clone(), "things");
        databases
    }

    #[tokio::test]
    async fn a_kept_database_is_full_at_the_next_start_and_a_broken_one_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache"));
        let first = databases(&dir.path().join("one"), &cache).await;
        first.create("shop_1").await.unwrap();
        first
            .run_sql("shop_1", "CREATE TABLE things AS SELECT * FROM generate_series(1, 3) AS n")
            .await
            .unwrap();
        assert!(!first.is_copy("shop_1"));
        first.keep("shop_1").await.unwrap();
        first.run_sql("shop_1", FILLED).await.unwrap();
        first.shut_down().await;

        let second = databases(&dir.path().join("two"), &cache).await;
        second.create("shop_1").await.unwrap();
        second.run_sql("shop_1", FILLED).await.unwrap();
        let dump = second.dump_of_copy("shop_1").unwrap();
        assert!(std::fs::read(dump).unwrap().starts_with(b"PGDMP"));
        second.shut_down().await;

        let entry = std::fs::read_dir(dir.path().join("cache")).unwrap().next().unwrap().unwrap().path();
        std::fs::remove_file(entry.join("data/global/pg_control")).unwrap();
        let third = databases(&dir.path().join("three"), &cache).await;
        third.create("shop_1").await.unwrap();
        assert!(!third.is_copy("shop_1") && !entry.exists());
        third.shut_down().await;
    }

    #[tokio::test]
    async fn what_is_brought_back_has_its_content_port_and_passwords() {
        let dir = tempfile::tempdir().unwrap();
        let databases = databases(dir.path(), &Cache::none()).await;
        let access = databases.create("shop_1").await.unwrap();
        databases.add_user("shop_1", "reader", "secret", true).await.unwrap();
        databases
            .run_sql("shop_1", "CREATE TABLE things AS SELECT * FROM generate_series(1, 3) AS n")
            .await
            .unwrap();
        let saved = databases.save(&dir.path().join("aside")).await.unwrap();
        assert!(!format!("{saved:?}").contains(&access.password));
        databases.destroy("shop_1").await.unwrap();
        databases.create("other_2").await.unwrap();

        databases.bring_back(&dir.path().join("aside"), &saved).await.unwrap();
        databases.run_sql("shop_1", FILLED).await.unwrap();
        databases.drop_user("shop_1", "reader").await.unwrap();
        let again = databases.addon("shop_1").unwrap().access.clone();
        assert_eq!((again.port, &again.password), (access.port, &access.password));
        assert!(databases.addon("other_2").is_err());
        databases.shut_down().await;
    }
}
