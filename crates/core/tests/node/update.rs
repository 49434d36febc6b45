//! A license is updated while emulators run under it.

use ve_core::{
    id::ServerKey,
    node::{Preview, io::Ask},
    reason::ReasonCode,
};

use crate::harness::{
    Disk, LicenseBuilder, Outcome, Server, WALL_AT_START, emulator, license, section,
};

#[test]
fn sessions_that_are_still_covered_notice_nothing() {
    let mut server = Server::with([license(44).instances(2)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.effects.clear();
    server
        .install([license(44).version(2).expires(WALL_AT_START.plus_seconds(9_000)).instances(1)]);
    assert!(server.revocations().is_empty());
    let grant = server.check(link, session).granted();
    assert_eq!((grant.marks.license_version, grant.instances), (2, 1));
    server.close(link);
    server.login_from(1, emulator("ss5").session(session)).granted();
}

#[test]
fn fewer_instances_revoke_the_newest() {
    let mut server = Server::with([license(44).instances(3)]);
    let links: Vec<_> = (1..=3).map(|host| server.link(host)).collect();
    for &link in &links {
        server.login(link, emulator("ss5")).granted();
    }
    server.install([license(44).version(2).instances(1)]);
    let revoked: Vec<_> = server.revocations().iter().map(|(link, ..)| *link).collect();
    assert_eq!(revoked, links[1..]);
    assert!(server.revocations().iter().all(|(.., refusal)| {
        refusal.to_string() == "instance-limit: the only instance of Charon-SSP/ALL is in use."
    }));
    assert_eq!(server.states(), ["live"]);
    assert_eq!(server.login_from(4, emulator("ss5")).code(), ReasonCode::InstanceLimit);
}

#[test]
fn a_smaller_section_revokes_what_it_does_not_cover() {
    let mut server = Server::with([license(44).instances(2)]);
    server.login_from(1, emulator("large").cpus(8)).granted();
    server.login_from(2, emulator("small")).granted();
    let smaller = section("Charon-SSP/ALL").max_cpu(4);
    server.install([license(44).version(2).with(smaller)]);
    assert_eq!(server.revocations().len(), 1);
    assert_eq!(server.revocations()[0].2.code, ReasonCode::CpuLimit);
}

#[test]
fn sections_in_another_order_keep_their_sessions() {
    let (a, b) = (section("A").max_cpu(2).instances(1), section("B").instances(1));
    let mut server = Server::with([license(44).with(a.clone()).with(b.clone())]);
    let link = server.link(1);
    let small = server.login(link, emulator("small").cpus(2)).granted().session;
    let large = server.login(link, emulator("large").cpus(8)).granted().session;
    server.install([license(44).version(2).with(b).with(a)]);
    assert_eq!(server.check(link, small).granted().product_code.as_str(), "A");
    assert_eq!(server.check(link, large).granted().product_code.as_str(), "B");
}

#[test]
fn a_section_that_is_gone_moves_its_sessions_to_one_that_covers_them() {
    let (a, b) = (section("A").max_cpu(2).instances(1), section("B").instances(1));
    let mut server = Server::with([license(44).with(a).with(b.clone())]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.install([license(44).version(2).with(b)]);
    assert_eq!(server.check(link, session).granted().product_code.as_str(), "B");
    assert_eq!(server.login_from(2, emulator("ss5")).code(), ReasonCode::InstanceLimit);
}

#[test]
fn no_update_moves_a_session_behind_another_passphrase() {
    let code = "Charon-SSP/ALL";
    let ours = section(code).instances(2).passphrase("1111-2222");
    let theirs = section(code).instances(2).passphrase("3333-4444");
    let mut server = Server::with([license(44).with(ours.clone()).with(theirs.clone())]);
    for host in 1..=2 {
        server.login_from(host, emulator("ss5").passphrase("1111-2222")).granted();
    }
    server.install([license(44).version(2).with(ours.instances(1)).with(theirs)]);
    assert_eq!(server.revocations().len(), 1, "theirs has seats, but not for ours");
}

#[test]
fn a_new_passphrase_shuts_out_no_one_who_runs() {
    let guarded = |passphrase| section("Charon-SSP/ALL").instances(1).passphrase(passphrase);
    let mut server = Server::with([license(44).with(guarded("1111-2222"))]);
    let link = server.link(1);
    let login = || emulator("ss5").passphrase("1111-2222");
    let session = server.login(link, login()).granted().session;
    server.install([license(44).version(2).with(guarded("3333-4444"))]);
    server.check(link, session).granted();
    server.close(link);
    let link = server.link(1);
    server.login(link, login().session(session)).granted();
    // A new start needs the new one.
    server.close(link);
    let anew = server.login_from(1, login().run(2).session(session));
    assert_eq!(anew.code(), ReasonCode::PassphraseInvalid);
}

#[test]
fn an_end_under_way_costs_no_one_else_their_seat() {
    let mut server = Server::with([license(44).instances(2)]);
    let (first, second) = (server.link(1), server.link(2));
    let leaving = server.login(first, emulator("a")).granted().session;
    let staying = server.login(second, emulator("b")).granted().session;
    server.ledger.disk = Disk::Slow;
    server.ask(first, Ask::Logout(leaving));
    server.install([license(44).version(2).instances(1)]);
    server.catch_up();
    server.check(second, staying).granted();
}

#[test]
fn a_preview_says_what_would_happen_and_does_nothing() {
    let mut server = Server::with([license(44).instances(3)]);
    for host in 1..=3 {
        server.login_from(host, emulator("ss5")).granted();
    }
    let preview = |next: LicenseBuilder| {
        let Preview { kept, revoked } = server.node.preview_install(server.now(), &next.build());
        let revoked: Vec<_> = revoked.iter().map(|(n, why)| format!("{n} {}", why.code)).collect();
        (kept, revoked)
    };
    assert_eq!(preview(license(44).version(2).instances(5)), (3, vec![]));
    assert_eq!(
        preview(license(44).version(2).instances(1)),
        (1, vec!["2 instance-limit".to_string(), "3 instance-limit".to_string()])
    );
    let elsewhere = license(44).version(2).bound_to(ServerKey([1; 32])).instances(1);
    let (kept, revoked) = preview(elsewhere);
    assert_eq!((kept, revoked.len()), (0, 3));
    assert_eq!(revoked[0], "2 instance-limit");
    assert_eq!(revoked[2], "1 binding-changed");
    assert_eq!(server.states(), ["live", "live", "live"]);
}

#[test]
fn a_preview_does_not_count_who_is_leaving_anyway() {
    let mut server = Server::with([license(44).instances(2)]);
    let link = server.link(1);
    let leaving = server.login(link, emulator("a")).granted().session;
    server.login_from(2, emulator("b")).granted();
    server.ledger.disk = Disk::Slow;
    server.ask(link, Ask::Logout(leaving));
    let covering = license(44).version(2).instances(1).build();
    let nothing = license(44).version(2).with(section("B").hardware("X/1")).build();
    assert_eq!(server.node.preview_install(server.now(), &covering).kept, 1);
    assert_eq!(server.node.preview_install(server.now(), &nothing).revoked.len(), 1);
}
