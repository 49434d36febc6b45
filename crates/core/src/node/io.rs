//! What goes into a node and what comes out: two closed enums.

use alloc::{string::String, vec::Vec};

use super::event::{AppendError, Record};
use crate::{
    fingerprint::Machine,
    grant::{Grant, Witness},
    id::{HostKey, LicenseId, LinkId, RunId, SessionId, SessionNumber},
    license::{License, ProductVersion, Verified},
    reason::Refusal,
    select::Wanted,
    text::{Name, Passphrase},
    time::{Elapsed, Utc},
};

/// Names a request of one link; the client chooses it and finds it again in the answer.
pub type RequestId = u64;

/// Names an append until its outcome is known.
pub type AppendId = u64;

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

/// Who a note is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The emulated model.
    pub hardware: Name,
    /// The product's version.
    pub version: ProductVersion,
    /// From where, `address:port`.
    pub address: Name,
    /// The emulator's name.
    pub emulator: Name,
    /// The session, when there is one.
    pub session: Option<SessionNumber>,
}

/// Something that the log should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A client got a seat, or came back to its own.
    LoggedIn(Who),
    /// A client logged out or its link is gone.
    Disconnected(Who),
    /// A client was refused.
    Refused(Who, Refusal),
    /// A session was taken back.
    Revoked(Who, Refusal),
    /// A left seat was not claimed within its lease and is free again.
    LeaseEnded(Who),
    /// No installed license is valid; the reason of the first, if there is any.
    NoLicense(Refusal),
    /// A license is valid now.
    LicenseValid {
        /// Which.
        id: LicenseId,
        /// Its version.
        version: u32,
    },
    /// A license is not valid, and why.
    LicenseInvalid {
        /// Which, as far as it is known.
        id: Option<LicenseId>,
        /// Why.
        refusal: Refusal,
    },
    /// The wall clock is this many seconds behind what the server is sure of.
    ClockBehind(u64),
    /// The wall clock is this many seconds ahead, more than a day.
    ClockAhead(u64),
    /// The wall clock is fine again.
    ClockSound,
    /// A client has shown a grant that says more than the ledger knew: an older ledger was put in
    /// place. What it says counts now.
    MarkRaised(RaisedMark),
    /// A `COUNTDOWN` license has only this much run time left, in milliseconds; said once for each
    /// of a few thresholds.
    HoursLow {
        /// Which.
        id: LicenseId,
        /// Milliseconds left.
        remaining_ms: u64,
    },
    /// The ledger may have forgotten who holds seats of `lease = "grace"` licenses, so newcomers get
    /// none for this long, in milliseconds.
    HoldersUnknown {
        /// Milliseconds from now.
        for_ms: u64,
    },
    /// The ledger can't be written, and why; said once until it can.
    LedgerFailed(String),
    /// The ledger can be written again.
    LedgerRecovered,
}

/// A high-water mark that a client's grant has raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RaisedMark {
    /// A higher version of a license was installed here once.
    LicenseVersion {
        /// Which license.
        id: LicenseId,
        /// What the ledger knew; 0: nothing.
        from: u32,
        /// What was shown.
        to: u32,
    },
    /// More run time of a license version was used.
    HoursUsed {
        /// Which license.
        id: LicenseId,
        /// Which version of it.
        version: u32,
        /// What the ledger knew, in milliseconds.
        from_ms: u64,
        /// What was shown, in milliseconds.
        to_ms: u64,
    },
    /// It was later than the time mark says.
    Time {
        /// The mark.
        from: Utc,
        /// What was shown.
        to: Utc,
    },
    /// The ledger had more records.
    LedgerPosition {
        /// What the ledger has.
        from: u64,
        /// What was shown.
        to: u64,
    },
}
