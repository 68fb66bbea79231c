//! Whole recoveries, and the bad days that they meet: each ends in a state and a sentence that say what failed, what is known
//! and what to do.

#![cfg(test)]

mod account;
mod alerts;
mod archive;
mod backups;
mod bad_day;
mod captured;
mod commands;
mod death;
mod dns;
mod drill;
mod edits;
mod elsewhere;
mod evidence;
mod first_plan;
mod hand_over;
mod hold;
mod life;
mod lost_answers;
mod mirror;
mod parts;
mod platform;
mod poisoned;
mod proof;
mod references;
mod replicas;
mod restoring;
mod slow;
mod soak;
mod spec;
mod teardown;
mod token;
mod values;
mod whole;
