//! Section 9: every reason code that a client can meet here, over the wire.

use ve_core::{license::Mode, time::Utc};

use super::{
    client::Client,
    connection::Host,
    messages::Login,
    server::{Edit, Server},
};

/// What is asked for, and the code that refuses it.
type Case = (&'static str, fn(&mut Login));

/// Everything that is refused under one license, whatever else it would allow.
fn refuse_all(license: Edit, cases: &[Case]) {
    let server = Server::start(license);
    let mut client = Client::connect(&server, &Host::new());
    let mut expected = Vec::new();
    for (index, (code, change)) in cases.iter().enumerate() {
        let login = Login::of(&format!("vm-{index}")).with(*change);
        let refusal = client.login(&login).expect_err("a refusal");
        assert_eq!(refusal.code, *code, "{login:?}: {refusal:?}");
        // The log says the same, with the code and the sentence.
        let port = client.connection.local_address().port();
        server.wait_for_line(&format!(":{port} was refused: {code}: {}", refusal.sentence));
        expected.push(*code);
    }
    assert!(server.sessions().is_empty());
    let denials = server.control(&["denials"]);
    let denied = denials["denials"].as_array().expect("a list");
    let codes: Vec<&str> = denied.iter().filter_map(|denial| denial["reason"].as_str()).collect();
    // What is no login at all is only in the log.
    expected.retain(|code| *code != "bad-request");
    assert_eq!(codes, expected);
}

#[test]
fn a_license_without_a_passphrase() {
    refuse_all(
        |license| license,
        &[
            ("hardware-not-licensed", |login| login.hardware = "Charon-SSP/4V".into()),
            ("passphrase-invalid", |login| login.passphrase = "1111-2222-3333-4444".into()),
            ("version-not-licensed", |login| login.version = "5.4".into()),
            ("version-not-licensed", |login| login.version = "4.1.32".into()),
            ("cpu-limit", |login| login.cpus = 65),
            ("cpu-limit", |login| login.cpus = 65_536),
            ("memory-limit", |login| login.memory_mb = 1_048_577),
            ("memory-limit", |login| login.memory_mb = 1 << 40),
        ],
    );
}

#[test]
fn a_license_with_a_passphrase() {
    refuse_all(
        |license| license.passphrase("1111-2222-3333-4444"),
        &[
            ("passphrase-invalid", |_| {}),
            ("passphrase-invalid", |login| login.passphrase = "1111-2222-3333-4445".into()),
            ("passphrase-invalid", |login| login.passphrase = "1111-2222-3333-444".into()),
        ],
    );
}

#[test]
fn fields_that_break_their_limits() {
    refuse_all(
        |license| license,
        &[
            ("bad-request", |login| login.cpus = 0),
            ("bad-request", |login| login.cpus = 65_537),
            ("bad-request", |login| login.memory_mb = 0),
            ("bad-request", |login| login.memory_mb = (1 << 40) + 1),
            ("bad-request", |login| login.product = String::new()),
            ("bad-request", |login| login.version = "five".into()),
            ("bad-request", |login| login.hardware = " ".into()),
            ("bad-request", |login| login.emulator = "x".repeat(129)),
            ("bad-request", |login| login.passphrase = "\u{7}".into()),
            ("bad-request", |login| login.session = vec![1; 15]),
            ("bad-request", |login| login.run = vec![1; 17]),
        ],
    );
}

#[test]
fn licenses_that_are_not_valid_or_count_hosts() {
    let cases: [(Edit, &[Case]); 4] = [
        (|license| license.expires("2025-12-31 23:59:59"), &[("license-expired", |_| {})]),
        (|license| license.of_another_machine(), &[("binding-changed", |_| {})]),
        (
            |license| license.with(|license| license.released = Utc(4_102_415_700)),
            &[("not-yet-valid", |_| {})],
        ),
        // A client that knows nothing of hosts can't register one.
        (
            |license| license.with(|license| license.mode = Mode::AutoVe),
            &[("instance-not-registered", |_| {})],
        ),
    ];
    for (license, refused) in cases {
        refuse_all(license, refused);
    }
}

#[test]
fn seats_that_are_all_taken() {
    let server = Server::start(|license| license.instances(2));
    let mut client = Client::connect(&server, &Host::new());
    client.log_in(&Login::of("one"));
    client.log_in(&Login::of("two"));
    let refusal = client.login(&Login::of("three")).expect_err("no seat");
    assert_eq!(refusal.code, "instance-limit");
    assert_eq!(refusal.sentence, "all 2 instances of Charon-SSP/ALL are in use.");
}
