//! Serves: the license server and the administrator's tools.

pub mod cli;
pub mod config;
pub mod control;
pub mod home;
pub mod install;
pub mod installed;
pub mod log;
