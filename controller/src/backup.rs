//! Everything about one database backup: checking its archive, restoring it, accounting for what came back.
