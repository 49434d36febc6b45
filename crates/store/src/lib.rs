//! Remembers: what core appends, durably.
//!
//! - [`Store`]: what every engine does, and the errors it may answer with. [`Memory`] is for tests,
//!   [`Embedded`] is a server's `ledger.db`.
//! - [`Writer`]: the thread that owns a server's store and lets the appends that wait share one
//!   commit.
//! - [`ReadOnly`]: the ledger for tools, whether its server runs or not.
//! - [`HighWater`]: the marks that only go up. Their second copy, `marks.reserve`, takes them when the
//!   disk is full, and saves them when the ledger is lost ([`Embedded::open_for_service`]).
//! - [`check_copy`] and [`adopt`]: a ledger that comes from a backup.
//! - [`HostStore`]: the same for the registry of hosts: [`EmbeddedHosts`] is a server's `instances.db`,
//!   [`MemoryHosts`] is for tests, [`HostWriter`] the thread, [`HostsReadOnly`] for tools.
//! - [`snapshot`]: copies of the registry for bad days; [`merge_hosts`]: one that comes from a backup.
//!
//! The rules that all engines share are in `rules`; one suite (`tests/suite`) holds every engine to
//! them. Why SQLite, and what a full disk or a power failure leaves behind: `docs/decisions/storage.md`.

mod embedded;
mod high_water;
mod host_marks;
mod host_store;
mod hosts;
mod memory;
mod place;
mod reserve;
mod rules;
mod sqlite;
mod store;
mod writer;

pub use embedded::{
    Embedded, Finding, Lost, Opened, ReadOnly, ReserveFinding, adopt, check_copy, hosts_left,
    marks_left,
};
pub use high_water::HighWater;
pub use host_marks::HostMarks;
pub use host_store::HostStore;
pub use hosts::{
    EmbeddedHosts, HostsFinding, HostsLost, HostsReadOnly, HostsStart, INSTANCES_GONE, MemoryHosts,
    Merge, OpenedHosts, Snapshot, adopt_hosts, merge_hosts, plan_merge, snapshot, snapshots,
};
pub use memory::Memory;
pub use reserve::RESERVE_NAME;
pub use rules::{Limits, MAX_DENIALS, MAX_RECORDS};
pub use store::{
    AppendFailure, Begun, BegunCause, CloseError, CopyError, Denied, LEDGER_GONE, LoadError, Store,
};
pub use writer::{FinishError, HostWriter, MAX_GROUP_APPENDS, MAX_WAITING_APPENDS, Writer};
