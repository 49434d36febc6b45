//! Deliberate mistakes, to see that each is caught. They exist here and nowhere in the product: the
//! simulator's shells make them, around a core that is as it is.

use ve_core::license::Mode;

/// A mistake of a shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The ledger reports an append before it is written.
    AnswerBeforeDurable,
    /// A failed append is reported as durable.
    FailureReportedDurable,
    /// A start forgets the sessions that the ledger has.
    SessionsForgotten,
    /// A start gives the node none of the sessions that it has read.
    NewcomersFirst,
    /// Requests are let in before the server is ready, as if it were.
    ServedTooEarly,
    /// Two logins get the same session name.
    SessionShared,
    /// The meters are never written.
    MeterNotWritten,
    /// A start begins with empty meters.
    MeterReset,
    /// A closed link is said to have been silent for long.
    LeaseCutShort,
    /// The vendor's `lease = "grace"` is treated like a short one.
    GraceLeaseIgnored,
    /// The version mark is not written.
    VersionMarkDropped,
    /// What clients show is not looked at.
    WitnessIgnored,
    /// Revocations are told an hour late.
    RevokedLate,
    /// A grant names a longer grace period than the license.
    GraceProlonged,
    /// The guest is stopped without being asked first.
    StopBeforeShutdown,
    /// The guest is asked to shut down as soon as the license is lost.
    ShutdownTooEarly,
    /// The client's time since boot follows its wall clock.
    WallAsElapsed,
    /// The primary is never probed.
    FailbackNever,
    /// Who goes home does not log out of the backup.
    BackupKept,
    /// Refusals reach clients with another code.
    ReasonSwapped,
    /// Closed links are never forgotten.
    LinksKept,
    /// A change of the registry is reported before it is written.
    RegisteredBeforeDurable,
    /// A start finds an empty registry although the file has hosts.
    RegistryForgotten,
    /// A start gives the node none of the hosts that it has read.
    RegistryUnread,
    /// A start gives the node none of the retirements that ledger and registry have.
    RetirementsForgotten,
    /// Of a peer's changes the last of each message is lost.
    ChangesDropped,
    /// Licenses are read as if they had more instances.
    MoreInstances,
    /// A peer's license is taken for a larger one.
    PeerOverstated,
    /// The boot that a host runs in does not reach the node.
    BootHidden,
    /// Who runs at the peer does not reach the node.
    PresenceHidden,
    /// Hosts don't hear which server is their home.
    HomeIgnored,
    /// What a host's provider says of it does not reach the node.
    IdentityHidden,
    /// Nor does it for a key that the registry does not have yet.
    NewKeysUnbound,
    /// A machine is hidden from the node while an earlier key of it stands idle.
    EarlierKeyKept,
    /// A provider's document is believed although its signature does not hold.
    ForgeryBelieved,
    /// Clones are refused in silence.
    ClonesUnnoted,
    /// Who is proven to run beside another of its key is not told of.
    TwinsUntold,
}

impl Bug {
    /// Every bug.
    pub const ALL: &[Self] = &[
        Self::AnswerBeforeDurable,
        Self::FailureReportedDurable,
        Self::SessionsForgotten,
        Self::NewcomersFirst,
        Self::ServedTooEarly,
        Self::SessionShared,
        Self::MeterNotWritten,
        Self::MeterReset,
        Self::LeaseCutShort,
        Self::GraceLeaseIgnored,
        Self::VersionMarkDropped,
        Self::WitnessIgnored,
        Self::RevokedLate,
        Self::GraceProlonged,
        Self::StopBeforeShutdown,
        Self::ShutdownTooEarly,
        Self::WallAsElapsed,
        Self::FailbackNever,
        Self::BackupKept,
        Self::ReasonSwapped,
        Self::LinksKept,
        Self::RegisteredBeforeDurable,
        Self::RegistryForgotten,
        Self::RegistryUnread,
        Self::RetirementsForgotten,
        Self::ChangesDropped,
        Self::MoreInstances,
        Self::PeerOverstated,
        Self::BootHidden,
        Self::PresenceHidden,
        Self::HomeIgnored,
        Self::IdentityHidden,
        Self::NewKeysUnbound,
        Self::EarlierKeyKept,
        Self::ForgeryBelieved,
        Self::ClonesUnnoted,
        Self::TwinsUntold,
    ];

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AnswerBeforeDurable => "answer-before-durable",
            Self::FailureReportedDurable => "failure-reported-durable",
            Self::SessionsForgotten => "sessions-forgotten",
            Self::NewcomersFirst => "newcomers-first",
            Self::ServedTooEarly => "served-too-early",
            Self::SessionShared => "session-shared",
            Self::MeterNotWritten => "meter-not-written",
            Self::MeterReset => "meter-reset",
            Self::LeaseCutShort => "lease-cut-short",
            Self::GraceLeaseIgnored => "grace-lease-ignored",
            Self::VersionMarkDropped => "version-mark-dropped",
            Self::WitnessIgnored => "witness-ignored",
            Self::RevokedLate => "revoked-late",
            Self::GraceProlonged => "grace-prolonged",
            Self::StopBeforeShutdown => "stop-before-shutdown",
            Self::ShutdownTooEarly => "shutdown-too-early",
            Self::WallAsElapsed => "wall-as-elapsed",
            Self::FailbackNever => "failback-never",
            Self::BackupKept => "backup-kept",
            Self::ReasonSwapped => "reason-swapped",
            Self::LinksKept => "links-kept",
            Self::RegisteredBeforeDurable => "registered-before-durable",
            Self::RegistryForgotten => "registry-forgotten",
            Self::RegistryUnread => "registry-unread",
            Self::RetirementsForgotten => "retirements-forgotten",
            Self::ChangesDropped => "changes-dropped",
            Self::MoreInstances => "more-instances",
            Self::PeerOverstated => "peer-overstated",
            Self::BootHidden => "boot-hidden",
            Self::PresenceHidden => "presence-hidden",
            Self::HomeIgnored => "home-ignored",
            Self::IdentityHidden => "identity-hidden",
            Self::NewKeysUnbound => "new-keys-unbound",
            Self::EarlierKeyKept => "earlier-key-kept",
            Self::ForgeryBelieved => "forgery-believed",
            Self::ClonesUnnoted => "clones-unnoted",
            Self::TwinsUntold => "twins-untold",
        }
    }

    /// The bug of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.as_str() == name)
    }

    /// The invariant that it breaks.
    pub const fn breaks(self) -> &'static str {
        match self {
            Self::AnswerBeforeDurable | Self::FailureReportedDurable => "durable_first",
            Self::SessionsForgotten => "acknowledged",
            Self::NewcomersFirst => "holders_first",
            Self::ServedTooEarly => "readiness",
            Self::SessionShared => "one_owner",
            Self::MeterNotWritten | Self::MeterReset => "hours",
            Self::LeaseCutShort => "leases",
            Self::GraceLeaseIgnored => "running",
            Self::VersionMarkDropped | Self::WitnessIgnored => "marks",
            Self::RevokedLate => "revocations",
            Self::GraceProlonged | Self::WallAsElapsed => "grace_end",
            Self::StopBeforeShutdown => "clean_shutdown",
            Self::ShutdownTooEarly => "shutdown_lead",
            Self::FailbackNever | Self::BackupKept => "liveness",
            Self::ReasonSwapped => "reasons",
            Self::LinksKept => "bounds",
            Self::RegisteredBeforeDurable => "registered_first",
            Self::RegistryForgotten => "registrations",
            Self::RegistryUnread => "counted_once",
            Self::RetirementsForgotten => "retired",
            Self::ChangesDropped => "equal",
            Self::MoreInstances => "capacity",
            Self::PeerOverstated => "together",
            Self::BootHidden | Self::PresenceHidden => "clones",
            Self::HomeIgnored => "served_again",
            Self::IdentityHidden => "identities",
            Self::NewKeysUnbound => "retired_machines",
            Self::EarlierKeyKept => "one_instance",
            Self::ForgeryBelieved => "documents",
            Self::ClonesUnnoted => "noticed",
            Self::TwinsUntold => "twins",
        }
    }

    /// The mode in which it shows.
    pub const fn mode(self) -> Mode {
        match self {
            Self::RegisteredBeforeDurable
            | Self::RegistryForgotten
            | Self::RegistryUnread
            | Self::RetirementsForgotten
            | Self::ChangesDropped
            | Self::MoreInstances
            | Self::PeerOverstated
            | Self::BootHidden
            | Self::PresenceHidden
            | Self::HomeIgnored
            | Self::IdentityHidden
            | Self::NewKeysUnbound
            | Self::EarlierKeyKept
            | Self::ForgeryBelieved
            | Self::ClonesUnnoted
            | Self::TwinsUntold => Mode::AutoVe,
            _ => Mode::General,
        }
    }

    /// The mildest profile in which it shows.
    pub const fn profile(self) -> crate::Profile {
        use crate::Profile;
        match self {
            Self::FailureReportedDurable
            | Self::SessionsForgotten
            | Self::NewcomersFirst
            | Self::MeterNotWritten
            | Self::MeterReset
            | Self::VersionMarkDropped
            | Self::WitnessIgnored
            | Self::PeerOverstated => Profile::Disks,
            Self::GraceProlonged
            | Self::StopBeforeShutdown
            | Self::ShutdownTooEarly
            | Self::FailbackNever
            | Self::GraceLeaseIgnored
            | Self::LeaseCutShort
            | Self::BackupKept
            | Self::ChangesDropped
            | Self::PresenceHidden
            | Self::TwinsUntold => Profile::Network,
            Self::WallAsElapsed | Self::BootHidden | Self::RetirementsForgotten => Profile::Clocks,
            _ => Profile::Calm,
        }
    }
}
