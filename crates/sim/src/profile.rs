//! What goes wrong in a run, and how often.

use ve_core::license::Mode;

use crate::random::Random;

/// Which faults a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Nothing but people: starts, stops, updates of licenses, planned restarts.
    Calm,
    /// Cuts, one-way cuts, slow and lossy paths, killed and hung servers.
    Network,
    /// Slow, full, failing and read-only disks, torn writes, restored backups and lost ledgers.
    Disks,
    /// Wall clocks that jump, machines that sleep and boot.
    Clocks,
    /// All of it.
    Everything,
}

impl Profile {
    /// Every profile, from the mildest.
    pub const ALL: [Self; 5] =
        [Self::Calm, Self::Network, Self::Disks, Self::Clocks, Self::Everything];

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Network => "network",
            Self::Disks => "disks",
            Self::Clocks => "clocks",
            Self::Everything => "everything",
        }
    }

    /// The profile of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == name)
    }

    /// What may happen next.
    pub(crate) fn fault(self, mode: Mode, random: &mut Random) -> Fault {
        let kinds: &[&[Fault]] = match (mode, self) {
            (Mode::General, Self::Calm) => &[CALM],
            (Mode::General, Self::Network) => &[CALM, NETWORK, NETWORK],
            (Mode::General, Self::Disks) => &[CALM, DISKS, DISKS],
            (Mode::General, Self::Clocks) => &[CALM, CLOCKS, CLOCKS],
            (Mode::General, Self::Everything) => &[CALM, NETWORK, DISKS, CLOCKS],
            (Mode::AutoVe, Self::Calm) => &[CALM, HOSTS],
            (Mode::AutoVe, Self::Network) => &[CALM, HOSTS, NETWORK, PEERS, PEERS],
            (Mode::AutoVe, Self::Disks) => &[CALM, HOSTS, DISKS, REGISTRIES, REGISTRIES],
            (Mode::AutoVe, Self::Clocks) => &[CALM, HOSTS, CLOCKS, CLOCKS],
            (Mode::AutoVe, Self::Everything) => {
                &[CALM, HOSTS, HOSTS, NETWORK, PEERS, DISKS, REGISTRIES, CLOCKS]
            }
        };
        let kind = random.pick(kinds);
        random.pick(kind)
    }

    /// How long until the next fault, in milliseconds.
    pub(crate) fn pause_ms(self, random: &mut Random) -> u64 {
        const MINUTE_MS: u64 = 60_000;
        let (shortest, longest) = match self {
            Self::Calm => (30 * MINUTE_MS, 240 * MINUTE_MS),
            _ => (MINUTE_MS, 60 * MINUTE_MS),
        };
        // Troubles seldom come alone.
        if self != Self::Calm && random.percent(25) {
            return random.between(10, MINUTE_MS / 2);
        }
        random.between(shortest, longest)
    }

    /// Whether paths are slow and lossy from time to time.
    pub(crate) const fn is_flaky(self) -> bool {
        matches!(self, Self::Network | Self::Everything)
    }
}

/// Something that goes wrong, or that somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A server ends and comes back as it should.
    Drain,
    /// The server's process is killed.
    Kill,
    /// The server's machine loses its power.
    PowerLoss,
    /// The server's process stands still.
    Hang,
    /// Nobody reaches a server.
    CutServer,
    /// Some hosts reach no server.
    CutHosts,
    /// Some hosts reach a server in one direction only.
    OneWay,
    /// Every path is slow and loses packets.
    Flaky,
    /// A server's disk is slow.
    SlowDisk,
    /// It is full.
    FullDisk,
    /// It gives errors, and its reserve as well.
    FailingDisk,
    /// It is read-only.
    ReadOnlyDisk,
    /// An older ledger is put in place.
    Restore,
    /// The ledger is lost.
    LoseLedger,
    /// A server's wall clock jumps.
    ServerClock,
    /// A host's wall clock jumps.
    HostClock,
    /// A host sleeps.
    Sleep,
    /// A host loses its power.
    HostPowerLoss,
    /// A client program is killed, its guest with it.
    KillClient,
    /// A guest ends by itself.
    GuestEnds,
    /// The administrator releases a session.
    Release,
    /// The vendor's next license version is installed.
    Update,
    /// An earlier version is put in place of the installed one.
    OldLicense,
    /// A license is removed.
    Remove,
    /// A license with another ID takes the place of the installed one.
    Replace,
    /// A new host appears.
    NewHost,
    /// A host is gone for ever.
    Terminate,
    /// The administrator retires a host.
    Retire,
    /// A host's disk is copied, and the copy starts elsewhere.
    Clone,
    /// A host loses what it has kept, its key with it.
    NewKey,
    /// A host shows another machine's provider document, as it is or changed.
    ClaimIdentity,
    /// The administrator retires a host, and its machine comes back with another key.
    RetireMachine,
    /// A host loses its receipts.
    LoseReceipts,
    /// A host's receipts are as they were some time ago.
    OldReceipts,
    /// A host shows another one's receipt.
    StolenReceipt,
    /// The two servers don't reach each other.
    CutPeers,
    /// They don't for a while, and a host is copied meanwhile.
    CloneApart,
    /// What one of them says doesn't reach the other.
    OneWayPeers,
    /// Both servers end at the same time.
    KillBoth,
    /// A server's registry is lost.
    LoseRegistry,
    /// Those of both servers are.
    LoseBothRegistries,
    /// An older registry is put in place.
    OldRegistry,
    /// A server's whole home is as it was some time ago.
    OldHome,
    /// The registry's disk is slow.
    SlowRegistry,
    /// It is full.
    FullRegistry,
    /// It gives errors.
    FailingRegistry,
}

const CALM: &[Fault] = &[
    Fault::Drain,
    Fault::KillClient,
    Fault::GuestEnds,
    Fault::Release,
    Fault::Update,
    Fault::Update,
    Fault::OldLicense,
    Fault::Remove,
];
const NETWORK: &[Fault] = &[
    Fault::Kill,
    Fault::Kill,
    Fault::Hang,
    Fault::CutServer,
    Fault::CutServer,
    Fault::CutHosts,
    Fault::CutHosts,
    Fault::OneWay,
    Fault::OneWay,
    Fault::Flaky,
];
const DISKS: &[Fault] = &[
    Fault::Kill,
    Fault::PowerLoss,
    Fault::SlowDisk,
    Fault::SlowDisk,
    Fault::FullDisk,
    Fault::FailingDisk,
    Fault::ReadOnlyDisk,
    Fault::Restore,
    Fault::LoseLedger,
];
const CLOCKS: &[Fault] = &[
    Fault::PowerLoss,
    Fault::ServerClock,
    Fault::ServerClock,
    Fault::HostClock,
    Fault::HostClock,
    Fault::Sleep,
    Fault::Sleep,
    Fault::HostPowerLoss,
    Fault::Hang,
];
const HOSTS: &[Fault] = &[
    Fault::NewHost,
    Fault::NewHost,
    Fault::Terminate,
    Fault::Retire,
    Fault::Retire,
    Fault::Clone,
    Fault::Clone,
    Fault::NewKey,
    Fault::NewKey,
    Fault::ClaimIdentity,
    Fault::ClaimIdentity,
    Fault::RetireMachine,
    Fault::LoseReceipts,
    Fault::OldReceipts,
    Fault::StolenReceipt,
    Fault::HostPowerLoss,
    Fault::Replace,
];
const PEERS: &[Fault] = &[
    Fault::CutPeers,
    Fault::CutPeers,
    Fault::CutPeers,
    Fault::OneWayPeers,
    Fault::CloneApart,
    Fault::CloneApart,
    Fault::KillBoth,
    Fault::NewHost,
    Fault::Retire,
];
const REGISTRIES: &[Fault] = &[
    Fault::LoseRegistry,
    Fault::LoseBothRegistries,
    Fault::OldRegistry,
    Fault::OldRegistry,
    Fault::OldHome,
    Fault::SlowRegistry,
    Fault::FullRegistry,
    Fault::FailingRegistry,
    Fault::KillBoth,
];
