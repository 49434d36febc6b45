//! Serves: the license server and the administrator's tools.
//!
//! - [`run`]: the wiring, from start to end; [`supervisor`]: signals and the service manager;
//!   [`reload`]: SIGHUP.
//! - [`driver`]: the task that owns the core's node and carries out what it decides; [`health`]: what
//!   the administrator should know of it.
//! - [`listener`], [`addresses`], [`descriptors`], [`link`], [`credentials`]: emulators and their
//!   connections.
//! - [`service`], [`control`]: what the administrator's tools ask of a running server.
//! - [`home`], [`config`], [`installed`], [`install`], [`machine`], [`judge`]: files and the machine.
//! - [`ledger`]: the ledger at a server's start, also one that is damaged or lost; [`backup`]: a home in
//!   one file, and back.
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
pub mod port_owner;
pub mod reload;
pub mod run;
pub mod service;
pub mod supervisor;
pub mod viewer;
