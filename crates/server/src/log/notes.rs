//! What the node tells, as entries.

mod hosts;

use std::fmt::Display;

use jiff::Timestamp;
use ve_core::{
    id::LicenseId,
    node::io::{Note, RaisedMark, Who},
    reason::Refusal,
    time::{SECOND_MS, spoken_duration, spoken_hours},
};
use ve_store::LEDGER_GONE;

use super::{
    Entry, Field,
    Level::{self, Error, Info, Warn},
    Module,
};

/// The entries of a note that was told at `at`: more than one only for [`Note::NoLicense`], none for a
/// meter that was raised by less than a second.
pub fn entries(at: Timestamp, note: &Note) -> Vec<Entry> {
    let told = Told { at };
    vec![match note {
        Note::LoggedIn(who) => told.logged_in(who),
        Note::Disconnected(who) => told.disconnected(who),
        Note::Refused(who, refusal) => told.refused(who, refusal),
        Note::Revoked(who, refusal) => told.revoked(who, refusal),
        Note::LeaseEnded(who) => told.lease_ended(who),
        Note::NoLicense(refusal) => return told.no_license(refusal),
        Note::LicenseValid { id, version } => told.license_valid(id, *version),
        Note::LicenseInvalid { id, refusal } => told.license_invalid(id.as_ref(), refusal),
        Note::ClockBehind(seconds) => told.clock_behind(*seconds),
        Note::ClockAhead(seconds) => told.clock_ahead(*seconds),
        Note::ClockSound => told.main(Info, "clock-sound", "The system clock is right again."),
        // A meter's last moments: nothing that a line could show.
        Note::MarkRaised(RaisedMark::HoursUsed { from_ms, to_ms, .. })
            if to_ms.saturating_sub(*from_ms) < SECOND_MS =>
        {
            return Vec::new();
        }
        Note::MarkRaised(raised) => told.mark_raised(raised),
        Note::HoursLow { id, remaining_ms } => told.hours_low(id, *remaining_ms),
        Note::HoldersUnknown { for_ms } => told.holders_unknown(*for_ms),
        Note::LedgerFailed(why) => told.ledger_failed(why),
        Note::LedgerRecovered => {
            told.main(Info, "ledger-recovered", "The ledger can be written again.")
        }
        Note::HostRegistered { .. }
        | Note::HostsImported { .. }
        | Note::HostRetired { .. }
        | Note::HostCloned { .. }
        | Note::IdentityClaimed { .. }
        | Note::RegistrationsFlood { .. }
        | Note::PeerInContact { .. }
        | Note::PeerInStep { .. }
        | Note::PeerLost { .. }
        | Note::PeerFailed(_)
        | Note::PeerRefused { .. }
        | Note::PeerClockOff(_)
        | Note::PeerClockRight
        | Note::PeersTooSmall { .. }
        | Note::PeersSuffice
        | Note::TooManyHosts { .. }
        | Note::HostsUnknown { .. }
        | Note::HostsKnown
        | Note::RegistryFailed(_)
        | Note::RegistryRecovered => return told.of_hosts(note).into_iter().collect(),
    }]
}

/// The entry of a client that was refused before it could say what it wants.
pub fn connection_refused(address: impl Display, refusal: &Refusal) -> Entry {
    let message = format!("connection from {address} was refused: {refusal}");
    Entry::new(Warn, Module::Server, message)
        .with(Field::Event, "connection-refused")
        .with(Field::Reason, refusal.code)
        .with(Field::Address, address)
}

/// Makes entries that all happened at one time.
struct Told {
    at: Timestamp,
}

impl Told {
    fn logged_in(&self, who: &Who) -> Entry {
        let message = format!("{} has logged in from {}.", emulator(who), who.address);
        self.server(Info, "logged-in", who, message)
    }

    /// The original's line has no full stop, and users' scripts know it so.
    fn disconnected(&self, who: &Who) -> Entry {
        let message = format!("{} has been disconnected", client(who));
        self.server(Info, "disconnected", who, message)
    }

    fn refused(&self, who: &Who, refusal: &Refusal) -> Entry {
        let message = format!("{} was refused: {refusal}", client(who));
        self.server(Warn, "refused", who, message).with(Field::Reason, refusal.code)
    }

    fn revoked(&self, who: &Who, refusal: &Refusal) -> Entry {
        let message = format!("{} was revoked: {refusal}", client(who));
        self.server(Warn, "revoked", who, message).with(Field::Reason, refusal.code)
    }

    fn lease_ended(&self, who: &Who) -> Entry {
        let message = format!("{} did not come back in time, its seat is free.", client(who));
        self.server(Info, "lease-ended", who, message)
    }

    /// The first line is the original's; the reason stands on a line of its own.
    fn no_license(&self, refusal: &Refusal) -> Vec<Entry> {
        let line = |message: String| {
            self.license(Error, "no-license", None, message).with(Field::Reason, refusal.code)
        };
        vec![line("license is not available.".to_owned()), line(refusal.to_string())]
    }

    fn license_valid(&self, id: &LicenseId, version: u32) -> Entry {
        let message = format!("license {id} version {version} is valid.");
        self.license(Info, "license-valid", Some(id), message).with(Field::LicenseVersion, version)
    }

    fn license_invalid(&self, id: Option<&LicenseId>, refusal: &Refusal) -> Entry {
        let message = match id {
            Some(id) => format!("license {id} is not valid: {refusal}"),
            None => format!("an installed license is not valid: {refusal}"),
        };
        self.license(Error, "license-invalid", id, message).with(Field::Reason, refusal.code)
    }

    fn clock_behind(&self, seconds: u64) -> Entry {
        let message = format!(
            "The system clock is {} behind a time that has been before; expiry goes by the later \
             time. Set the clock right.",
            spoken_seconds(seconds)
        );
        self.main(Warn, "clock-behind", message).with(Field::Seconds, seconds)
    }

    fn clock_ahead(&self, seconds: u64) -> Entry {
        let message = format!(
            "The system clock is {} ahead of the last time that is certain; expiry goes by it \
             while that lasts. Check the clock.",
            spoken_seconds(seconds)
        );
        self.main(Warn, "clock-ahead", message).with(Field::Seconds, seconds)
    }

    fn mark_raised(&self, raised: &RaisedMark) -> Entry {
        let (id, what) = match raised {
            RaisedMark::LicenseVersion { id, from: 0, to } => (
                Some(id),
                format!("license {id} had version {to}, of which the ledger knows nothing"),
            ),
            RaisedMark::LicenseVersion { id, from, to } => {
                (Some(id), format!("license {id} had version {to}, the ledger says {from}"))
            }
            RaisedMark::HoursUsed { id, version, from_ms, to_ms } => {
                let (from, to) = spoken_meters(*from_ms, *to_ms);
                let of = format!("of license {id} version {version}");
                (Some(id), format!("{to} {of} were used, the ledger says {from}"))
            }
            RaisedMark::Time { from, to } => {
                (None, format!("it was {to} UTC, the ledger says {from}"))
            }
            RaisedMark::LedgerPosition { from, to } => {
                (None, format!("the ledger had {to} records, it has {from}"))
            }
        };
        let message = format!(
            "An older ledger was put in place: a client's grant shows that {what}. What the grant \
             shows counts from now on."
        );
        self.license(Warn, "mark-raised", id, message)
    }

    fn hours_low(&self, id: &LicenseId, remaining_ms: u64) -> Entry {
        let left = spoken_hours(remaining_ms);
        let message = format!(
            "license {id} has {left} hour(s) of run time left; at zero its sessions are revoked. Ask \
             your vendor for more in time."
        );
        let seconds = remaining_ms / SECOND_MS;
        self.license(Warn, "hours-low", Some(id), message).with(Field::Seconds, seconds)
    }

    fn holders_unknown(&self, for_ms: u64) -> Entry {
        let message = format!(
            "The ledger may not know every holder of a seat. Until {} have passed, newcomers get no \
             seat of a license with lease = \"grace\"; sessions that are known or can prove their \
             seat come back at once. Nothing needs to be done.",
            spoken_duration(for_ms)
        );
        self.license(Warn, "holders-unknown", None, message)
    }

    fn ledger_failed(&self, why: &str) -> Entry {
        let why = ledger_cause(why);
        let message = format!(
            "The ledger can't be written: {why}. Sessions go on, new ones are refused, and \
             writing is tried again.{}",
            ledger_advice(why)
        );
        self.main(Error, "ledger-failed", message)
    }

    fn server(&self, level: Level, event: &str, who: &Who, message: String) -> Entry {
        let entry = Entry::at(self.at, level, Module::Server, message)
            .with(Field::Event, event)
            .with(Field::Emulator, &who.emulator)
            .with(Field::Address, &who.address)
            .with(Field::Hardware, &who.hardware)
            .with(Field::ProductVersion, &who.version);
        match who.session {
            Some(number) => entry.with(Field::Session, number),
            None => entry,
        }
    }

    fn license(&self, level: Level, event: &str, id: Option<&LicenseId>, message: String) -> Entry {
        let entry = Entry::at(self.at, level, Module::License, message).with(Field::Event, event);
        match id {
            Some(id) => entry.with(Field::License, id),
            None => entry,
        }
    }

    fn main(&self, level: Level, event: &str, message: impl Display) -> Entry {
        Entry::at(self.at, level, Module::Main, message).with(Field::Event, event)
    }
}

/// Why the ledger can't be written, without saying once more that it can't.
pub(crate) fn ledger_cause(why: &str) -> &str {
    why.strip_prefix("the ledger can't be written: ").unwrap_or(why).trim_end_matches('.')
}

/// What to do about it, where the cause doesn't say so itself; with a space before it.
pub(crate) fn ledger_advice(why: &str) -> &'static str {
    if why.starts_with(LEDGER_GONE) { "" } else { " Make room or repair the disk." }
}

/// Two readings of a meter, in hours where that shows a difference.
fn spoken_meters(from_ms: u64, to_ms: u64) -> (String, String) {
    let (from, to) = (spoken_hours(from_ms), spoken_hours(to_ms));
    if from == to {
        let seconds = |ms| format!("{} second(s)", ms / SECOND_MS);
        return (seconds(from_ms), seconds(to_ms));
    }
    (format!("{from} hour(s)"), format!("{to} hour(s)"))
}

/// `CHARON-SSP/4U v4.1.32`.
fn emulator(who: &Who) -> String {
    format!("{} v{}", who.hardware.as_str().to_uppercase(), who.version)
}

/// `CHARON-SSP/4U v4.1.32 from 127.0.0.1:40704`.
fn client(who: &Who) -> String {
    format!("{} from {}", emulator(who), who.address)
}

fn spoken_seconds(seconds: u64) -> String {
    spoken_duration(seconds.saturating_mul(SECOND_MS))
}
