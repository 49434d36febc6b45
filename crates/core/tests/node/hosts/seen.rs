//! What was seen of a host last is written down now and then.

use ve_core::time::HOUR_MS;

use super::*;

fn seen(server: &Server, host: u8) -> (Utc, Utc) {
    let view = server.node.host(key(host)).unwrap();
    (view.entry.seen.at, view.seen.at)
}

#[test]
fn the_lists_show_the_newest_and_the_registry_follows() {
    let mut server = Server::with([autove(2)]);
    let link = server.link(1);
    let grant = server.login(link, emulator("vm").on(facts())).granted();
    let first = server.now().wall;
    server.pass(600_000);
    server.login_from(1, emulator("other").on(facts())).granted();
    assert_eq!(seen(&server, 1), (first, server.now().wall));
    assert_eq!(server.registry.written, 1);
    server.pass(HOUR_MS);
    server.check(link, grant.session).granted();
    assert_eq!(seen(&server, 1), (server.now().wall, server.now().wall));
    assert_eq!(server.registry.written, 2);
    // Another name, or another machine's address, is news at once.
    server.login_from(1, emulator("third").on(facts().named("renamed"))).granted();
    let moved = server.link_of(key(1), "192.0.2.7");
    server.login(moved, emulator("fourth").on(facts().named("renamed"))).granted();
    assert_eq!(server.registry.written, 4);
    assert_eq!(server.registry.entries[&key(1)].1.revision, 1);
}

#[test]
fn a_clock_that_was_set_back_is_not_believed() {
    let mut server = Server::with([autove(2)]);
    arrive(&mut server, 1).granted();
    let before = seen(&server, 1);
    server.step_wall_clock(-9_000);
    server.login_from(1, emulator("other").on(facts().named("renamed"))).granted();
    assert_eq!(seen(&server, 1), before);
}

#[test]
fn the_lists_show_who_runs_where() {
    let mut server = Server::with([autove(2)]);
    arrive(&mut server, 1).granted();
    server.login_from(1, emulator("other").on(facts())).granted();
    let peer = Peer::comes(&mut server, 10);
    peer.has(&mut server, 1, 1);
    let views: Vec<_> = server.node.hosts_after(None).collect();
    assert_eq!((views[0].emulators_here, views[0].emulators_at_peer), (2, 1));
    assert_eq!(server.node.hosts_after(Some(key(1))).count(), 0);
}
