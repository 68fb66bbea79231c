//! An app's processes, started from its Procfile in the world's namespace.
