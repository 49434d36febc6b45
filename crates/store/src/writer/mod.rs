//! The threads that write: one for the ledger, one for the registry.

mod group;
mod hosts;
mod ledger;

pub use self::{
    group::{FinishError, MAX_GROUP_APPENDS, MAX_WAITING_APPENDS},
    hosts::HostWriter,
    ledger::Writer,
};
