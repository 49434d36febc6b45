//! The control socket: how the administrator's tools and a running server talk.

pub mod client;
pub mod protocol;
pub mod reports;
pub mod server;
