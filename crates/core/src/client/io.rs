//! What goes into a client machine and what comes out: two closed enums.

use alloc::{string::String, vec::Vec};

use crate::{
    grant::Grant,
    id::{LicenseId, SessionId},
    reason::Refusal,
    time::Utc,
};

/// Names one of the configured servers: 0 is the primary, 1 the backup.
pub type ServerIndex = usize;

/// Names one attempt to connect; what belongs to an attempt that was given up is ignored.
pub type Attempt = u64;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "few are alive at a time, and most of what matters carries a grant"
)]
pub enum Input {
    /// The program starts: get a license.
    Start,
    /// A connection stands, and the server behind it has proved that its vendor knows it.
    Connected {
        /// Which attempt succeeded.
        attempt: Attempt,
        /// The licenses that it has proved to have.
        licenses: Vec<LicenseId>,
    },
    /// No connection, or none that can be trusted.
    NotConnected {
        /// Which attempt failed.
        attempt: Attempt,
        /// Why.
        why: ConnectError,
    },
    /// The connection is gone.
    LinkLost {
        /// Which attempt had made it.
        attempt: Attempt,
        /// Why, for the log.
        why: String,
        /// By how much this comes later than the heartbeat time-out should have found it, in
        /// milliseconds: how long the machine slept. The grace period began before that.
        late_ms: u64,
    },
    /// A login or check was granted, freshly signed.
    Granted {
        /// Over the connection of which attempt.
        attempt: Attempt,
        /// What.
        grant: Grant,
    },
    /// A login or check was refused, freshly signed.
    Refused {
        /// Over the connection of which attempt.
        attempt: Attempt,
        /// Why.
        refusal: Refusal,
    },
    /// The server took the session back, in a signed notice.
    Revoked {
        /// Over the connection of which attempt.
        attempt: Attempt,
        /// Why.
        refusal: Refusal,
    },
    /// The server is about to stop. The connection still works.
    Closing {
        /// Over the connection of which attempt.
        attempt: Attempt,
    },
    /// The server has confirmed the logout.
    LoggedOut {
        /// Over the connection of which attempt.
        attempt: Attempt,
    },
    /// The guest has ended by itself or as it was asked.
    GuestEnded,
    /// The guest did not start.
    GuestFailed,
    /// The operator wants the program to end: the first time cleanly, the second time at once.
    StopRequested,
    /// The deadline has come.
    Tick,
}

/// Why there is no connection to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectError {
    /// Nobody answers there, or not as a license server.
    Unreachable(String),
    /// It speaks other versions of the protocol.
    ProtocolVersion(String),
    /// It shows no credential of a trusted vendor for the key of its certificate. What it says is
    /// therefore hearsay.
    Unverified {
        /// What is wrong with what it shows.
        why: String,
        /// What it says about that.
        refusal: Option<Refusal>,
    },
}

/// Something to be done. One `match` in the shell carries all of them out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "few are alive at a time, and most of what matters carries a grant"
)]
pub enum Effect {
    /// Connect to a server and say hello. Other connections stay as they are; there is never more
    /// than one for each server.
    Connect {
        /// Names the attempt.
        attempt: Attempt,
        /// Which server.
        server: ServerIndex,
    },
    /// Log in over the connection.
    Login {
        /// Over the connection of which attempt.
        attempt: Attempt,
        /// The session to come back to.
        session: Option<SessionId>,
    },
    /// Ask whether the session is still licensed.
    Check {
        /// Over the connection of which attempt.
        attempt: Attempt,
        /// Which session.
        session: SessionId,
    },
    /// Log out; the answer is [`Input::LoggedOut`], or a refusal.
    Logout {
        /// Over the connection of which attempt.
        attempt: Attempt,
        /// Which session.
        session: SessionId,
    },
    /// Close the connection of an attempt, or stop making it. Nothing more is heard of it.
    Disconnect {
        /// Which attempt.
        attempt: Attempt,
    },
    /// Start the guest, with what it was licensed for.
    StartGuest,
    /// Ask the guest to shut down cleanly.
    ShutDownGuest,
    /// Stop the guest now.
    StopGuest,
    /// Tell the log.
    Tell(Told),
    /// Run the operator's command for this moment.
    RunHook(Hook),
    /// End the program.
    Exit(Exit),
}

/// Something that the log should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "few are alive at a time, and most of what matters carries a grant"
)]
pub enum Told {
    /// A server is tried.
    Trying(ServerIndex),
    /// What was licensed, and by which server.
    Licensed(ServerIndex, Grant),
    /// The license is lost: its server can't be reached any more.
    Lost {
        /// Which server had granted it.
        server: ServerIndex,
        /// Why, beyond the known line.
        why: String,
    },
    /// The license is lost: its server took it back.
    Revoked {
        /// Which server.
        server: ServerIndex,
        /// Why.
        refusal: Refusal,
    },
    /// A license server can't be reached.
    ConnectionFailed {
        /// Which; of several that a round could not reach, the last.
        server: ServerIndex,
        /// Why, beyond the known line.
        why: String,
    },
    /// No configured server can be reached, at start.
    Unavailable,
    /// A server refused.
    Refused {
        /// Which.
        server: ServerIndex,
        /// Why.
        refusal: Refusal,
        /// Whether a trusted server said so.
        verified: bool,
    },
    /// A server speaks another version of the protocol.
    ProtocolVersionInvalid {
        /// Which.
        server: ServerIndex,
        /// Which versions it speaks.
        why: String,
    },
    /// The emulator ends within this many milliseconds unless a license is found. What is above a
    /// minute is rounded up to a minute, so that it reads well: it is an upper limit.
    EndsWithin(u64),
    /// A license was found in time.
    Restored {
        /// When, by the wall clock.
        wall: Utc,
    },
    /// Another server licenses from now on, with or without a loss between.
    Switched {
        /// Which.
        server: ServerIndex,
        /// Whether it is preferred to the one before.
        back: bool,
    },
    /// The guest is asked to shut down, because the grace period ends within this many milliseconds
    /// (rounded as in [`Told::EndsWithin`]).
    ShutdownForLicense(u64),
    /// The guest is asked to shut down, because the operator wants it.
    ShutdownForOperator,
    /// The grace period is over: the guest is stopped.
    GraceEnded,
    /// The guest did not shut down in time for the operator, or was not to be waited for: it is
    /// stopped.
    StoppedForOperator,
    /// The seat was given back.
    LoggedOut(ServerIndex),
}

/// The moments for which an operator may name a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// The license is lost; the grace period runs.
    Lost,
    /// It was found again.
    Restored,
    /// A server of lower preference has taken over.
    Failover,
    /// Back on a server of higher preference.
    Failback,
    /// The grace period has this little left (with every warning but the first).
    Expiring,
    /// The guest is asked to shut down, because the grace period ends.
    Ending,
}

impl Hook {
    /// The name in the VM's file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Restored => "restored",
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::Expiring => "expiring",
            Self::Ending => "ending",
        }
    }
}

/// How the program ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// As the guest did.
    AsGuest,
    /// The runner itself began the stop, because of the license.
    LicenseLost,
    /// No server that can be trusted was reached at start; what went wrong with the last one.
    NoServer(String),
    /// A server refused at start.
    Refused(Refusal),
    /// The guest could not be started.
    GuestFailed,
    /// The operator stopped it before the guest was started.
    Stopped,
}

/// What a client machine is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many servers are configured; at least one.
    pub servers: usize,
    /// The license that this host is at home with, as its receipt says: in AutoVE mode, that
    /// license's server is preferred, wherever it stands in the configuration. Grants bring it up to
    /// date. `None`: the first server is preferred.
    pub home: Option<LicenseId>,
    /// How long to go on trying at start, in milliseconds.
    pub start_wait_ms: u64,
    /// How long before the end of the grace period the guest is asked to shut down, in milliseconds.
    pub shutdown_lead_ms: u64,
    /// How long the guest may take when the operator stops it, in milliseconds.
    pub shutdown_timeout_ms: u64,
    /// How often a server of higher preference is probed while another one licenses, in
    /// milliseconds; spread by up to a tenth to either side.
    pub primary_probe_ms: u64,
    /// The beginning of the random numbers that spread retries; any number.
    pub seed: u64,
}
