//! Two servers that keep one registry: what they say to each other, and what is left on both sides
//! when links, disks and servers fail in between.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod harness;

mod conflicts;
mod disk;
mod flood;
mod healing;
mod lies;
mod links;
mod presence;
mod property;
mod recognition;
mod status;
mod sync;
mod twins;
