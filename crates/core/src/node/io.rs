//! What goes into a node and what comes out: two closed enums.

use alloc::{string::String, vec::Vec};

use super::{
    event::{AppendError, Record},
    peer::{PeerFailure, PeerMessage},
};
use crate::{
    fingerprint::Machine,
    grant::{Grant, Witness},
    id::{HostKey, LicenseId, LinkId, RunId, SessionId, SessionNumber},
    license::{Credential, License, ProductVersion, Verified},
    network::Network,
    reason::Refusal,
    registry::{Batch, HostEntry, HostFacts},
    select::Wanted,
    text::{Name, Passphrase},
    time::Elapsed,
};

pub use super::note::{Note, RaisedMark, Who};

/// Names a request of one link; the client chooses it and finds it again in the answer.
pub type RequestId = u64;

/// Names an append until its outcome is known.
pub type AppendId = u64;

/// Names a change of the registry until its outcome is known.
pub type EnrollId = u64;

/// Names a question of the administrator's until it is answered.
pub type Ticket = u64;

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// The installed licenses, all of them, whenever they may have changed.
    Licenses {
        /// Those whose signature holds.
        trusted: Vec<Verified<License>>,
        /// Those that can't be used at all, and why.
        unusable: Vec<UnusableLicense>,
    },
    /// The machine was read anew. At the start this comes before the first licenses, which are
    /// judged by it.
    Machine(Machine),
    /// The server begins to serve: the leases of known sessions start now. Until then no one is let
    /// in and no session is revoked.
    Ready,
    /// A client connected, and its host's key is proven.
    LinkOpened {
        /// The new link.
        link: LinkId,
        /// The host behind it.
        host: HostKey,
        /// From where, `address:port`.
        address: Name,
    },
    /// A link is gone.
    LinkClosed {
        /// Which.
        link: LinkId,
        /// When the last bytes came over it.
        last_heard: Elapsed,
    },
    /// A client asked something.
    Request {
        /// Over which link.
        link: LinkId,
        /// Its name for the question.
        request: RequestId,
        /// What.
        ask: Ask,
    },
    /// The client says whether it still runs the session that a [`Effect::Ping`] asked for.
    Pong {
        /// Over which link.
        link: LinkId,
        /// Which session.
        session: SessionId,
        /// Whether it runs.
        runs: bool,
    },
    /// What became of an [`Effect::Append`].
    Appended {
        /// Which.
        id: AppendId,
        /// Durable, or not at all.
        outcome: Result<Durable, AppendError>,
    },
    /// What became of an [`Effect::Enroll`]; they come back in their order.
    Enrolled {
        /// Which.
        id: EnrollId,
        /// Durable, or not at all.
        outcome: Result<(), AppendError>,
    },
    /// Another license server connected or was connected to. Its credential holds, and its key is
    /// proven.
    PeerOpened {
        /// The new link.
        link: LinkId,
        /// Who it is.
        peer: Verified<Credential>,
        /// Where, `address:port`.
        address: Name,
        /// Whether this side dialed.
        dialed: bool,
    },
    /// A peer said something over a link that [`Input::PeerOpened`] announced and no
    /// [`Input::LinkClosed`] has ended.
    PeerSaid {
        /// Over which link.
        link: LinkId,
        /// What.
        message: PeerMessage,
    },
    /// The configured peer can't be reached, or is none.
    PeerFailed {
        /// Why.
        refusal: PeerFailure,
    },
    /// What the configuration says of AutoVE; at the start, before [`Input::Ready`], and whenever
    /// it may have changed.
    AutoVe(AutoVeRules),
    /// The administrator retires a host: its instance becomes free, for ever.
    Retire {
        /// Names the question.
        ticket: Ticket,
        /// Which host.
        host: HostKey,
    },
    /// The administrator imports entries: all of them, or none.
    ImportHosts {
        /// Names the question.
        ticket: Ticket,
        /// Which; at most [`crate::registry::MAX_HOSTS`].
        entries: Vec<HostEntry>,
    },
    /// The administrator takes a session's seat back.
    Release {
        /// Names the question.
        ticket: Ticket,
        /// Which session.
        number: SessionNumber,
    },
    /// Someone wants to know when everything that was decided so far is durable.
    Settle {
        /// Names the question.
        ticket: Ticket,
    },
    /// The server is about to stop: say so to every client and let no one in.
    Drain,
    /// The deadline has come.
    Tick,
}

/// Where an append is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// In the ledger.
    Ledger,
    /// Only in the reserve, which holds marks and meters while the ledger takes nothing.
    Reserve,
}

/// A client's question.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A seat, please.
    Login {
        /// For what.
        login: Login,
        /// The secret name that a new session would get: 128 fresh random bits.
        fresh: SessionId,
    },
    /// Would there be a seat? Takes none.
    Probe(Login),
    /// Is this session still licensed?
    Check(SessionId),
    /// This session is over.
    Logout(SessionId),
}

/// A login: who wants a seat for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The emulator product, for the lists.
    pub product: Name,
    /// The emulated model, version, size and passphrase.
    pub wanted: Wanted,
    /// The emulator's name, unique on its host.
    pub emulator: Name,
    /// The session that the client had, if it had one.
    pub session: Option<SessionId>,
    /// The run of the client program.
    pub run: RunId,
    /// What this server had granted to the same host before: its marks count here.
    pub witnesses: Vec<Verified<Witness>>,
    /// What the host says of itself, for an AutoVE server.
    pub facts: Option<HostFacts>,
}

impl Login {
    /// The product's version.
    pub fn version(&self) -> &ProductVersion {
        &self.wanted.version
    }

    /// The given passphrase.
    pub fn passphrase(&self) -> Option<&Passphrase> {
        self.wanted.passphrase.as_ref()
    }
}

/// What the configuration says of AutoVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoVeRules {
    /// Whether a peer is configured.
    pub has_peer: bool,
    /// From where hosts may register; empty: from everywhere.
    pub allow: Vec<Network>,
    /// How many hosts of one address may register at once.
    pub registration_burst: u32,
    /// How many hosts of one address may register in a minute once the burst is used up.
    pub registrations_per_minute: u32,
}

impl Default for AutoVeRules {
    fn default() -> Self {
        Self {
            has_peer: false,
            allow: Vec::new(),
            registration_burst: 200,
            registrations_per_minute: 60,
        }
    }
}

/// An installed license that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableLicense {
    /// Its ID, as far as it could be read.
    pub id: Option<LicenseId>,
    /// Why.
    pub refusal: Refusal,
}

/// Something to be done. One `match` in the shell carries all of them out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make these records durable, all or none, and report it as [`Input::Appended`].
    Append {
        /// Names the append.
        id: AppendId,
        /// What to append.
        records: Vec<Record>,
    },
    /// Answer a request.
    Answer {
        /// Over which link.
        link: LinkId,
        /// Which request.
        request: RequestId,
        /// With what.
        answer: Answer,
    },
    /// Make this durable in the registry, all or nothing and in this order, and report it as
    /// [`Input::Enrolled`].
    Enroll {
        /// Names the change.
        id: EnrollId,
        /// What to write.
        batch: Batch,
    },
    /// Say this to a peer.
    TellPeer {
        /// Over which link.
        link: LinkId,
        /// What.
        message: PeerMessage,
    },
    /// Tell a server that it is no peer of this one, and close the link.
    RefusePeer {
        /// Which link.
        link: LinkId,
        /// Why.
        refusal: Refusal,
    },
    /// Tell a client that its session is no longer licensed.
    Revoke {
        /// Over which link.
        link: LinkId,
        /// Which session.
        session: SessionId,
        /// Why.
        refusal: Refusal,
    },
    /// Ask a client whether it still runs a session; it answers with [`Input::Pong`].
    Ping {
        /// Over which link.
        link: LinkId,
        /// Which session.
        session: SessionId,
    },
    /// Tell a client that the server is about to stop.
    Closing {
        /// Over which link.
        link: LinkId,
    },
    /// Answer the administrator.
    Reply {
        /// Which question.
        ticket: Ticket,
        /// Done (says what), or refused (says why).
        outcome: Result<String, Refusal>,
    },
    /// Tell the log.
    Note(Note),
}

/// An answer to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The seat is the client's, durably; or, to a probe, would be.
    Granted(Grant),
    /// It is not, and why.
    Refused(Refusal),
    /// The seat is free, durably.
    LoggedOut(SessionId),
}
