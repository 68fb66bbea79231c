//! What restores have begun to send in parts.

use super::{Result, Store, StoreError};

impl Store {
    /// An upload was begun at `place`, a bucket as `endpoint/bucket`. Safe to repeat.
    pub async fn upload_began(&self, place: &str, key: &str, upload: &str) -> Result<()> {
        let note =
            "INSERT INTO restore_uploads (place, key, upload) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let noted = sqlx::query(note).bind(place).bind(key).bind(upload).execute(&self.pool).await;
        noted.map(drop).map_err(StoreError::query("restore_uploads.began"))
    }

    /// It was completed or aborted. Safe to repeat.
    pub async fn upload_ended(&self, place: &str, key: &str, upload: &str) -> Result<()> {
        let forget = "DELETE FROM restore_uploads WHERE place = $1 AND key = $2 AND upload = $3";
        let forgotten = sqlx::query(forget).bind(place).bind(key).bind(upload).execute(&self.pool).await;
        forgotten.map(drop).map_err(StoreError::query("restore_uploads.ended"))
    }

    /// The uploads of an object that were begun and not ended.
    pub async fn uploads_begun(&self, place: &str, key: &str) -> Result<Vec<String>> {
        let begun = "SELECT upload FROM restore_uploads WHERE place = $1 AND key = $2";
        let listed = sqlx::query_scalar(begun).bind(place).bind(key).fetch_all(&self.pool).await;
        listed.map_err(StoreError::query("restore_uploads.begun"))
    }
}
