//! The server is about to stop.

use ve_core::{
    node::{
        event::Event,
        io::{Effect, Input},
    },
    reason::ReasonCode,
    time::MINUTE_MS,
};

use crate::harness::{Outcome, Server, emulator, license};

#[test]
fn a_draining_server_tells_everyone_and_lets_no_one_in() {
    let mut server = Server::with([license(44).instances(2)]);
    let (first, second) = (server.link(1), server.link(2));
    let session = server.login(first, emulator("a")).granted().session;
    server.input(Input::Drain);
    let told = server.effects.iter().filter_map(|effect| match effect {
        Effect::Closing { link } => Some(*link),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [first, second]);
    assert_eq!(
        server.login(second, emulator("b")).refused().to_string(),
        "server-draining: the server is about to stop."
    );
    server.check(first, session).granted();
    assert_eq!(server.probe(second, emulator("b")).code(), ReasonCode::ServerDraining);
}

#[test]
fn a_login_that_waits_is_refused_and_takes_nothing_over() {
    let mut server = Server::with([license(44).instances(1)]);
    let old = server.link(1);
    let session = server.login(old, emulator("ss5")).granted().session;
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5").run(2));
    server.input(Input::Drain);
    server.pass(2_000);
    assert_eq!(server.answer(request).code(), ReasonCode::ServerDraining);
    server.check(old, session).granted();
}

#[test]
fn a_drain_writes_the_meters_and_the_time_mark() {
    let mut server = Server::with([license(44).hours(10).instances(1)]);
    server.login_from(1, emulator("ss5")).granted();
    server.pass(11 * MINUTE_MS + 7_000);
    server.input(Input::Drain);
    let last = |wanted: fn(&Event) -> Option<u64>| server.events().filter_map(wanted).last();
    assert_eq!(
        last(|event| match event {
            Event::HoursUsed { used_ms, .. } => Some(*used_ms),
            _ => None,
        }),
        Some(11 * MINUTE_MS + 7_000)
    );
    assert_eq!(
        last(|event| match event {
            Event::TimeMarked { mark } => Some(mark.0.unsigned_abs()),
            _ => None,
        }),
        Some(server.now().wall.0.unsigned_abs())
    );
}

#[test]
fn who_is_in_is_answered_to_the_end() {
    let mut server = Server::with([license(44).instances(2)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.input(Input::Drain);
    server.check(link, session).granted();
    server.logout(link, session);
    assert!(server.states().is_empty());
    let again = server.login(link, emulator("a"));
    assert_eq!(again.code(), ReasonCode::ServerDraining);
}
