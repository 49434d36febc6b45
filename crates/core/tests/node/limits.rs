//! Everything that comes from outside has a limit.

use ve_core::{
    id::LinkId,
    node::{
        MAX_DENIALS_KEPT, MAX_SESSIONS_PER_LINK,
        event::Event,
        io::{Ask, Input},
    },
    reason::ReasonCode,
};

use crate::harness::{Disk, Outcome, Server, emulator, license};

#[test]
fn a_link_carries_so_many_sessions_and_no_more() {
    let mut server = Server::with([license(44).instances(5_000)]);
    let link = server.link(1);
    for number in 0..MAX_SESSIONS_PER_LINK {
        server.login(link, emulator(&format!("vm{number}"))).granted();
    }
    assert_eq!(
        server.login(link, emulator("one-more")).refused().to_string(),
        "server-busy: one link carries at most 1024 sessions; open another."
    );
    server.login_from(1, emulator("one-more")).granted();
}

#[test]
fn logins_under_way_count_as_well() {
    let mut server = Server::with([license(44).instances(5_000)]);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    for number in 0..MAX_SESSIONS_PER_LINK {
        server.ask_login(link, emulator(&format!("vm{number}")));
    }
    assert_eq!(server.login(link, emulator("one-more")).code(), ReasonCode::ServerBusy);
    // Those that fail make room again.
    while server.settle_one(false) {}
    server.ledger.disk = Disk::Fine;
    server.login(link, emulator("one-more")).granted();
}

#[test]
fn a_flood_of_denials_fills_neither_memory_nor_disk() {
    let mut server = Server::with([]);
    let link = server.link(1);
    for number in 0..3_000 {
        server.login(link, emulator(&format!("vm{number}"))).refused();
    }
    assert_eq!(server.node.denials().count(), MAX_DENIALS_KEPT);
    let (_, newest) = server.node.denials().last().unwrap();
    assert_eq!(newest.emulator.as_str(), "vm2999");
    let written =
        |server: &Server| server.events().filter(|e| matches!(e, Event::Denied(_))).count();
    assert_eq!(written(&server), 100);
    server.pass(10_000);
    server.login(link, emulator("later")).refused();
    assert_eq!(written(&server), 101);
}

#[test]
fn a_request_over_a_link_that_is_gone_is_nobodys() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    server.close(link);
    assert_eq!(server.login(link, emulator("ss5")), None);
    assert!(server.states().is_empty());
    server.close(link);
    server.input(Input::LinkClosed { link: LinkId(999), last_heard: server.now().elapsed });
}

#[test]
fn questions_about_sessions_that_never_were_are_answered() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let unknown = crate::harness::session_id(999);
    assert_eq!(server.check(link, unknown).code(), ReasonCode::BadRequest);
    assert!(server.logout(link, unknown).is_some());
    server.pong(link, unknown, true);
    let named = server.ask(link, Ask::Probe(emulator("ss5").session(unknown).build()));
    server.answer(named).granted();
    server.login(link, emulator("ss5").session(unknown)).granted();
}
