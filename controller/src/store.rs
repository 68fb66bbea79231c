//! The PostgreSQL tables behind the kinds. Nothing outside this module writes SQL to them.
