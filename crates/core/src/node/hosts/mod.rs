//! Hosts: who is registered, who is served, and who is a guest (AutoVE mode).
//!
//! An AutoVE license counts emulator hosts. A host takes an instance of its *home*, the license that
//! it was registered with, whether it runs or not; a *guest* is a host of another home that this
//! server serves on a free instance of its own. Always: homed hosts that are served + guests ≤
//! instances. In general mode nothing here is ever asked.
//!
//! - `own`: which license this server serves; `capacity`: how many instances of it are free.
//! - `admission`: what a host is to this server, and why not.
//! - `registering`: a newcomer's way into the registry; `pace`, `receipts`, `identities`: what stands
//!   at its door, and what opens it; `proving`: nobody is served before that is durable.
//! - `forgotten`: hosts that are served, and that a ledger which was lost or put back does not name.
//! - `guests`, `clones`, `twins`: hosts of another home, and hosts that are two, here or on both sides.
//! - `retiring`, `importing`: what an administrator does.
//! - `missing`, `homes`: a registry that lacks hosts, and a license that was replaced.
//! - `seen`, `here`: what was seen of a host last, and who is alive.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

mod admission;
mod capacity;
mod clones;
mod forgotten;
mod guests;
mod here;
mod homes;
mod identities;
mod importing;
mod missing;
mod own;
mod pace;
mod proving;
mod receipts;
mod registering;
mod retiring;
mod seen;
mod twins;

pub use self::capacity::Capacity;

pub(super) use self::{admission::Verdict, retiring::retired_elsewhere};
use self::{
    clones::Clones, importing::Imports, missing::Missing, pace::Pace, proving::Proving,
    registering::Registering, retiring::Retiring, twins::Twins,
};
use super::{
    Asker, Node,
    event::{Event, Remembered},
    io::{AutoVeRules, Login},
};
use crate::{
    id::{HostKey, LicenseId, SessionId},
    registry::{Registry, RememberedHosts, Seen},
    time::Now,
};

/// The most logins that wait for one host's sake, for its registration or for another boot of it.
pub(super) const MAX_WAITING: usize = 256;

/// A login that waits until its host is decided.
#[derive(Debug)]
struct Waiting {
    asker: Asker,
    login: Login,
    fresh: SessionId,
}

/// What a node knows of the hosts.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) registry: Registry,
    rules: AutoVeRules,
    /// The license that is served.
    own: Option<LicenseId>,
    /// The hosts of another home that hold an instance of ours.
    guests: BTreeSet<HostKey>,
    /// The license of the peer while that is in contact and serves: its hosts need no instance here.
    peer_serves: Option<LicenseId>,
    registering: Registering,
    proving: Proving,
    clones: Clones,
    twins: Twins,
    pace: Pace,
    retiring: Retiring,
    /// Who is retired by the registry, and not by the ledger: that was lost.
    unrecorded: Vec<HostKey>,
    imports: Imports,
    missing: Missing,
    /// What was seen of hosts since it was written down.
    seen: BTreeMap<HostKey, Seen>,
    /// Whether re-homed hosts are on their way.
    rehoming: bool,
    noted_too_many: bool,
    /// How many hosts would be without an instance here and at the peer, when that was said last.
    noted_shortage: (u64, u64),
}

impl Hosts {
    pub(super) fn new(remembered: &Remembered, remembered_hosts: &RememberedHosts) -> Self {
        Self {
            registry: Registry::new(remembered_hosts),
            rules: AutoVeRules::default(),
            own: None,
            guests: BTreeSet::new(),
            peer_serves: None,
            registering: Registering::default(),
            proving: Proving::default(),
            clones: Clones::default(),
            twins: Twins::default(),
            pace: Pace::default(),
            retiring: Retiring::new(remembered),
            unrecorded: retiring::unrecorded(remembered, remembered_hosts),
            imports: Imports::default(),
            missing: Missing::new(remembered, remembered_hosts),
            seen: BTreeMap::new(),
            rehoming: false,
            noted_too_many: false,
            noted_shortage: (0, 0),
        }
    }

    /// Whether a peer is configured.
    pub(super) fn has_peer(&self) -> bool {
        self.rules.has_peer
    }

    /// What stands in the ledger beside the first session of a host that was just registered.
    pub(super) fn take_announcement(&mut self, host: HostKey) -> Option<Event> {
        self.registering.announced.remove(&host)
    }
}

impl Node {
    pub(super) fn take_rules(&mut self, _now: Now, rules: AutoVeRules) {
        if !rules.has_peer {
            self.forget_peer_failure();
        }
        self.hosts.rules = rules;
    }

    /// The peer came, went, or says something else of itself than before; or its changes were merged.
    pub(super) fn peer_has_changed(&mut self, now: Now) {
        self.hear_of_peer();
        self.take_host_news(now);
        self.note_capacity();
    }

    /// Everything about hosts that time alone changes.
    pub(super) fn review_hosts(&mut self, now: Now) {
        self.hear_of_peer();
        self.take_host_news(now);
        self.retry_retirements();
        self.record_retirements(now);
        self.rehome(now);
        self.end_missing(now);
        self.write_homed(now);
        self.audit_imports(now);
        self.retry_seen();
        self.review_twins();
        self.note_capacity();
    }

    /// What follows for guests and sessions from entries that changed.
    pub(super) fn take_host_news(&mut self, now: Now) {
        let news = self.hosts.registry.take_news();
        if news.is_empty() {
            return;
        }
        for host in &news {
            self.prove(*host);
        }
        // Of a whole registry that comes from the peer, hardly any host runs here.
        let here: BTreeSet<HostKey> =
            news.into_iter().filter(|host| self.runs_here(*host)).collect();
        let here: Vec<HostKey> = here.into_iter().collect();
        self.settle_guests(&here);
        for host in here {
            self.revoke_if_ended(now, host);
        }
        self.judge_missing();
    }

    /// Whether a host has an instance here as a guest, or any session.
    fn runs_here(&self, host: HostKey) -> bool {
        self.hosts.guests.contains(&host) || self.sessions.of_host(host).next().is_some()
    }
}
