//! Tests with the real client.
