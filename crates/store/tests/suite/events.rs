//! Records to append.

use std::path::PathBuf;

use tempfile::TempDir;
use ve_core::{
    fingerprint::Platform,
    id::{BootId, HostKey, LicenseId, RunId, SessionId, SessionNumber},
    license::ProductVersion,
    node::event::{
        BlockedRun, CloseCause, Denial, Event, Metered, Record, RegisteredBy, RetiredHost,
        SessionRecord,
    },
    reason::{ReasonCode, Refusal},
    registry::PlatformIdentity,
    text::Name,
    time::{Elapsed, Moment, Utc},
};
use ve_store::{Embedded, Limits, RESERVE_NAME};

/// A folder with a ledger's place in it.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger.db")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.path().join("ledger.db-wal")
    }

    pub(crate) fn reserve(&self) -> PathBuf {
        self.0.path().join(RESERVE_NAME)
    }

    pub(crate) fn open(&self) -> Embedded {
        Embedded::open(&self.ledger()).expect("a ledger")
    }

    pub(crate) fn open_with(&self, limits: Limits) -> Embedded {
        Embedded::open_with(&self.ledger(), limits).expect("a ledger")
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(crate) fn record(position: u64, event: Event) -> Record {
    let seconds = i64::try_from(position).unwrap_or(i64::MAX);
    Record { position, at: Utc(1_750_000_000).plus_seconds(seconds), event }
}

pub(crate) fn license(number: u8) -> LicenseId {
    format!("01.00000001.002.{number:03}").parse().expect("a license ID")
}

pub(crate) fn host(number: u8) -> HostKey {
    HostKey([number; 32])
}

/// A session of an emulator that has a host of its own.
pub(crate) fn session(number: u64) -> SessionRecord {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_le_bytes());
    SessionRecord {
        number: SessionNumber(number),
        id: SessionId([7; 16]),
        host: HostKey(key),
        run: RunId([9; 16]),
        emulator: name("zürich \"1\""),
        product: name("Charon-SSP"),
        version: version(),
        hardware: name("Charon-SSP/4M"),
        cpus: 4,
        memory_mb: 65_536,
        license_id: license(1),
        section: 2,
        product_code: name("Charon-SSP/ALL"),
        address: name("192.0.2.17:40000"),
        since: Utc(1_750_000_000),
        replaces: None,
        promised_lease_ms: 120_000,
        promised_grace: false,
    }
}

fn version() -> ProductVersion {
    ProductVersion::try_from(name("4.1.32")).expect("a version")
}

pub(crate) fn opened(number: u64) -> Event {
    Event::SessionOpened(session(number))
}

pub(crate) fn closed(number: u64) -> Event {
    Event::SessionClosed { number: SessionNumber(number), cause: CloseCause::LoggedOut }
}

pub(crate) fn blocked(host_number: u8, emulator: &str, run: u8) -> BlockedRun {
    BlockedRun { host: host(host_number), emulator: name(emulator), run: RunId([run; 16]) }
}

pub(crate) fn denial() -> Denial {
    Denial {
        host: host(5),
        address: name("192.0.2.18:40000"),
        emulator: name("geneva"),
        product: name("Charon-SSP"),
        version: version(),
        hardware: name("Charon-SSP/4V"),
        refusal: Refusal::new(ReasonCode::InstanceLimit, "All 2 instances are in use."),
    }
}

pub(crate) fn denied() -> Event {
    Event::Denied(denial())
}

pub(crate) fn seen(license_number: u8, version: u32) -> Event {
    Event::LicenseSeen { license_id: license(license_number), version }
}

pub(crate) fn used(license_number: u8, version: u32, used_ms: u64) -> Event {
    Event::HoursUsed {
        license_id: license(license_number),
        version,
        used_ms,
        charged_to: CHARGED_TO,
    }
}

/// Up to when every meter is charged.
pub(crate) const CHARGED_TO: Moment =
    Moment { boot: BootId([3; 16]), elapsed: Elapsed(60_000), wall: Utc(1_750_000_060) };

/// What is remembered of a meter that was marked with [`used`].
pub(crate) fn metered(used_ms: u64) -> Metered {
    Metered { used_ms, charged_to: Some(CHARGED_TO) }
}

pub(crate) fn marked(seconds: i64) -> Event {
    Event::TimeMarked { mark: Utc(seconds) }
}

pub(crate) fn registered(host_number: u8) -> Event {
    let (name, address) = (name("emu-1"), name("192.0.2.17:40000"));
    Event::HostRegistered {
        host: host(host_number),
        name,
        home: license(1),
        address,
        by: RegisteredBy::Login,
    }
}

pub(crate) fn retired(host_number: u8, license_number: u8, seconds: i64) -> Event {
    let (name, home, at) = (name("emu-1"), license(license_number), Utc(seconds));
    Event::HostRetired {
        host: host(host_number),
        name,
        home,
        here: true,
        at,
        identity: Some(machine()),
    }
}

/// What is remembered of a host that was retired with [`retired`].
pub(crate) fn retired_host(license_number: u8, seconds: i64) -> RetiredHost {
    let (at, home) = (Utc(seconds), license(license_number));
    RetiredHost { at, name: name("emu-1"), home, identity: Some(machine()) }
}

fn machine() -> PlatformIdentity {
    PlatformIdentity { platform: Platform::AmazonAws, id: name("i-1") }
}

pub(crate) fn homed(license_number: u8, count: u64) -> Event {
    Event::HostsHomed { home: license(license_number), count }
}
