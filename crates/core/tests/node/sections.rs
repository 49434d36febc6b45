//! Where a seat counts after an update, and after a restart that follows it.

use ve_core::{license::Lease, node::event::Event, reason::ReasonCode, time::MINUTE_MS};

use crate::harness::{LicenseBuilder, Outcome, SectionBuilder, Server, emulator, license, section};

fn strict(version: u32) -> LicenseBuilder {
    license(44).version(version).lease(Lease::Grace).grace_ms(20 * MINUTE_MS)
}

fn guarded(code: &str) -> SectionBuilder {
    section(code).passphrase("1111-2222").instances(1)
}

fn moves(server: &Server) -> usize {
    server.events().filter(|event| matches!(event, Event::SessionPlaced { .. })).count()
}

#[test]
fn a_session_that_was_moved_is_found_there_after_a_restart() {
    let mut server = Server::with([strict(1).with(guarded("A"))]);
    let login = || emulator("a").passphrase("1111-2222");
    let session = server.login_from(1, login()).granted().session;
    let open = || section("OPEN").hardware("X/1");
    server.install([strict(2).with(open()).with(guarded("B"))]);
    assert_eq!(moves(&server), 1);
    server.restart_after(1_000);
    assert_eq!(server.states(), ["left"], "nothing was taken back");
    let back = server.login_from(1, emulator("a").session(session));
    assert_eq!(back.granted().product_code.as_str(), "B");
    let other = server.login_from(2, emulator("b").passphrase("1111-2222"));
    assert_eq!(other.code(), ReasonCode::InstanceLimit);
    assert_eq!(moves(&server), 1, "and nothing was written again");
}

#[test]
fn an_update_that_moves_no_one_writes_nothing() {
    let mut server = Server::with([strict(1).instances(2)]);
    server.login_from(1, emulator("a")).granted();
    server.install([strict(2).instances(3)]);
    server.restart_after(1_000);
    assert_eq!(moves(&server), 0);
}

#[test]
fn the_seat_of_an_excess_session_counts_in_its_own_section() {
    let small = |instances| section("SMALL").instances(instances);
    let other = || section("OTHER").hardware("X/1").instances(2);
    let mut server = Server::with([strict(1).with(small(2)).with(other())]);
    let link = server.link(1);
    let first = server.login(link, emulator("a")).granted();
    server.login_from(2, emulator("b")).granted();
    // The sections change places, and one seat goes.
    server.install([strict(2).with(other()).with(small(1))]);
    assert_eq!(server.states(), ["live", "held"]);
    server.logout(link, first.session);
    for run in 1..=2 {
        let late = server.login_from(3, emulator("c").run(run));
        assert_eq!(late.code(), ReasonCode::InstanceLimit, "the seat of SMALL is still held");
        for host in 4..=5 {
            let other = server.login_from(host, emulator("x").hardware("X/1"));
            assert_eq!(other.granted().product_code.as_str(), "OTHER");
        }
        server.restart_after(1_000);
    }
}
