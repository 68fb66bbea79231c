//! One real `PostgreSQL` server; a role and a database per addon, each behind a TCP front of its own.
