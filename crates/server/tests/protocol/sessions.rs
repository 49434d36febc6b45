//! Section 6: seats are granted, checked, given back, and found again.

use super::{
    client::Client,
    connection::Host,
    messages::{Grant, Login, Marks},
    server::{Server, USUAL},
};

#[test]
fn a_grant_names_everything_that_the_license_allows() {
    let server = Server::start(USUAL);
    let mut client = Client::connect(&server, &Host::new());
    let login = Login::of("vm").with(|login| login.hardware = "CHARON-ssp/4m".into());
    let (session, grant) = client.login(&login).expect("a seat");
    assert_eq!(session.len(), 16);
    assert_ne!(session, [0; 16]);
    let expected = Grant {
        license_id: "01.00000001.002.044".into(),
        customer: "Stromasys/Testing".into(),
        product_code: "Charon-SSP/ALL".into(),
        hardware: "Charon-SSP/4M".into(),
        instances: 3,
        max_cpu: 64,
        max_memory_mb: 1_048_576,
        major: 5,
        minor: 3,
        expires: None,
        remaining_ms: None,
        grace_ms: 7_200_000,
        check_interval_ms: 3_600_000,
        lease_ms: 120_000,
        marks: Marks { license_version: 1, hours_used_ms: 0, ..grant.marks },
    };
    assert_eq!(grant, expected);
    assert!(grant.marks.time > 1_700_000_000, "{grant:?}");
    assert!(grant.marks.ledger_position > 0, "{grant:?}");
}

#[test]
fn ends_and_hours_are_in_the_grant() {
    let server = Server::start_with(
        "",
        &[
            |license| license.expires("2099-12-31 15:55:00"),
            |license| license.id("01.00000001.002.045").hours(100).passphrase("4711"),
        ],
    );
    let mut client = Client::connect(&server, &Host::new());
    let (_, grant) = client.login(&Login::of("until a date")).expect("a seat");
    assert_eq!((grant.expires, grant.remaining_ms), (Some(4_102_415_700), None));
    let login = Login::of("for hours").with(|login| login.passphrase = "4711".into());
    let (session, grant) = client.login(&login).expect("a seat");
    let left_ms = grant.remaining_ms.expect("hours");
    assert_eq!((grant.expires, left_ms + grant.marks.hours_used_ms), (None, 360_000_000));
    let (_, later) = client.check(&session).expect("it runs");
    assert!(later.remaining_ms <= Some(left_ms), "{later:?}");
    assert!(later.marks.hours_used_ms >= grant.marks.hours_used_ms, "{later:?}");
}

#[test]
fn a_session_is_checked_and_logged_out_and_stays_so() {
    let server = Server::start(|license| license.instances(1));
    let mut client = Client::connect(&server, &Host::new());
    let login = Login::of("vm");
    let (session, first) = client.login(&login).expect("a seat");
    let (_, second) = client.check(&session).expect("it runs");
    assert!(second.marks.ledger_position >= first.marks.ledger_position, "marks go forward only");
    assert_eq!(client.refused(&Login::of("another")), "instance-limit");
    client.logout(&session);
    client.logout(&session);
    assert_eq!(client.check(&session).expect_err("it is over").code, "bad-request");
    let again = client.log_in(&Login::of("another"));
    assert_ne!(again, session);
    assert_eq!(server.sessions().len(), 1);
}

#[test]
fn a_probe_tells_what_a_login_would_get_and_takes_nothing() {
    let server = Server::start(|license| license.instances(1));
    let mut client = Client::connect(&server, &Host::new());
    let probe = Login::of("vm").with(|login| login.probe = true);
    for _ in 0..3 {
        let (session, grant) = client.login(&probe).expect("there is a seat");
        assert_eq!((session, grant.instances), (vec![0; 16], 1));
    }
    assert!(server.sessions().is_empty());
    let other = Login::of("another");
    client.log_in(&other);
    assert_eq!(client.refused(&probe), "instance-limit");
    // Who has a seat is told of it.
    client.login(&other.with(|login| login.probe = true)).expect("its own seat");
}

#[test]
fn a_session_outlives_its_connection() {
    let server = Server::start(|license| license.instances(1));
    let host = Host::new();
    let login = Login::of("vm");
    let mut client = Client::connect(&server, &host);
    let session = client.log_in(&login);
    drop(client);
    server.wait_for_line("has been disconnected");
    let mut client = Client::connect(&server, &host);
    assert_eq!(client.refused(&Login::of("newcomer")), "instance-limit");
    assert_eq!(client.log_in(&login.resume(&session)), session);
    client.check(&session).expect("it goes on");
    assert_eq!(server.sessions().len(), 1);
    assert_eq!(server.sessions()[0]["state"], "live");
}

#[test]
fn a_lease_ends_and_the_seat_is_free_for_others() {
    let server = Server::start(|license| {
        license.instances(1).with(|license| license.lease = ve_core::license::Lease::For(1_000))
    });
    let (host, login) = (Host::new(), Login::of("vm"));
    let mut client = Client::connect(&server, &host);
    let session = client.log_in(&login);
    drop(client);
    server.wait_for_line("did not come back in time, its seat is free.");
    server.wait_for_sessions(0);
    let mut other = Client::connect(&server, &Host::new());
    let others = other.log_in(&login);
    let mut client = Client::connect(&server, &host);
    assert_eq!(client.refused(&login.resume(&session)), "instance-limit");
    other.logout(&others);
    let new = client.log_in(&login.resume(&session));
    assert_ne!(new, session, "a session that has ended does not come back");
}

#[test]
fn what_asks_for_something_else_gets_a_new_session_in_the_seat_of_the_old() {
    let server = Server::start(|license| license.instances(1));
    let host = Host::new();
    let mut login = Login::of("vm");
    let mut session = Client::connect(&server, &host).log_in(&login);
    let another_run = Login::of("vm");
    let changes: [fn(&mut Login); 4] = [
        |login| login.cpus = 3,
        |login| login.memory_mb = 64,
        |login| login.version = "5.1".into(),
        |login| login.hardware = "Charon-SSP/4U".into(),
    ];
    let logins = changes.map(|change| login.with(change));
    for next in logins.into_iter().chain([another_run]) {
        // The connection of the last round is gone, or is about to be.
        let new = Client::connect(&server, &host).log_in(&next.resume(&session));
        assert_ne!(new, session, "{next:?}");
        assert_eq!(server.sessions().len(), 1);
        (login, session) = (next, new);
    }
    assert_eq!(Client::connect(&server, &host).log_in(&login.resume(&session)), session);
}

#[test]
fn a_link_carries_1024_sessions() {
    let server = Server::start(|license| license.instances(2_000));
    let mut client = Client::connect(&server, &Host::new());
    let asked: Vec<_> =
        (1..=1_024).map(|n| client.send_login(&Login::of(&format!("vm-{n}")))).collect();
    let sessions: Vec<_> =
        asked.iter().map(|asked| client.granted(asked).expect("a seat").0).collect();
    assert_eq!(client.refused(&Login::of("one-more")), "server-busy");
    for session in [&sessions[0], &sessions[1_023]] {
        client.check(session).expect("it runs");
    }
    client.logout(&sessions[511]);
    client.log_in(&Login::of("one-more"));
    assert_eq!(server.sessions().len(), 1_024);
}

#[test]
fn a_stolen_session_is_worth_nothing() {
    let server = Server::start(|license| license.instances(1));
    let login = Login::of("vm");
    let mut owner = Client::connect(&server, &Host::new());
    let session = owner.log_in(&login);
    let mut thief = Client::connect(&server, &Host::new());
    assert_eq!(thief.refused(&login.resume(&session)), "instance-limit");
    assert_eq!(thief.check(&session).expect_err("not the thief's").code, "bad-request");
    // To the thief there is no such session, so it has no seat.
    thief.logout(&session);
    owner.check(&session).expect("it goes on");
    assert_eq!(server.sessions().len(), 1);
}

#[test]
fn a_session_is_checked_over_the_link_that_it_logged_in_on() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let mut first = Client::connect(&server, &host);
    let mut second = Client::connect(&server, &host);
    let session = first.log_in(&Login::of("vm"));
    assert_eq!(second.check(&session).expect_err("another link").code, "bad-request");
    first.check(&session).expect("its own link");
    second.logout(&session);
    assert_eq!(first.check(&session).expect_err("it has ended").code, "bad-request");
    assert!(server.sessions().is_empty());
}
