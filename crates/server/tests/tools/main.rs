//! The administrator's tools as real processes, in homes of their own.
#![allow(clippy::unwrap_used, reason = "a test that can't go on says where")]

mod backup;
mod bad_backup;
mod bad_input;
mod c2v;
mod commands;
mod crash;
mod half_restored;
mod homes;
mod hosts_restored;
mod logs;
mod lost;
mod office;
mod restore;
mod restore_killed;
mod running;
mod v2c;
mod viewer;
