//! Section 6, "the same emulator twice": who keeps the seat.

use super::{
    client::Client,
    connection::Host,
    messages::{self, Login},
    server::{Server, USUAL},
};

#[test]
fn whoever_answers_that_it_runs_keeps_its_seat() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let mut first = Client::connect(&server, &host);
    let session = first.log_in(&Login::of("vm"));
    let mut second = Client::connect(&server, &host);
    let asked = second.send_login(&Login::of("vm"));
    first.wait_for_ping(&session);
    first.send(&messages::pong(&session, true));
    let refusal = second.granted(&asked).expect_err("it runs already");
    assert_eq!(refusal.code, "duplicate-instance");
    let address = first.connection.local_address();
    assert!(refusal.sentence.contains(&address.to_string()), "{refusal:?}");
    first.check(&session).expect("it goes on");
    assert_eq!(server.sessions().len(), 1);
}

#[test]
fn whoever_answers_that_it_does_not_run_gives_its_seat_up() {
    let (server, host) = (Server::start(|license| license.instances(1)), Host::new());
    let mut first = Client::connect(&server, &host);
    let session = first.log_in(&Login::of("vm"));
    let mut second = Client::connect(&server, &host);
    let asked = second.send_login(&Login::of("vm"));
    first.wait_for_ping(&session);
    first.send(&messages::pong(&session, false));
    let (new, _) = second.granted(&asked).expect("the seat");
    assert_ne!(new, session);
    assert_eq!(first.check(&session).expect_err("it gave up").code, "bad-request");
    assert_eq!(server.sessions().len(), 1);
}

#[test]
fn silence_is_a_take_over() {
    let (server, host) = (Server::start(|license| license.instances(1)), Host::new());
    let mut first = Client::connect(&server, &host);
    let session = first.log_in(&Login::of("vm"));
    let mut second = Client::connect(&server, &host);
    let asked = second.send_login(&Login::of("vm"));
    first.wait_for_ping(&session);
    // A heartbeat shows that the program lives, not that the emulator runs.
    first.beat();
    let (new, _) = second.granted(&asked).expect("the seat");
    assert_ne!(new, session);
    assert_eq!(first.wait_for_revocation(&session).code, "duplicate-instance");
    assert_eq!(first.check(&session).expect_err("it was taken over").code, "bad-request");
    second.check(&new).expect("it runs");
    assert_eq!(server.sessions().len(), 1);
}

#[test]
fn a_session_that_moves_to_another_link_leaves_its_old_one() {
    let (server, host) = (Server::start(|license| license.instances(1)), Host::new());
    let login = Login::of("vm");
    let mut first = Client::connect(&server, &host);
    let session = first.log_in(&login);
    let mut second = Client::connect(&server, &host);
    let asked = second.send_login(&login.resume(&session));
    first.wait_for_ping(&session);
    first.send(&messages::pong(&session, false));
    assert_eq!(second.granted(&asked).expect("its own seat").0, session);
    assert_eq!(first.check(&session).expect_err("it has moved").code, "bad-request");
    second.check(&session).expect("it runs here now");
}

#[test]
fn the_same_name_twice_on_one_link_or_from_two_hosts() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let mut client = Client::connect(&server, &host);
    let session = client.log_in(&Login::of("vm"));
    assert_eq!(client.refused(&Login::of("vm")), "duplicate-instance");
    client.check(&session).expect("it goes on");
    Client::connect(&server, &Host::new()).log_in(&Login::of("vm"));
    assert_eq!(server.sessions().len(), 2);
}

#[test]
fn a_third_login_does_not_wait_behind_the_second() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let mut first = Client::connect(&server, &host);
    let session = first.log_in(&Login::of("vm"));
    let mut second = Client::connect(&server, &host);
    let asked = second.send_login(&Login::of("vm"));
    first.wait_for_ping(&session);
    let mut third = Client::connect(&server, &host);
    assert_eq!(third.refused(&Login::of("vm")), "duplicate-instance");
    first.send(&messages::pong(&session, true));
    assert_eq!(second.granted(&asked).expect_err("it runs").code, "duplicate-instance");
}
