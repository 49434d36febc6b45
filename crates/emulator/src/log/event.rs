//! What the license client tells its operator: a closed list.

use std::fmt;

use ve_core::{
    id::LicenseId,
    reason::Refusal,
    text::Name,
    time::{MINUTE_MS, SECOND_MS, Utc},
};

use crate::vm_file::ServerAddress;

/// How serious a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Info,
    /// In danger.
    Warn,
    /// Something failed.
    Error,
    /// The emulator can't go on.
    Fatal,
}

impl Level {
    /// The level as logs write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A line without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How serious it is.
    pub level: Level,
    /// The message.
    pub text: String,
}

impl Line {
    /// A line of any text; what could forge another line is escaped when it is written.
    pub(super) fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into() }
    }
}

/// What a grant says of the license, for the eye.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LicenseFacts {
    /// The server that granted it.
    pub server: ServerAddress,
    /// Which license.
    pub license_id: LicenseId,
    /// Whose license.
    pub customer: Name,
    /// The section's product code.
    pub product: Name,
    /// The licensed model.
    pub virtual_hardware: Name,
    /// How many seats the section has.
    pub instances: u32,
    /// The most virtual CPUs of one instance.
    pub max_cpu: u32,
    /// The most virtual memory of one instance, in MB.
    pub max_memory_mb: u64,
    /// The licensed major version.
    pub major: u32,
    /// The highest licensed minor version.
    pub minor: u32,
    /// The first moment without a license; `None`: perpetual, or counted in hours.
    pub expires: Option<Utc>,
    /// The run time that is left of a `COUNTDOWN` license, in milliseconds; `None` for `NORMAL`.
    pub remaining_ms: Option<u64>,
    /// How long the emulator may run on after a loss, in milliseconds.
    pub grace_ms: u64,
}

/// Which of the configured servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerRole {
    /// The preferred one.
    Primary,
    /// The one that stands in.
    Backup,
}

impl ServerRole {
    /// The role of a server by its place in the order of preference.
    pub const fn of(index: usize) -> Self {
        if index == 0 { Self::Primary } else { Self::Backup }
    }

    /// The role as messages name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        }
    }
}

/// Why a license that was held is held no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LossReason {
    /// No server could be reached; what happened, for a person.
    Unreachable(String),
    /// The server took it back, or refused a check.
    Revoked(Refusal),
}

/// Why a guest is asked to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownReason {
    /// The grace period ends in this many milliseconds.
    License {
        /// Milliseconds from now to the end.
        within_ms: u64,
    },
    /// The operator ended the run.
    Operator,
}

/// What happened, in the order in which an emulator's life brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// The configured servers, at the start.
    Servers {
        /// The preferred one.
        primary: ServerAddress,
        /// The one that stands in.
        backup: Option<ServerAddress>,
    },
    /// A login is under way; once for a series of tries.
    TryingServer {
        /// Where to.
        server: ServerAddress,
    },
    /// A try failed: no answer, or none that counts.
    ConnectFailed {
        /// Where to.
        server: ServerAddress,
        /// What happened, for a person.
        reason: String,
    },
    /// A server granted a license: at the start, on another server, or after a loss.
    Licensed(Box<LicenseFacts>),
    /// The license is back after a loss; follows [`LogEvent::Licensed`].
    BackToNormal {
        /// The wall clock.
        now: Utc,
    },
    /// No server could be reached at the start: the emulator ends.
    Unavailable,
    /// A server said no.
    Refused {
        /// Which server.
        server: ServerAddress,
        /// Its reason.
        refusal: Refusal,
        /// Whether the emulator had never been licensed, and so ends.
        at_start: bool,
    },
    /// A server speaks another version of the protocol.
    ProtocolVersionInvalid {
        /// Which server.
        server: ServerAddress,
    },
    /// A license that was held is gone; the grace period begins.
    Lost {
        /// The server that had granted it.
        server: ServerAddress,
        /// Why.
        reason: LossReason,
    },
    /// The end of the grace period comes nearer.
    TerminationWarning {
        /// Milliseconds from now to the end.
        within_ms: u64,
    },
    /// Now licensed by the other server; follows [`LogEvent::Licensed`], and
    /// [`LogEvent::BackToNormal`] where there was a loss.
    Switched {
        /// The server that licenses from now on.
        server: ServerAddress,
        /// Which of the two it is.
        role: ServerRole,
        /// Whether it is preferred to the one before: the primary, or the host's home (AutoVE).
        back: bool,
    },
    /// The seat was given back.
    LoggedOut {
        /// To whom.
        server: ServerAddress,
    },
    /// The guest is asked to shut down cleanly.
    ShutdownRequested {
        /// Why.
        reason: ShutdownReason,
    },
    /// The guest could not be asked.
    ShutdownFailed {
        /// Why not, for a person.
        reason: String,
    },
    /// The guest could not be started.
    StartFailed {
        /// Why not, for a person.
        reason: String,
    },
    /// The operator wanted the guest's end at once, or it took too long: it is stopped.
    StoppedAtOnce,
    /// The grace period is over: the emulator is stopped.
    GraceOver,
    /// The emulator has ended.
    GuestEnded {
        /// Its exit code, or 128 and the number of the signal that ended it.
        code: i32,
    },
    /// The receipt of the host's registration (AutoVE) is not kept. The license is as good as before.
    ReceiptNotKept {
        /// Why not, for a person.
        reason: String,
    },
    /// The machine's provider gave no document of its identity (AutoVE). The license is as good as
    /// before.
    IdentityMissing {
        /// Why not, for a person.
        reason: String,
    },
    /// A hook of the operator's failed.
    HookFailed {
        /// The hook's name, such as `lost`.
        hook: &'static str,
        /// What happened, for a person.
        reason: String,
    },
    /// The runner ends.
    Exit {
        /// Its exit code.
        code: i32,
    },
}

impl LogEvent {
    /// The event's name in the style `json`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Servers { .. } => "servers",
            Self::TryingServer { .. } => "trying-server",
            Self::ConnectFailed { .. } => "connect-failed",
            Self::Licensed(_) => "licensed",
            Self::BackToNormal { .. } => "back-to-normal",
            Self::Unavailable => "unavailable",
            Self::Refused { .. } => "refused",
            Self::ProtocolVersionInvalid { .. } => "protocol-version-invalid",
            Self::Lost { .. } => "lost",
            Self::TerminationWarning { .. } => "termination-warning",
            Self::Switched { .. } => "switched",
            Self::LoggedOut { .. } => "logged-out",
            Self::ShutdownRequested { .. } => "shutdown-requested",
            Self::ShutdownFailed { .. } => "shutdown-failed",
            Self::StartFailed { .. } => "start-failed",
            Self::StoppedAtOnce => "stopped-at-once",
            Self::GraceOver => "grace-over",
            Self::GuestEnded { .. } => "guest-ended",
            Self::ReceiptNotKept { .. } => "receipt-not-kept",
            Self::IdentityMissing { .. } => "identity-missing",
            Self::HookFailed { .. } => "hook-failed",
            Self::Exit { .. } => "exit",
        }
    }
}

/// A grace period as logs and the license viewer write it: whole minutes as minutes.
pub(super) fn grace_period(grace_ms: u64) -> String {
    if grace_ms.is_multiple_of(MINUTE_MS) {
        format!("{} minutes", grace_ms / MINUTE_MS)
    } else {
        format!("{} seconds", grace_ms.div_ceil(SECOND_MS))
    }
}
