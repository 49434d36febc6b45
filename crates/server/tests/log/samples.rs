//! The lines that users' scripts know, with the samples' own times and values.

use jiff::{Timestamp, tz::TimeZone};
use ve_core::{
    id::SessionNumber,
    license::ProductVersion,
    node::io::{Note, RaisedMark, Who},
    reason::{ReasonCode, Refusal},
    text::Name,
    time::{HOUR_MS, Utc},
};
use ve_server::log::{Entry, Field, Level, line, notes, program};

use super::{LONG, TERMINATED, lines, open, settings};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn who() -> Who {
    Who {
        hardware: name("Charon-SSP/4U"),
        version: ProductVersion::try_from(name("4.1.32")).expect("a version"),
        address: name("127.0.0.1:40704"),
        emulator: name("ss5"),
        session: Some(SessionNumber(7)),
    }
}

fn refusal() -> Refusal {
    Refusal::new(ReasonCode::InstanceLimit, "all 3 instances of Charon-SSP/ALL are in use.")
}

fn utc(time: &str) -> Timestamp {
    format!("{time}Z").parse().expect("a time")
}

/// The lines of a note at a time of a sample.
fn noted(time: &str, note: &Note) -> String {
    let entries = notes::entries(utc(time), note);
    entries.iter().map(|entry| line(entry, &TimeZone::UTC)).collect()
}

/// The line of an entry as if it had been made at a time of a sample.
fn told(time: &str, entry: &Entry) -> String {
    let entry = Entry::at(utc(time), entry.level(), entry.module(), entry.message());
    line(&entry, &TimeZone::UTC)
}

#[test]
fn the_samples_come_out_to_the_letter() {
    let nothing =
        Refusal::new(ReasonCode::LicenseNotAvailable, "no license is installed on this server.");
    let samples = [
        told("2020-01-16 09:00:43", &program::build_time_of(utc("2020-01-16 10:54:15"))),
        told("2020-01-16 09:00:44", &program::ready()),
        noted("2020-01-10 12:17:19", &Note::NoLicense(nothing)),
        noted("2020-10-03 01:31:09", &Note::LoggedIn(who())),
        noted("2020-10-03 01:45:21", &Note::Disconnected(who())),
        noted("2026-01-01 00:00:00", &Note::Refused(who(), refusal())),
    ];
    assert_eq!(
        samples.concat(),
        "\
2020-01-16 09:00:43 INFO MAIN Build time: Jan 16 2020 10:54:15
2020-01-16 09:00:44 INFO MAIN License server is ready to serve.
2020-01-10 12:17:19 ERROR License license is not available.
2020-01-10 12:17:19 ERROR License license-not-available: no license is installed on this server.
2020-10-03 01:31:09 INFO Server CHARON-SSP/4U v4.1.32 has logged in from 127.0.0.1:40704.
2020-10-03 01:45:21 INFO Server CHARON-SSP/4U v4.1.32 from 127.0.0.1:40704 has been disconnected
2026-01-01 00:00:00 WARN Server CHARON-SSP/4U v4.1.32 from 127.0.0.1:40704 was refused: instance-limit: all 3 instances of Charon-SSP/ALL are in use.
"
    );
}

#[test]
fn what_the_original_does_not_know_is_told_in_its_style() {
    let id = || "01.00000001.002.044".parse().expect("a license ID");
    let notes = [
        Note::Revoked(who(), refusal()),
        Note::LeaseEnded(who()),
        Note::LicenseValid { id: id(), version: 3 },
        Note::LicenseInvalid { id: Some(id()), refusal: refusal() },
        Note::LicenseInvalid { id: None, refusal: refusal() },
        Note::ClockBehind(7_200),
        Note::ClockAhead(90_000),
        Note::ClockSound,
        Note::LedgerFailed("the disk is full.".to_owned()),
        Note::LedgerRecovered,
    ];
    let lines: String = notes.iter().map(|note| noted("2026-01-01 00:00:00", note)).collect();
    assert_eq!(
        lines.replace("2026-01-01 00:00:00 ", ""),
        "\
WARN Server CHARON-SSP/4U v4.1.32 from 127.0.0.1:40704 was revoked: instance-limit: all 3 instances of Charon-SSP/ALL are in use.
INFO Server CHARON-SSP/4U v4.1.32 from 127.0.0.1:40704 did not come back in time, its seat is free.
INFO License license 01.00000001.002.044 version 3 is valid.
ERROR License license 01.00000001.002.044 is not valid: instance-limit: all 3 instances of Charon-SSP/ALL are in use.
ERROR License an installed license is not valid: instance-limit: all 3 instances of Charon-SSP/ALL are in use.
WARN MAIN The system clock is 2 hours behind a time that has been before; expiry goes by the later time. Set the clock right.
WARN MAIN The system clock is 25 hours ahead of the last time that is certain; expiry goes by it while that lasts. Check the clock.
INFO MAIN The system clock is right again.
ERROR MAIN The ledger can't be written: the disk is full. Sessions go on, new ones are refused, and writing is tried again. Make room or repair the disk.
INFO MAIN The ledger can be written again.
"
    );
}

#[test]
fn what_clients_have_proved_and_what_runs_low_is_told_with_its_numbers() {
    let id = || "01.00000001.002.044".parse().expect("a license ID");
    let hours = |from_ms, to_ms| RaisedMark::HoursUsed { id: id(), version: 2, from_ms, to_ms };
    let raised = [
        RaisedMark::LicenseVersion { id: id(), from: 0, to: 3 },
        RaisedMark::LicenseVersion { id: id(), from: 2, to: 3 },
        hours(10 * HOUR_MS, 12 * HOUR_MS + HOUR_MS / 2),
        hours(1_000, 61_000),
        // No line at all.
        hours(0, 0),
        hours(1_000, 1_999),
        RaisedMark::Time { from: Utc(1_700_000_000), to: Utc(1_700_003_600) },
        RaisedMark::LedgerPosition { from: 100, to: 120 },
    ];
    let other = [
        Note::HoursLow { id: id(), remaining_ms: 25 * HOUR_MS },
        Note::HoldersUnknown { for_ms: 2 * HOUR_MS },
        Note::LedgerFailed("the ledger can't be written: the disk is full".to_owned()),
    ];
    let notes = raised.map(Note::MarkRaised).into_iter().chain(other);
    let lines: String = notes.map(|note| noted("2026-01-01 00:00:00", &note)).collect();
    assert_eq!(
        lines.replace("2026-01-01 00:00:00 ", ""),
        "\
WARN License An older ledger was put in place: a client's grant shows that license 01.00000001.002.044 had version 3, of which the ledger knows nothing. What the grant shows counts from now on.
WARN License An older ledger was put in place: a client's grant shows that license 01.00000001.002.044 had version 3, the ledger says 2. What the grant shows counts from now on.
WARN License An older ledger was put in place: a client's grant shows that 12.5 hour(s) of license 01.00000001.002.044 version 2 were used, the ledger says 10 hour(s). What the grant shows counts from now on.
WARN License An older ledger was put in place: a client's grant shows that 61 second(s) of license 01.00000001.002.044 version 2 were used, the ledger says 1 second(s). What the grant shows counts from now on.
WARN License An older ledger was put in place: a client's grant shows that it was 2023-11-14 23:13:20 UTC, the ledger says 2023-11-14 22:13:20. What the grant shows counts from now on.
WARN License An older ledger was put in place: a client's grant shows that the ledger had 120 records, it has 100. What the grant shows counts from now on.
WARN License license 01.00000001.002.044 has 25 hour(s) of run time left; at zero its sessions are revoked. Ask your vendor for more in time.
WARN License The ledger may not know every holder of a seat. Until 2 hours have passed, newcomers get no seat of a license with lease = \"grace\"; sessions that are known or can prove their seat come back at once. Nothing needs to be done.
ERROR MAIN The ledger can't be written: the disk is full. Sessions go on, new ones are refused, and writing is tried again. Make room or repair the disk.
"
    );
}

#[test]
fn the_log_begins_and_ends_as_the_original_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let log = open(&settings);
    log.write(program::build_time_of(utc("2020-01-02 03:04:05")));
    log.write(program::home(folder.path()));
    log.write(program::listening("127.0.0.1:8083"));
    log.write(program::ready());
    log.note(&Note::LoggedIn(who()));
    log.connection_refused("127.0.0.1:1", &refusal());
    assert!(log.close(LONG));
    log.write(program::ready());
    assert!(log.close(LONG), "closing twice is harmless");
    let home = format!("INFO MAIN Home: {}", folder.path().display());
    let expected = [
        "INFO MAIN Build time: Jan 02 2020 03:04:05",
        &home,
        "INFO MAIN Listening on 127.0.0.1:8083.",
        "INFO MAIN License server is ready to serve.",
        "INFO Server CHARON-SSP/4U v4.1.32 has logged in from 127.0.0.1:40704.",
        "WARN Server connection from 127.0.0.1:1 was refused: instance-limit: all 3 instances of Charon-SSP/ALL are in use.",
        TERMINATED,
    ];
    assert_eq!(lines(&settings.file), expected);
}

#[test]
fn this_build_tells_its_time() {
    let message = program::build_time().message().to_owned();
    let time = message.strip_prefix("Build time: ").expect("the original's words");
    let built = jiff::civil::DateTime::strptime("%b %d %Y %H:%M:%S", time).expect("its form");
    assert!(built.year() >= 2020, "{message}");
}

#[test]
fn sessions_carry_their_facts() {
    let note = Note::Refused(who(), refusal());
    let [entry] = &notes::entries(utc("2026-01-01 00:00:00"), &note)[..] else {
        panic!("one entry");
    };
    assert_eq!(entry.level(), Level::Warn);
    let facts: Vec<(Field, &str)> =
        entry.fields().iter().map(|(field, value)| (*field, value.as_str())).collect();
    let expected = [
        (Field::Event, "refused"),
        (Field::Emulator, "ss5"),
        (Field::Address, "127.0.0.1:40704"),
        (Field::Hardware, "Charon-SSP/4U"),
        (Field::ProductVersion, "4.1.32"),
        (Field::Session, "7"),
        (Field::Reason, "instance-limit"),
    ];
    assert_eq!(facts, expected);
}

/// Sentences and messages may hold what a client sent.
#[test]
fn nobody_can_forge_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let log = open(&settings);
    let forged = "x\n2026-01-01 00:00:00 INFO MAIN forged\r\u{1b}[2K\u{202e}\u{85}\u{2028}y\0";
    log.note(&Note::Refused(who(), Refusal::new(ReasonCode::BadRequest, forged)));
    log.note(&Note::LedgerFailed(forged.to_owned()));
    log.connection_refused(forged, &refusal());
    log.error(ve_server::log::Module::Main, "z".repeat(10_000_000));
    assert!(log.close(LONG));
    let lines = lines(&settings.file);
    assert_eq!(lines.len(), 5);
    for line in &lines {
        assert!(
            !line.contains(|c: char| c.is_control() || "\u{202e}\u{2028}".contains(c)),
            "{line:?}"
        );
        assert!(line.len() < 10_000, "{}", line.len());
    }
    assert!(lines[0].contains("x\\u{a}2026-01-01 00:00:00 INFO MAIN forged\\u{d}\\u{1b}[2K"));
}
