//! Asks: keeps a program licensed.
//!
//! [`Licensing`] runs `ve-core`'s client machine over real connections. The program around it does
//! what [`Licensing::next`] hands out (start the guest, shut it down, tell the log, exit) and reports
//! what happened to it. Everything else (connecting, trusting, checking, losing and finding a
//! license) happens inside.
//!
//! - `grants`: the last grant of every server, shown to it at the next login; `receipts`: what AutoVE
//!   servers signed for this host; `folder`: where a host keeps both.
//! - [`config`]: the servers and what is asked of them.
//! - `connection`: the task of one connection: `reach` and `hello` begin it, `trust` says whether the server is
//!   the vendor's customer's, `link` asks (`question`) and hears.
//! - [`probe`]: asks a server whether it would grant, and takes no seat.

pub mod config;
mod connection;
mod folder;
mod grants;
mod hello;
mod licensing;
mod link;
pub mod probe;
mod question;
mod reach;
mod receipts;
mod trust;

pub use grants::GrantFolder;
pub use licensing::{Instruction, Licensing, Report};
pub use receipts::ReceiptFolder;
pub use ve_core::client::io::{Exit, Hook, ServerIndex, Told};
