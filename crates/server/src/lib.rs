//! Serves: the license server and the administrator's tools.
//!
//! - [`run`]: the wiring, from start to end, and `start`, its first part; [`supervisor`]: signals and
//!   the service manager; [`reload`]: SIGHUP.
//! - [`driver`]: the task that owns the core's node and carries out what it decides; [`health`]: what
//!   the administrator should know of it.
//! - [`listener`], [`addresses`], [`descriptors`], [`link`], [`credentials`]: emulators and their
//!   connections.
//! - [`peer`]: the other server of an AutoVE pair; [`vouching`]: what emulator hosts show of
//!   themselves.
//! - [`service`], [`control`]: what the administrator's tools ask of a running server.
//! - [`home`], [`config`], [`installed`], [`install`], [`machine`], [`judge`]: files and the machine.
//! - [`ledger`], [`registry`]: ledger and registry at a server's start, also those that are damaged or
//!   lost; [`snapshots`]: copies of the registry; [`backup`]: a home in one file, and back.
//! - [`log`]: `license.log` and the journal; [`cli`]: the command lines; [`viewer`]: licenses for the eye.

pub mod addresses;
pub mod backup;
pub mod cli;
pub mod config;
pub mod control;
pub mod credentials;
pub mod descriptors;
pub mod driver;
pub mod health;
pub mod home;
pub mod install;
pub mod installed;
pub mod judge;
pub mod ledger;
pub mod link;
pub mod listener;
pub mod log;
pub mod machine;
pub mod peer;
pub mod port_owner;
pub mod registry;
pub mod reload;
pub mod run;
pub mod service;
pub mod snapshots;
mod start;
pub mod supervisor;
pub mod viewer;
pub mod vouching;
mod words;
