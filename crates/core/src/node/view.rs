//! What the lists of the administrator's tools show: read, never decided, from a node.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    Node,
    event::{Denial, SessionRecord},
    io::UnusableLicense,
    peer::Presence,
    sessions::{NO_END, State},
};
use crate::{
    id::{HostKey, LicenseId},
    license::License,
    reason::Refusal,
    registry::{HostEntry, Seen},
    time::{Now, Utc},
};

/// An installed license and how it stands.
#[derive(Debug, Clone)]
pub struct LicenseView<'a> {
    /// The license.
    pub license: &'a License,
    /// Whether it is valid, or why not.
    pub standing: &'a Result<(), Refusal>,
    /// Run time left, in milliseconds; `None` for `NORMAL`.
    pub remaining_ms: Option<u64>,
    /// Run time used of this version, in milliseconds.
    pub used_ms: u64,
    /// One for each section, in order.
    pub sections: Vec<SectionView>,
}

/// How many seats of a section are in use.
#[derive(Debug, Clone, Copy)]
pub struct SectionView {
    /// Seats that sessions hold.
    pub seats_held: usize,
}

/// A session, for the lists.
#[derive(Debug, Clone)]
pub struct SessionView<'a> {
    /// What the ledger knows of it; its secret ID is not for the eye.
    pub record: &'a SessionRecord,
    /// `opening`, `live`, `left`, `held`, `closing`.
    pub state: &'static str,
    /// For how long the seat of a session without a link stays reserved, in milliseconds; `None`
    /// also while that is not known: before the server is ready, or without the license.
    pub reserved_ms: Option<u64>,
}

/// What a registered host is to this server now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// At home here, and served.
    Served,
    /// At home beyond the instances of its home's license, here or at the peer: not served.
    Unserved,
    /// At home at another server, and on a free instance of this one.
    Guest,
    /// At home at another server, with an instance there as far as is known.
    Elsewhere,
    /// Another key of its machine has its instance.
    Moved,
    /// Retired.
    Retired,
}

impl Standing {
    /// As it is written: `served`, `unserved`, `guest`, `elsewhere`, `moved`, `retired`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Unserved => "unserved",
            Self::Guest => "guest",
            Self::Elsewhere => "elsewhere",
            Self::Moved => "moved",
            Self::Retired => "retired",
        }
    }
}

/// A registered host, for the lists.
#[derive(Debug, Clone)]
pub struct HostView<'a> {
    /// Its entry.
    pub entry: &'a HostEntry,
    /// What was seen of it last, which may be newer than what the entry says.
    pub seen: &'a Seen,
    /// What it is to this server now.
    pub standing: Standing,
    /// How many emulators it runs here.
    pub emulators_here: u32,
    /// How many it runs at the peer; 0 while that is not in contact.
    pub emulators_at_peer: u32,
}

impl Node {
    /// The registered hosts after `after`, in the order of their keys: a list of many is read in
    /// pieces. Costs a step for every host that is taken.
    pub fn hosts_after(&self, after: Option<HostKey>) -> impl Iterator<Item = HostView<'_>> {
        self.hosts.registry.iter_after(after).map(|entry| self.view_host(entry))
    }

    /// A registered host.
    pub fn host(&self, host: HostKey) -> Option<HostView<'_>> {
        self.hosts.registry.find(host).map(|entry| self.view_host(entry))
    }

    fn view_host<'a>(&'a self, entry: &'a HostEntry) -> HostView<'a> {
        let host = entry.host;
        let emulators = |presence: &Presence| presence.emulators;
        HostView {
            entry,
            seen: self.newest_seen(host).unwrap_or(&entry.seen),
            standing: self.host_standing(entry),
            emulators_here: self.presence_here(host).as_ref().map_or(0, emulators),
            emulators_at_peer: self.peers.presence(host).map_or(0, emulators),
        }
    }

    /// The licenses whose signature holds, in the order of their IDs.
    pub fn licenses(&self, now: Now) -> impl Iterator<Item = LicenseView<'_>> {
        self.licenses.values().map(move |installed| {
            let license = &installed.license;
            let held = |index| self.sessions.seats_held(&(license.id.clone(), index));
            LicenseView {
                license,
                standing: &installed.standing,
                remaining_ms: self.remaining_ms(now, license),
                used_ms: self.used_ms(now, license),
                sections: (0..license.sections.len())
                    .map(|index| SectionView { seats_held: held(index) })
                    .collect(),
            }
        })
    }

    /// The licenses that can't be used at all.
    pub fn unusable_licenses(&self) -> &[UnusableLicense] {
        &self.unusable
    }

    /// The highest version seen of each license.
    pub fn versions_seen(&self) -> &BTreeMap<LicenseId, u32> {
        &self.versions
    }

    /// The sessions, oldest first.
    pub fn sessions(&self, now: Now) -> impl Iterator<Item = SessionView<'_>> {
        self.sessions.iter().map(move |session| {
            let (state, until) = match session.state {
                State::Opening => ("opening", None),
                State::Live(_) => ("live", None),
                State::Left { until, .. } => ("left", Some(until)),
                State::Held { until } => ("held", Some(until)),
                State::Closing => ("closing", None),
            };
            let reserved_ms =
                until.filter(|until| *until != NO_END).map(|until| until.since_ms(now.elapsed));
            SessionView { record: &session.record, state, reserved_ms }
        })
    }

    /// The latest denials since the server's start, oldest first.
    pub fn denials(&self) -> impl Iterator<Item = &(Utc, Denial)> {
        self.denials.iter()
    }

    /// How many links are open.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// How many marks clients' grants have raised since the server's start: more than none says that
    /// an older ledger was put in place.
    pub fn marks_raised(&self) -> u64 {
        self.marks_raised
    }

    /// Whether the ledger takes nothing at the moment.
    pub fn ledger_fails(&self) -> bool {
        self.appends.are_failing()
    }

    /// Whether the server is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// The server's time mark: what expiry is judged by when the wall clock is behind.
    pub fn time_mark(&self, now: Now) -> Utc {
        self.time_mark.mark(now)
    }
}
