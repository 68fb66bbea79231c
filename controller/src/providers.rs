//! The outside: one folder a provider over one shared HTTP layer.
