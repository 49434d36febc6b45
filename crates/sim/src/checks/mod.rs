//! The invariants, and the books that they are judged by. Each has a file of its own, named after
//! it; all of them see every [`Fact`], before the books take it in.

mod acknowledged;
mod alive;
pub(crate) mod books;
mod bounds;
mod capacity;
mod clean_shutdown;
mod clones;
mod counted_once;
mod documents;
mod durable_first;
pub(crate) mod equal;
mod grace;
mod grace_end;
mod holders_first;
mod host_books;
mod hosts_served;
mod hours;
mod identities;
mod leases;
mod marks;
mod noticed;
mod one_instance;
mod one_owner;
mod readiness;
mod reasons;
mod registered_first;
mod registrations;
mod retired;
mod retired_machines;
mod revocations;
mod running;
mod seats;
pub(crate) mod served_again;
mod server_books;
mod shutdown_lead;
mod together;
mod twins;

use std::fmt::Write as _;

use ve_core::{
    id::{HostKey, SessionNumber},
    license::Mode,
};

use self::books::Books;
use crate::{Plan, Violation, client::Seat, clock::At, fact::Fact, random::Hash};

/// Something that must always be true.
pub(crate) trait Invariant {
    /// What it is called: the name of its file.
    fn name(&self) -> &'static str;

    /// Judges a fact by the books as they were before it. `Err`: what is wrong.
    fn see(&mut self, books: &Books, at: At, fact: &Fact<'_>) -> Result<(), String>;
}

fn of_both_modes() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(acknowledged::Acknowledged::default()),
        Box::new(bounds::Bounds),
        Box::new(clean_shutdown::CleanShutdown::default()),
        Box::new(durable_first::DurableFirst),
        Box::new(grace_end::GraceEnd),
        Box::new(hours::Hours::default()),
        Box::new(leases::Leases),
        Box::new(marks::Marks::default()),
        Box::new(one_owner::OneOwner::default()),
        Box::new(readiness::Readiness),
        Box::new(reasons::Reasons::default()),
        Box::new(revocations::Revocations::default()),
        Box::new(shutdown_lead::ShutdownLead),
    ]
}

/// Seats are counted.
fn of_general_mode() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(holders_first::HoldersFirst::default()),
        Box::new(running::Running),
        Box::new(seats::Seats),
    ]
}

/// Hosts are.
fn of_autove_mode() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(capacity::Capacity),
        Box::new(clones::Clones),
        Box::new(counted_once::CountedOnce::default()),
        Box::new(documents::Documents::default()),
        Box::new(equal::Equal),
        Box::new(identities::Identities::default()),
        Box::new(noticed::Noticed::default()),
        Box::new(one_instance::OneInstance::default()),
        Box::new(registered_first::RegisteredFirst::default()),
        Box::new(registrations::Registrations::default()),
        Box::new(retired::Retired),
        Box::new(retired_machines::RetiredMachines::default()),
        Box::new(together::Together::default()),
        Box::new(twins::Twins::default()),
    ]
}

/// All invariants, their books, and the trace of the run.
pub(crate) struct Checks {
    books: Books,
    invariants: Vec<Box<dyn Invariant>>,
    /// The one that looks at [`Fact::Watched`] as well.
    watcher: grace_end::GraceEnd,
    violation: Option<Violation>,
    trace: bool,
    hash: Hash,
    pub(crate) grants: u64,
}

impl Checks {
    pub(crate) fn new(plan: &Plan, servers: usize, seats: &[Seat]) -> Self {
        let mut invariants = of_both_modes();
        invariants.extend(match plan.mode {
            Mode::General => of_general_mode(),
            Mode::AutoVe => of_autove_mode(),
        });
        let books = Books::new(servers, seats.iter().map(|seat| seat.host).collect());
        let (trace, hash) = (plan.trace, Hash::new());
        Self {
            books,
            invariants,
            watcher: grace_end::GraceEnd,
            violation: None,
            trace,
            hash,
            grants: 0,
        }
    }

    /// Takes a fact in, and judges it. Only the first violation counts: what follows may follow
    /// from it.
    pub(crate) fn see(&mut self, at: At, fact: &Fact<'_>) {
        if let Fact::Watched { .. } = fact {
            return self.watch(at, fact);
        }
        self.write_trace(at, fact);
        if let Fact::Granted { .. } = fact {
            self.grants += 1;
        }
        for invariant in &mut self.invariants {
            if let Err(what) = invariant.see(&self.books, at, fact)
                && self.violation.is_none()
            {
                self.violation = Some(Violation { invariant: invariant.name(), at_ms: at, what });
            }
        }
        self.books.take(at, fact);
    }

    /// Time passes, for every emulator and all the time: only who looks at that is asked.
    fn watch(&mut self, at: At, fact: &Fact<'_>) {
        let judged = self.watcher.see(&self.books, at, fact);
        if let Err(what) = judged
            && self.violation.is_none()
        {
            let invariant = self.watcher.name();
            self.violation = Some(Violation { invariant, at_ms: at, what });
        }
    }

    /// Every fact goes into the hash, and onto the screen if somebody wants to read them.
    fn write_trace(&mut self, at: At, fact: &Fact<'_>) {
        let printed = write!(self.hash, "{at} {fact}");
        printed.expect("a hash takes everything");
        if self.trace {
            println!("{at} {fact:#}");
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.value()
    }

    pub(crate) fn violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// The numbers of the sessions that a server has granted and not ended.
    pub(crate) fn session_numbers(&self, server: usize) -> Vec<SessionNumber> {
        let sessions = self.books.servers[server].sessions.values();
        sessions.filter(|session| session.holds()).map(|session| session.number).collect()
    }

    /// Whether a host has sessions at a server, as far as was granted.
    pub(crate) fn has_sessions(&self, server: usize, host: HostKey) -> bool {
        self.books.servers[server].sessions_of(host).next().is_some()
    }

    /// Whether an emulator must be started anew before it is let in again.
    pub(crate) fn is_released(&self, client: usize) -> bool {
        self.books.clients[client].released && !self.books.clients[client].stop_wanted
    }

    /// What is known of a client, for a message.
    pub(crate) fn describe(&self, client: usize) -> String {
        let book = &self.books.clients[client];
        format!(
            "guest {:?}, {} licensing connections, last refusal {:?}",
            book.guest,
            book.holds.len(),
            book.last_refusal
        )
    }
}
