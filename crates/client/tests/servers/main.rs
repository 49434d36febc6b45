//! The client against servers that are made by hand, over real TLS: good ones, broken ones, strangers
//! and liars.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod answers;
mod grants;
mod greetings;
mod home;
mod hosts;
mod life;
mod links;
mod program;
mod receipts;
mod server;
