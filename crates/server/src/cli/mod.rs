//! The administrator's commands.
//!
//! - [`exit`]: exit codes; [`program`]: how every command starts and ends.
//! - [`licensed`]: the server.
//! - [`viewer`], [`c2v`], [`v2c`], [`licensectl`]: the commands, one each; [`backup`], [`restore`]: the
//!   two larger things that `licensectl` does; `instances`, `peers`: what it shows and does of AutoVE.
//! - [`inventory`]: what is installed and how it stands, whether a server runs or not.

pub mod backup;
pub mod c2v;
mod csv;
pub mod exit;
mod host_rows;
mod instances;
pub mod inventory;
pub mod licensectl;
pub mod licensed;
mod logs;
mod peers;
pub mod program;
pub mod restore;
mod table;
pub mod v2c;
pub mod viewer;
