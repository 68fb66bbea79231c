//! One real redis-server per addon.
