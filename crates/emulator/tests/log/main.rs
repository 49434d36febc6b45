//! The logs, to the letter: the samples of the interface description with their own times and values.

mod files;

use std::fs;

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{self, TimeZone},
};
use ve_core::{
    reason::{ReasonCode, Refusal},
    time::{HOUR_MS, MINUTE_MS, SECOND_MS, Utc},
};
use ve_emulator::{
    log::{
        Clock, LicenseFacts, LogEvent, LogPlace, LogWriter, LossReason, ServerRole, ShutdownReason,
    },
    vm_file::LogStyle,
};

/// The samples' local time is this many hours ahead of UTC.
const SAMPLE_ZONE_HOURS: i8 = 8;

fn zone() -> TimeZone {
    tz::offset(SAMPLE_ZONE_HOURS).to_time_zone()
}

/// A clock that tells these local times, one after the other, and then the last one for ever.
fn clock(times: &[&str]) -> Clock {
    let mut times: Vec<Timestamp> = times
        .iter()
        .map(|text| {
            let time: DateTime = text.parse().expect("a time");
            time.to_zoned(zone()).expect("a local time").timestamp()
        })
        .collect();
    times.reverse();
    Box::new(move || if times.len() > 1 { times.pop().expect("a time") } else { times[0] })
}

/// What is in the log after `events`; the first of `times` is the opening's.
fn logged(style: LogStyle, times: &[&str], events: &[LogEvent]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let place = LogPlace::Rotated { file: folder.path().join("ss5.log"), keep: 5 };
    let name = "Charon".parse().expect("a name");
    let mut log = LogWriter::open_at(style, &place, name, zone(), clock(times)).expect("a log");
    for event in events {
        log.write(event);
    }
    fs::read_to_string(log.path()).expect("the log")
}

fn server(address: &str) -> ve_emulator::vm_file::ServerAddress {
    address.parse().expect("an address")
}

fn ssp_facts() -> LicenseFacts {
    LicenseFacts {
        server: server("127.0.0.1:8083"),
        license_id: "01.00000001.002.044".parse().expect("an ID"),
        customer: "Stromasys/Testing".parse().expect("a name"),
        product: "Charon-SSP/ALL".parse().expect("a name"),
        virtual_hardware: "Charon-SSP/4M".parse().expect("a name"),
        instances: 4,
        max_cpu: 4,
        max_memory_mb: 512,
        major: 4,
        minor: 2,
        expires: Some(Utc::parse("2020-12-31 15:55:00").expect("a date")),
        remaining_ms: None,
        grace_ms: 2 * HOUR_MS,
    }
}

fn par_facts() -> LicenseFacts {
    LicenseFacts {
        license_id: "03.00000003.002.006".parse().expect("an ID"),
        customer: "Stromasys".parse().expect("a name"),
        virtual_hardware: "Charon-PA9-64-L4".parse().expect("a name"),
        instances: 10,
        max_cpu: 8,
        max_memory_mb: 32_768,
        major: 3,
        minor: 0,
        expires: Some(Utc::parse("2022-06-08 23:55:00").expect("a date")),
        ..ssp_facts()
    }
}

fn licensed(facts: LicenseFacts) -> LogEvent {
    LogEvent::Licensed(Box::new(facts))
}

fn lost() -> LogEvent {
    let reason = LossReason::Unreachable("the connection was closed.".to_owned());
    LogEvent::Lost { server: server("127.0.0.1"), reason }
}

fn refusal() -> Refusal {
    let sentence = "all 3 instances of Charon-SSP/ALL are in use.";
    Refusal::new(ReasonCode::InstanceLimit, sentence)
}

#[test]
fn ssp_start_loss_and_return() {
    let start = "2020-07-16T21:25:10";
    let mut times = vec![start, start];
    times.extend(["2020-07-16T21:25:13"; 10]);
    times.extend(["2020-07-16T22:25:56"; 2]);
    times.extend(["2020-07-16T23:26:01"; 12]);
    let log = logged(
        LogStyle::Ssp,
        &times,
        &[
            LogEvent::TryingServer { server: server("127.0.0.1") },
            licensed(ssp_facts()),
            lost(),
            LogEvent::TerminationWarning { within_ms: 2 * HOUR_MS },
            licensed(ssp_facts()),
            LogEvent::BackToNormal { now: Utc::parse("2020-07-16 15:26:01").expect("a date") },
        ],
    );
    insta::assert_snapshot!(log, @r"
    2020-07-16 21:25:10 INFO VE Trying to login to license server: 127.0.0.1
    2020-07-16 21:25:13 INFO VE Connected with license server: 127.0.0.1
    2020-07-16 21:25:13 INFO VE Found available license ID: 01.00000001.002.044.
    2020-07-16 21:25:13 INFO VE Customer name: Stromasys/Testing.
    2020-07-16 21:25:13 INFO VE Virtual hardware model Charon-SSP/4M is licensed.
    2020-07-16 21:25:13 INFO VE Maximum concurrent instances are limited to 4.
    2020-07-16 21:25:13 INFO VE Maximum allowed virtual CPU(s) are 4.
    2020-07-16 21:25:13 INFO VE Maximum allowed virtualized memory is 512 MB.
    2020-07-16 21:25:13 INFO VE Major allowed version number is 4.
    2020-07-16 21:25:13 INFO VE Minor allowed version number is 2.
    2020-07-16 21:25:13 INFO VE Expiration UTC time: 2020-12-31 15:55:00.
    2020-07-16 22:25:56 ERROR VE Failed to connect with the license server!
    2020-07-16 22:25:56 WARN VE Charon will be terminated within 2 hours!
    2020-07-16 23:26:01 INFO VE Connected with license server: 127.0.0.1
    2020-07-16 23:26:01 INFO VE Found available license ID: 01.00000001.002.044.
    2020-07-16 23:26:01 INFO VE Customer name: Stromasys/Testing.
    2020-07-16 23:26:01 INFO VE Virtual hardware model Charon-SSP/4M is licensed.
    2020-07-16 23:26:01 INFO VE Maximum concurrent instances are limited to 4.
    2020-07-16 23:26:01 INFO VE Maximum allowed virtual CPU(s) are 4.
    2020-07-16 23:26:01 INFO VE Maximum allowed virtualized memory is 512 MB.
    2020-07-16 23:26:01 INFO VE Major allowed version number is 4.
    2020-07-16 23:26:01 INFO VE Minor allowed version number is 2.
    2020-07-16 23:26:01 INFO VE Expiration UTC time: 2020-12-31 15:55:00.
    2020-07-16 23:26:01 INFO VE Local UTC time: 2020-07-16 15:26:01.
    2020-07-16 23:26:01 INFO VE The license is verified, back to normal operation.
    ");
}

#[test]
fn ssp_everything_else() {
    let log = logged(LogStyle::Ssp, &["2021-08-10T17:16:41"], &everything_else());
    insta::assert_snapshot!(log, @r"
    2021-08-10 17:16:41 ERROR VE License protocol version is invalid.
    2021-08-10 17:16:41 ERROR VE Failed to connect with the license server!
    2021-08-10 17:16:41 FATAL VE License server is unavailable!
    2021-08-10 17:16:41 ERROR VE License request was refused: instance-limit: all 3 instances of Charon-SSP/ALL are in use.
    2021-08-10 17:16:41 ERROR VE License was revoked: instance-limit: all 3 instances of Charon-SSP/ALL are in use.
    2021-08-10 17:16:41 WARN VE Charon will be terminated within 1 hour!
    2021-08-10 17:16:41 WARN VE Charon will be terminated within 90 minutes!
    2021-08-10 17:16:41 WARN VE Charon will be terminated within 20 seconds!
    2021-08-10 17:16:41 INFO VE Switched to backup license server: 172.31.40.62
    2021-08-10 17:16:41 INFO VE Switched to backup license server: 172.31.40.62
    2021-08-10 17:16:41 WARN VE The guest is asked to shut down, Charon ends in 10 minutes.
    2021-08-10 17:16:41 INFO VE The guest is asked to shut down on request.
    2021-08-10 17:16:41 ERROR VE The guest could not be asked to shut down: exit code 1
    2021-08-10 17:16:41 ERROR VE The grace period is over, Charon is stopped.
    2021-08-10 17:16:41 INFO VE Charon has ended with exit code 0.
    2021-08-10 17:16:41 WARN VE The hook lost failed: exit code 2
    2021-08-10 17:16:41 WARN VE The host's receipt is not kept: no space left
    2021-08-10 17:16:41 WARN VE There is no identity document of this machine: it did not answer in time; if the host's key is lost, its instance has to be retired
    2021-08-10 17:16:41 INFO VE Logged out from license server: ::1
    ");
}

/// One of each event that the samples of `ssp` and `par` leave out.
fn everything_else() -> Vec<LogEvent> {
    let warning = |within_ms| LogEvent::TerminationWarning { within_ms };
    vec![
        LogEvent::Servers {
            primary: server("192.168.2.2"),
            backup: Some(server("192.168.2.3:99")),
        },
        LogEvent::ProtocolVersionInvalid { server: server("127.0.0.1") },
        LogEvent::ConnectFailed {
            server: server("127.0.0.1"),
            reason: "connection refused".to_owned(),
        },
        LogEvent::Unavailable,
        LogEvent::Refused { server: server("127.0.0.1"), refusal: refusal(), at_start: true },
        LogEvent::Lost { server: server("127.0.0.1"), reason: LossReason::Revoked(refusal()) },
        warning(HOUR_MS),
        warning(90 * MINUTE_MS),
        warning(20 * SECOND_MS),
        LogEvent::Switched {
            server: server("172.31.40.62"),
            role: ServerRole::Backup,
            back: false,
        },
        // A host that is at home with the backup's license (AutoVE) goes back to it.
        LogEvent::Switched { server: server("172.31.40.62"), role: ServerRole::Backup, back: true },
        LogEvent::ShutdownRequested {
            reason: ShutdownReason::License { within_ms: 10 * MINUTE_MS },
        },
        LogEvent::ShutdownRequested { reason: ShutdownReason::Operator },
        LogEvent::ShutdownFailed { reason: "exit code 1".to_owned() },
        LogEvent::GraceOver,
        LogEvent::GuestEnded { code: 0 },
        LogEvent::HookFailed { hook: "lost", reason: "exit code 2".to_owned() },
        LogEvent::ReceiptNotKept { reason: "no space left".to_owned() },
        LogEvent::IdentityMissing { reason: "it did not answer in time".to_owned() },
        LogEvent::LoggedOut { server: server("[::1]:8083") },
        LogEvent::Exit { code: 0 },
    ]
}

/// What a killed primary leaves in the log, from the loss to the backup's license.
fn switch_to_the_backup(facts: LicenseFacts) -> Vec<LogEvent> {
    let (primary, backup) = (|| server("127.0.0.1"), || server("172.31.40.62"));
    vec![
        lost(),
        LogEvent::TryingServer { server: primary() },
        LogEvent::ConnectFailed { server: primary(), reason: "connection refused".to_owned() },
        LogEvent::TerminationWarning { within_ms: 2 * HOUR_MS },
        LogEvent::TryingServer { server: backup() },
        licensed(LicenseFacts { server: backup(), ..facts }),
        LogEvent::BackToNormal { now: Utc::parse("2020-06-29 10:08:26").expect("a date") },
        LogEvent::Switched { server: backup(), role: ServerRole::Backup, back: false },
    ]
}

#[test]
fn ssp_switch_to_the_backup() {
    let events = switch_to_the_backup(ssp_facts());
    let log = logged(LogStyle::Ssp, &["2020-06-29T18:08:25"], &events);
    insta::assert_snapshot!(log, @r"
    2020-06-29 18:08:25 ERROR VE Failed to connect with the license server!
    2020-06-29 18:08:25 INFO VE Trying to login to license server: 127.0.0.1
    2020-06-29 18:08:25 ERROR VE Failed to connect with the license server!
    2020-06-29 18:08:25 WARN VE Charon will be terminated within 2 hours!
    2020-06-29 18:08:25 INFO VE Trying to login to license server: 172.31.40.62
    2020-06-29 18:08:25 INFO VE Connected with license server: 172.31.40.62
    2020-06-29 18:08:25 INFO VE Found available license ID: 01.00000001.002.044.
    2020-06-29 18:08:25 INFO VE Customer name: Stromasys/Testing.
    2020-06-29 18:08:25 INFO VE Virtual hardware model Charon-SSP/4M is licensed.
    2020-06-29 18:08:25 INFO VE Maximum concurrent instances are limited to 4.
    2020-06-29 18:08:25 INFO VE Maximum allowed virtual CPU(s) are 4.
    2020-06-29 18:08:25 INFO VE Maximum allowed virtualized memory is 512 MB.
    2020-06-29 18:08:25 INFO VE Major allowed version number is 4.
    2020-06-29 18:08:25 INFO VE Minor allowed version number is 2.
    2020-06-29 18:08:25 INFO VE Expiration UTC time: 2020-12-31 15:55:00.
    2020-06-29 18:08:25 INFO VE Local UTC time: 2020-06-29 10:08:26.
    2020-06-29 18:08:25 INFO VE The license is verified, back to normal operation.
    2020-06-29 18:08:25 INFO VE Switched to backup license server: 172.31.40.62
    ");
}

#[test]
fn par_switch_to_the_backup() {
    let events = switch_to_the_backup(par_facts());
    let log = logged(LogStyle::Par, &["2021-12-14T19:33:42.5"], &events);
    insta::assert_snapshot!(log, @r"
    20211214:193342.500000:err:Failed to connect with the license server.
    20211214:193342.500000:Trying to login to license server: 127.0.0.1
    20211214:193342.500000:warn:Unable to login to server because the license server failed to respond
    20211214:193342.500000:err:Failed to connect with the license server.
    20211214:193342.500000:warn:Charon will be terminated within 2 hours!
    20211214:193342.500000:Trying to login to license server: 172.31.40.62
    20211214:193342.500000:License allowed CPUs: 8.
    20211214:193342.500000:License allowed memory size: 32768.
    20211214:193342.500000:Connected with license server: 172.31.40.62
    20211214:193342.500000:Found available license ID: 03.00000003.002.006.
    20211214:193342.500000:Customer name: Stromasys
    20211214:193342.500000:Grace period is 120 minutes.
    20211214:193342.500000:Virtual hardware model Charon-PA9-64-L4 is licensed.
    20211214:193342.500000:Maximum concurrent instances are limited to 10.
    20211214:193342.500000:Maximum allowed virtual CPU(s) are 8.
    20211214:193342.500000:Maximum allowed virtualized memory is 32768 MB.
    20211214:193342.500000:Major allowed version number is 3.
    20211214:193342.500000:Minor allowed version number is 0.
    20211214:193342.500000:Expiration UTC time: 2022-06-08 23:55:00.
    20211214:193342.500000:Product Name = Charon-PA9-64-L4 License key ID = 03.00000003.002.006.
    20211214:193342.500000:Local UTC time: 2020-06-29 10:08:26.
    20211214:193342.500000:The license is verified, back to normal operation.
    20211214:193342.500000:Switched to backup license server: 172.31.40.62
    ");
}

/// The expiry line of a license with these facts.
fn expiry_line(facts: LicenseFacts) -> String {
    let log = logged(LogStyle::Ssp, &["2020-01-01T00:00:00"], &[licensed(facts)]);
    log.lines().last().expect("a line").rsplit_once(" VE ").expect("a module").1.to_owned()
}

#[test]
fn the_expiry_follows_from_the_key_type() {
    let facts = ssp_facts();
    let perpetual = LicenseFacts { expires: None, ..facts.clone() };
    assert_eq!(expiry_line(perpetual), "Expiration UTC time: none.");
    let countdown = LicenseFacts { remaining_ms: Some(97 * HOUR_MS + 30 * MINUTE_MS), ..facts };
    assert_eq!(expiry_line(countdown), "Remaining license time: 97.5 hour(s).");
}

#[test]
fn par_start() {
    let day = "2021-12-13T12:02:";
    let seconds = [
        "16.970965",
        "16.970965",
        "19.975731",
        "19.975746",
        "19.979873",
        "19.979900",
        "19.979908",
        "19.979915",
        "19.979928",
        "19.979937",
        "19.979950",
        "19.979959",
        "19.979967",
        "19.979976",
        "19.979988",
        "19.980216",
    ];
    let times: Vec<String> = seconds.iter().map(|second| format!("{day}{second}")).collect();
    let times: Vec<&str> = times.iter().map(String::as_str).collect();
    let trying = LogEvent::TryingServer { server: server("127.0.0.1") };
    let log = logged(LogStyle::Par, &times, &[trying, licensed(par_facts())]);
    insta::assert_snapshot!(log, @r"
    20211213:120216.970965:Trying to login to license server: 127.0.0.1
    20211213:120219.975731:License allowed CPUs: 8.
    20211213:120219.975746:License allowed memory size: 32768.
    20211213:120219.979873:Connected with license server: 127.0.0.1
    20211213:120219.979900:Found available license ID: 03.00000003.002.006.
    20211213:120219.979908:Customer name: Stromasys
    20211213:120219.979915:Grace period is 120 minutes.
    20211213:120219.979928:Virtual hardware model Charon-PA9-64-L4 is licensed.
    20211213:120219.979937:Maximum concurrent instances are limited to 10.
    20211213:120219.979950:Maximum allowed virtual CPU(s) are 8.
    20211213:120219.979959:Maximum allowed virtualized memory is 32768 MB.
    20211213:120219.979967:Major allowed version number is 3.
    20211213:120219.979976:Minor allowed version number is 0.
    20211213:120219.979988:Expiration UTC time: 2022-06-08 23:55:00.
    20211213:120219.980216:Product Name = Charon-PA9-64-L4 License key ID = 03.00000003.002.006.
    ");
}

#[test]
fn par_no_server() {
    let address = || server("192.168.2.2");
    let log = logged(
        LogStyle::Par,
        &[
            "2021-12-14T19:33:42.307175",
            "2021-12-14T19:33:42.307175",
            "2021-12-14T19:33:42.307701",
            "2021-12-14T19:33:42.334171",
            "2021-12-14T19:33:51.337196",
            "2021-12-14T19:33:51.337392",
            "2021-12-14T19:33:51.337457",
            "2021-12-14T19:33:51.337509",
        ],
        &[
            LogEvent::Servers { primary: address(), backup: None },
            LogEvent::TryingServer { server: address() },
            LogEvent::ConnectFailed { server: address(), reason: "timed out".to_owned() },
            LogEvent::Unavailable,
            LogEvent::Exit { code: 69 },
        ],
    );
    insta::assert_snapshot!(log, @r"
    20211214:193342.307175:VE primary license 192.168.2.2
    20211214:193342.307701:There is no VE backup server.
    20211214:193342.334171:Trying to login to license server: 192.168.2.2
    20211214:193351.337196:warn:Unable to login to server because the license server failed to respond
    20211214:193351.337392:err:Failed to connect with the license server.
    20211214:193351.337457:err:Failed to connect with the license server.
    20211214:193351.337509:err:Exit
    ");
}

#[test]
fn par_everything_else() {
    let log = logged(LogStyle::Par, &["2021-08-10T17:16:41.5"], &everything_else());
    insta::assert_snapshot!(log, @r"
    20210810:171641.500000:VE primary license 192.168.2.2
    20210810:171641.500000:VE backup license 192.168.2.3
    20210810:171641.500000:err:License protocol version is invalid.
    20210810:171641.500000:warn:Unable to login to server because the license server failed to respond
    20210810:171641.500000:err:Failed to connect with the license server.
    20210810:171641.500000:err:Failed to connect with the license server.
    20210810:171641.500000:err:License request was refused: instance-limit: all 3 instances of Charon-SSP/ALL are in use.
    20210810:171641.500000:err:License was revoked: instance-limit: all 3 instances of Charon-SSP/ALL are in use.
    20210810:171641.500000:warn:Charon will be terminated within 1 hour!
    20210810:171641.500000:warn:Charon will be terminated within 90 minutes!
    20210810:171641.500000:warn:Charon will be terminated within 20 seconds!
    20210810:171641.500000:Switched to backup license server: 172.31.40.62
    20210810:171641.500000:Switched to backup license server: 172.31.40.62
    20210810:171641.500000:warn:The guest is asked to shut down, Charon ends in 10 minutes.
    20210810:171641.500000:The guest is asked to shut down on request.
    20210810:171641.500000:err:The guest could not be asked to shut down: exit code 1
    20210810:171641.500000:err:The grace period is over, Charon is stopped.
    20210810:171641.500000:Charon has ended with exit code 0.
    20210810:171641.500000:warn:The hook lost failed: exit code 2
    20210810:171641.500000:warn:The host's receipt is not kept: no space left
    20210810:171641.500000:warn:There is no identity document of this machine: it did not answer in time; if the host's key is lost, its instance has to be retired
    20210810:171641.500000:Logged out from license server: ::1
    20210810:171641.500000:Exit
    ");
}

#[test]
fn a_grace_period_of_seconds_is_printed_in_seconds() {
    let facts = LicenseFacts { grace_ms: 20 * SECOND_MS, ..par_facts() };
    let log = logged(LogStyle::Par, &["2021-12-13T12:02:16"], &[licensed(facts)]);
    assert!(log.contains(":Grace period is 20 seconds.\n"), "{log}");
}

#[test]
fn json_is_one_object_a_line() {
    let mut events = vec![licensed(ssp_facts()), lost()];
    events.extend(everything_else());
    let log = logged(LogStyle::Json, &["2020-07-16T21:25:13.25"], &events);
    for line in log.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        for key in ["time", "level", "event", "reason", "message"] {
            assert!(record.get(key).is_some(), "{key} is missing in {line}");
        }
    }
    assert_eq!(log.lines().count(), events.len());
    insta::assert_snapshot!(log);
}

#[test]
fn no_text_can_forge_a_line() {
    let reason =
        "x\n2020-01-01 00:00:00 INFO VE The license is verified, back to normal operation."
            .to_owned();
    for style in [LogStyle::Ssp, LogStyle::Par, LogStyle::Json] {
        let event = LogEvent::ShutdownFailed { reason: reason.clone() };
        let log = logged(style, &["2020-01-01T00:00:00"], &[event]);
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(!log.contains('\u{1b}') && log.ends_with('\n'));
    }
}
