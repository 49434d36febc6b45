//! What the administrator's tools and a running server say to each other over the control socket:
//! one line of JSON each way. The reports are also what `--json` prints, so their fields stay.

mod hosts;

use serde::{Deserialize, Serialize};
use ve_core::{
    id::{HostKey, LicenseId, SessionNumber},
    reason::{ReasonCode, Refusal},
    time::Utc,
};

pub use hosts::{
    CapacityReport, HostReport, Instances, MAX_ENTRY_BYTES, MAX_HOSTS_PER_PAGE, PeerReport,
    PeerReports,
};

/// The longest request: a license file and what stands around it, in bytes.
pub const MAX_REQUEST_BYTES: usize = 3 << 20;

/// The longest reply: a hundred thousand sessions, in bytes.
pub const MAX_REPLY_BYTES: usize = 128 << 20;

/// What a tool asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How the server is: [`Status`].
    Status,
    /// The installed licenses as the server judges them: [`Licenses`].
    Licenses,
    /// Who holds a seat: [`Sessions`].
    Sessions,
    /// Who was refused since the start: [`Denials`].
    Denials,
    /// Take a session's seat back: [`Done`].
    Release {
        /// The session's public number.
        number: SessionNumber,
    },
    /// Check a license file and install it: [`Installation`].
    Install {
        /// The V2C.
        v2c: String,
        /// Only say what would happen.
        dry_run: bool,
    },
    /// Remove an installed license; its marks stay: [`Done`].
    Remove {
        /// Which.
        id: LicenseId,
    },
    /// The registered hosts, a part at a time: [`Instances`].
    Instances {
        /// The last host of the part before.
        after: Option<HostKey>,
    },
    /// One registered host: [`HostReport`].
    Host {
        /// Its key, the beginning of it, or its name.
        host: String,
    },
    /// Retire a host: its instance becomes free, for ever: [`Done`].
    Retire {
        /// Its key, the beginning of it, or its name.
        host: String,
    },
    /// Import hosts, all or none: [`Done`]. That many lines follow, each a host's entry as JSON.
    Import {
        /// How many.
        hosts: usize,
    },
    /// The peer: [`PeerReports`].
    Peers,
}

/// What the server answers: a report, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The report that the request names, as JSON.
    Report(serde_json::Value),
    /// Refused or failed.
    Failed(Failure),
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code for a tool that has nothing better to do.
    pub exit_code: u8,
    /// The reason code, where a rule refused.
    pub reason: Option<ReasonCode>,
    /// What happened, why, and what to do next.
    pub message: String,
}

/// Something was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What.
    pub message: String,
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The server's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where it listens for emulators.
    pub listen: String,
    /// Since when it runs (UTC, seconds since 1970).
    pub since: Utc,
    /// `ready`, or `draining`.
    pub state: String,
    /// The fingerprint of the server's key: its public half, in hexadecimal.
    pub server_key: String,
    /// Open links.
    pub links: usize,
    /// Sessions that hold a seat.
    pub sessions: usize,
    /// Why the ledger can't be written; `None` while it can.
    pub ledger_failure: Option<String>,
    /// How many high-water marks clients' grants have raised since the start: more than 0 when an
    /// older ledger was put in place.
    pub marks_raised: u64,
    /// For how many more seconds the ledger may not know every holder of a seat, so that newcomers
    /// get none of a license with `lease = "grace"`; `None` when it knows them all.
    pub holders_unknown_seconds: Option<u64>,
    /// How the instances of the AutoVE license are used; `None` in general mode.
    pub autove: Option<CapacityReport>,
    /// The peer; `None` without one.
    pub peer: Option<PeerReport>,
    /// What the administrator should know and do something about, in sentences.
    pub attention: Vec<String>,
    /// How every license stands.
    pub licenses: Vec<LicenseReport>,
}

/// The installed licenses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licenses {
    /// One for each; those that can't be read stand last.
    pub licenses: Vec<LicenseReport>,
}

/// One installed license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseReport {
    /// Its ID; `(unreadable)` when neither the file nor its name tells.
    pub id: String,
    /// Its version; 0 when the file can't be read.
    pub version: u32,
    /// `valid`, or the refusal in words.
    pub status: String,
    /// The reason code when it is not valid.
    pub reason: Option<ReasonCode>,
    /// Run time left in seconds, to the second; `None` for `NORMAL`.
    pub remaining_seconds: Option<u64>,
    /// Run time used of this version, in seconds; `None` for `NORMAL`.
    pub used_seconds: Option<u64>,
    /// `general` or `autove`.
    #[serde(default)]
    pub mode: Option<String>,
    /// Whose license.
    pub customer: Option<String>,
    /// `NORMAL` or `COUNTDOWN`.
    pub key_type: Option<String>,
    /// When it ends (UTC, seconds since 1970); `None`: never, or by hours.
    pub expires: Option<Utc>,
    /// The seats of its sections.
    pub products: Vec<ProductReport>,
}

/// The seats of one product section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductReport {
    /// The product code.
    pub code: String,
    /// The emulated models.
    pub virtual_hardware: Vec<String>,
    /// Seats licensed; in AutoVE mode, hosts.
    pub instances: u32,
    /// How many of them are in use: seats that sessions hold, or hosts that have an instance; `None`
    /// when no server runs.
    pub in_use: Option<usize>,
    /// How many emulators run or have a seat reserved; `None` when no server runs.
    #[serde(default)]
    pub emulators: Option<usize>,
    /// When the section ends (UTC, seconds since 1970).
    pub expires: Option<Utc>,
}

/// The sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// Oldest first.
    pub sessions: Vec<SessionReport>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReport {
    /// The public number.
    pub id: SessionNumber,
    /// The product section's code.
    pub product: String,
    /// The version of the emulator product.
    pub version: String,
    /// The emulated model.
    pub virtual_hardware: String,
    /// The emulator's name.
    pub emulator: String,
    /// From where it is connected, or last was, `address:port`.
    pub address: String,
    /// Since when (UTC, seconds since 1970).
    pub since: Utc,
    /// `opening`, `live`, `left`, `held` or `closing`.
    pub state: String,
    /// For how long a seat without a connection stays reserved, in seconds.
    pub reserved_seconds: Option<u64>,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Virtual memory in MB.
    pub memory_mb: u64,
    /// The license that the seat is from.
    pub license_id: String,
    /// The first digits of the host's key, to tell hosts apart.
    pub host: String,
    /// All of them, as the list of instances names the host.
    #[serde(default)]
    pub host_key: Option<HostKey>,
}

/// Who was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denials {
    /// Oldest first.
    pub denials: Vec<DenialReport>,
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialReport {
    /// When (UTC, seconds since 1970).
    pub at: Utc,
    /// The reason code.
    pub reason: ReasonCode,
    /// The rule in words.
    pub message: String,
    /// The version of the emulator product.
    pub version: String,
    /// The emulated model.
    pub virtual_hardware: String,
    /// The emulator's name.
    pub emulator: String,
    /// From where, `address:port`.
    pub address: String,
}

/// What installing a license did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// Which license.
    pub id: LicenseId,
    /// The version that was installed before.
    pub from_version: Option<u32>,
    /// The version of the file.
    pub to_version: u32,
    /// Whether it was installed, rather than only looked at.
    pub installed: bool,
    /// Every field that differs.
    pub changes: Vec<Change>,
    /// Whether the license will be valid, or why not.
    pub status: String,
    /// How many hosts have an instance of it now; `None` in general mode, and when no server runs.
    #[serde(default)]
    pub hosts_served: Option<u64>,
    /// How many of these keep it.
    #[serde(default)]
    pub hosts_kept: Option<u64>,
    /// How many sessions go on and notice nothing; `None` when no server runs.
    pub sessions_kept: Option<usize>,
    /// The sessions that are revoked, and why.
    pub sessions_revoked: Vec<RevokedSession>,
}

/// One field that differs between two versions of a license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which, as the license viewer names it.
    pub field: String,
    /// What it was; `None`: it was not there.
    pub before: Option<String>,
    /// What it is; `None`: it is gone.
    pub after: Option<String>,
}

/// A session that an installation revokes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedSession {
    /// The session's public number.
    pub id: SessionNumber,
    /// Why.
    pub refusal: Refusal,
}
