//! What was begun to be sent in parts, and how far it is.

use serde_json::Value;

use super::{Result, Store, StoreError, Turn};

/// An upload that was begun and not ended.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Upload {
    /// The bucket, as `endpoint/bucket`.
    pub place: String,
    /// Under which key it is going to be.
    pub key: String,
    /// The store's name of it.
    pub upload: String,
    /// What is sent, by all that tells one content from another.
    pub content: String,
    /// The tags of the parts that the store has, in order.
    pub tags: Vec<String>,
    /// What is known of these parts.
    pub so_far: Option<Value>,
}

const COLUMNS: &str = "SELECT place, key, upload, content, tags, so_far FROM uploads";

impl Store {
    /// An upload was begun. Safe to repeat.
    pub async fn upload_began(&self, begun: &Upload) -> Result<()> {
        let note = "INSERT INTO uploads (place, key, upload, content) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING";
        let noted = sqlx::query(note).bind(&begun.place).bind(&begun.key).bind(&begun.upload);
        let noted = noted.bind(&begun.content).execute(&self.pool).await;
        noted.map(drop).map_err(StoreError::query("uploads.began"))
    }

    /// The store has these parts of it by now. Safe to repeat.
    pub async fn upload_goes_on(&self, upload: &Upload) -> Result<()> {
        let note = "UPDATE uploads SET tags = $4, so_far = $5, tries = 0
             WHERE place = $1 AND key = $2 AND upload = $3";
        let noted = sqlx::query(note).bind(&upload.place).bind(&upload.key).bind(&upload.upload);
        let noted = noted.bind(&upload.tags).bind(&upload.so_far).execute(&self.pool).await;
        noted.map(drop).map_err(StoreError::query("uploads.goes_on"))
    }

    /// Somebody goes on with it: how often in a row, without coming further. `None`: it is noted no more.
    pub async fn upload_taken_up(&self, place: &str, key: &str, upload: &str) -> Result<Option<i32>> {
        let note = "UPDATE uploads SET tries = tries + 1 WHERE place = $1 AND key = $2 AND upload = $3
             RETURNING tries";
        let noted = sqlx::query_scalar(note).bind(place).bind(key).bind(upload).fetch_optional(&self.pool);
        noted.await.map_err(StoreError::query("uploads.taken_up"))
    }

    /// The bucket is gone, with all that was sent to it. Safe to repeat.
    pub async fn uploads_are_gone(&self, place: &str) -> Result<()> {
        let forget = sqlx::query("DELETE FROM uploads WHERE place = $1").bind(place).execute(&self.pool);
        forget.await.map(drop).map_err(StoreError::query("uploads.gone"))
    }

    /// The turn to go on with what restores into a bucket left; `None`: another restore is at work there, and what is noted may be its own.
    pub async fn restore_turn(&self, place: &str) -> Result<Option<Turn>> {
        Turn::at(self, "reprise.restore", place).await
    }

    /// It was completed or aborted. Safe to repeat.
    pub async fn upload_ended(&self, place: &str, key: &str, upload: &str) -> Result<()> {
        let forget = "DELETE FROM uploads WHERE place = $1 AND key = $2 AND upload = $3";
        let forgotten = sqlx::query(forget).bind(place).bind(key).bind(upload).execute(&self.pool).await;
        forgotten.map(drop).map_err(StoreError::query("uploads.ended"))
    }

    /// The uploads of an object that were begun and not ended, the furthest first.
    pub async fn uploads_to(&self, place: &str, key: &str) -> Result<Vec<Upload>> {
        self.uploads("key = $2", place, key).await
    }

    /// The uploads of a content, the furthest first.
    pub async fn uploads_of(&self, place: &str, content: &str) -> Result<Vec<Upload>> {
        self.uploads("md5(content) = md5($2) AND content = $2", place, content).await
    }

    /// The uploads to keys that begin so, the furthest first.
    pub async fn uploads_below(&self, place: &str, prefix: &str) -> Result<Vec<Upload>> {
        self.uploads("starts_with(key, $2)", place, prefix).await
    }

    async fn uploads(&self, which: &'static str, place: &str, what: &str) -> Result<Vec<Upload>> {
        let list =
            format!("{COLUMNS} WHERE place = $1 AND {which} ORDER BY cardinality(tags) DESC, begun_at");
        let listed = sqlx::query_as(sqlx::AssertSqlSafe(list)).bind(place).bind(what);
        listed.fetch_all(&self.pool).await.map_err(StoreError::query("uploads.list"))
    }
}
