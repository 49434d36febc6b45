//! The license server's heart, told in stories: a server, its links, its ledger and its clocks are
//! values here, so that a disk can fail and a week can pass between two lines.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod harness;

mod choice;
mod clock;
mod disk;
mod downtime;
mod drain;
mod grace_lease;
mod holders;
mod hosts;
mod hours;
mod lease;
mod limits;
mod login;
mod logout;
mod opening;
mod probe;
mod promise;
mod property;
mod refusals;
mod registry;
mod release;
mod restart;
mod sections;
mod settle;
mod takeover;
mod update;
mod validity;
mod witnesses;
