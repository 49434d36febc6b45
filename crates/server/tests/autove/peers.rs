//! Two servers keep one registry: both ways, across outages, and only with each other.

use rustix::process::Signal;
use serde_json::{Value as Json, json};
use ve_core::registry::HostState;
use ve_testbed::wait;

use super::{
    hosts::Machine,
    pair::{
        FIRST, SECOND, Site, address, configure, has_rows, in_step, peer, peer_at, peer_is, reload,
        rows, signal,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_registers_the_other_has() {
    let site = Site::new();
    let (one, other) = site.pair(5, 5);
    let (mut first, mut second) = (Machine::new("first"), Machine::new("second"));
    let _at_one = first.runs(address(&one)).await;
    let _at_other = second.runs(address(&other)).await;
    let mut expected = vec![
        (first.key(), FIRST.to_owned(), HostState::Active),
        (second.key(), SECOND.to_owned(), HostState::Active),
    ];
    expected.sort();
    has_rows(&one, &expected);
    has_rows(&other, &expected);
    let shown = peer(&one).expect("a peer");
    assert_eq!((shown["license_id"].as_str(), shown["homed"].as_u64()), (Some(SECOND), Some(1)));
    assert_eq!((shown["missing_here"].as_u64(), shown["serves"].as_bool()), (Some(0), Some(true)));

    // Its home is there, so it needs no instance here.
    let _elsewhere = first.run(address(&other), "ss10").await.expect("a host of the peer");
    assert_eq!(rows(&other).len(), 2);
    let log = other.log();
    for line in
        ["The peer with license 01.00000001.002.001 is there", "has everything that the peer had"]
    {
        assert!(log.contains(line), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_catches_up_whoever_dials() {
    let site = Site::new();
    let (one, mut other) = site.pair(5, 5);
    let mut before = Machine::new("before");
    let _before = before.runs(address(&one)).await;
    wait::until("the first host at the other", || (rows(&other).len() == 1).then_some(()));
    other.kill();
    peer_is(&one, "connecting");
    let mut meanwhile = Machine::new("meanwhile");
    let _meanwhile = meanwhile.runs(address(&one)).await;
    other.restart();
    in_step(&other);
    has_rows(&other, &rows(&one));

    // The one that doesn't dial is gone, and comes back.
    let mut one = one;
    one.kill();
    let shown = peer_is(&other, "unreachable");
    assert!(shown["why"].as_str().is_some_and(|why| !why.is_empty()), "{shown}");
    let status = other.licensectl(&["status"]);
    assert!(status.contains("Attention: The peer can't be reached"), "{status}");
    let mut alone = Machine::new("alone");
    let _alone = alone.runs(address(&other)).await;
    one.restart();
    in_step(&one);
    wait::until("three hosts at the one", || (rows(&one).len() == 3).then_some(()));
    assert_eq!(rows(&one), rows(&other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_may_dial_and_a_changed_address_counts_at_once() {
    let site = Site::new();
    let one = site.server("first", "", |license| license.id(FIRST).autove(5));
    let other = site.server("second", "", |license| license.id(SECOND).autove(5));
    assert_eq!(peer(&one), None);
    configure(one.home(), &peer_at(&other.address()));
    reload(&one);
    in_step(&one);
    in_step(&other);
    configure(other.home(), &peer_at(&one.address()));
    reload(&other);
    wait::until("two links", || (peer(&one)?["links"] == 2).then_some(()));

    // Either link is enough.
    configure(one.home(), "");
    reload(&one);
    wait::until("one link", || (peer(&one)?["links"] == 1).then_some(()));
    in_step(&one);
    configure(other.home(), "");
    reload(&other);
    peer_is(&one, "connecting");
    peer_is(&other, "connecting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_stops_says_so_and_stops_at_once() {
    let site = Site::new();
    let (one, other) = site.pair(5, 5);
    let since = std::time::Instant::now();
    signal(&one, Signal::TERM);
    peer_is(&other, "unreachable");
    wait::for_text(&one.log_file(), "The program is terminated.");
    assert!(since.elapsed() < std::time::Duration::from_mins(1));
    assert!(!one.log().contains("ERROR"), "{}", one.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_warns_when_one_server_could_not_carry_all() {
    let site = Site::new();
    let (one, other) = site.pair(2, 1);
    let mut hosts = [Machine::new("one"), Machine::new("two")];
    let _one = hosts[0].runs(address(&one)).await;
    let _two = hosts[1].runs(address(&one)).await;
    wait::until("two hosts at the other", || (rows(&other).len() == 2).then_some(()));
    let status = one.licensectl(&["status"]);
    assert!(
        status.contains("Attention: If this server failed, the peer could not carry"),
        "{status}"
    );
    assert!(status.contains("Peer: in-step, license 01.00000001.002.002"), "{status}");
    let status = other.licensectl(&["status"]);
    assert!(
        status.contains("Attention: If the peer failed, this server could not carry"),
        "{status}"
    );
    let peers = other.licensectl(&["peers"]);
    assert!(peers.contains("If the peer fails: 1 host would have no instance"), "{peers}");

    // The home is gone: one of its hosts is a guest, the other finds no instance.
    let mut one = one;
    let at = one.address();
    one.kill();
    let gone = peer_is(&other, "unreachable");
    assert_eq!((&gone["behind_changes"], &gone["ahead_changes"]), (&Json::Null, &Json::Null));
    assert_eq!((&gone["without_instance"], &gone["configured"]), (&json!(1), &json!(at)));
    assert!(gone["why"].to_string().contains(&at), "{gone}");
    let peers = other.licensectl(&["peers"]);
    assert!(peers.contains("While the peer does not serve: 1 host has no instance"), "{peers}");
    assert!(peers.contains("  -       -\n"), "{peers}");
    let status = other.licensectl(&["status"]);
    assert!(status.contains("1 host has no instance now"), "{status}");
    assert!(!status.contains("If the peer failed"), "{status}");
    let _guest = hosts[0].runs(address(&other)).await;
    let (code, sentence) = hosts[1].is_refused(address(&other)).await;
    assert_eq!(code, "no-free-instance-on-peer", "{sentence}");
    let guests = other.list("instances");
    assert!(guests.iter().any(|host| host["standing"] == "guest"), "{guests:?}");
}

#[test]
fn who_is_no_peer_is_refused_with_the_reason_on_both_sides() {
    let site = Site::new();
    let one = site.server("first", "", |license| license.id(FIRST).autove(5));
    let at = one.address();
    let itself =
        format!("{}:{}", one.address().split(':').next().expect("a host"), address(&one).port());
    configure(one.home(), &peer_at(&itself));
    reload(&one);
    let refused = peer_is(&one, "refused");
    assert!(refused["why"].to_string().contains("its own peer"), "{refused}");

    let config = peer_at(&at);
    let general = site.server("general", &config, |license| license.id(SECOND));
    wait::for_text(&general.log_file(), "this server has no AutoVE license");
    let refused = peer_is(&general, "refused");
    assert!(refused["why"].to_string().contains("has no AutoVE license"), "{refused}");
    let status = general.licensectl(&["status"]);
    assert!(status.contains("Attention: There is no peer: license-not-available"), "{status}");
    let stranger = site.server("stranger", &config, |license| {
        let other = |license: &mut ve_core::license::License| {
            license.customer = "Somebody".parse().expect("a name");
        };
        license.id(SECOND).autove(5).with(other)
    });
    let refused = peer_is(&stranger, "refused");
    assert!(refused["why"].to_string().contains("another customer"), "{refused}");
    assert!(refused["why"].to_string().contains(&at), "{refused}");
    wait::for_text(&one.log_file(), "was refused as a peer: license-not-available");

    let same = site.server("same", &config, |license| license.id(FIRST).autove(5));
    let refused = peer_is(&same, "refused");
    assert!(refused["why"].to_string().contains("a license of its own"), "{refused}");

    configure(one.home(), &peer_at(&general.address()));
    reload(&one);
    wait::for_text(&one.log_file(), "general mode");
    assert_eq!(
        one.log().matches("it can't be its own peer. It is tried").count(),
        1,
        "{}",
        one.log()
    );
}

#[test]
fn a_wrong_address_shows_though_the_right_peer_has_dialed() {
    let site = Site::new();
    let (one, _other) = site.pair(5, 5);
    let itself = one.address();
    configure(one.home(), &peer_at(&itself));
    reload(&one);
    let shown = wait::until("why the configured address is no peer", || {
        peer(&one).filter(|peer| !peer["why"].is_null())
    });
    assert_eq!((&shown["state"], &shown["configured"]), (&json!("in-step"), &json!(itself)));
    let status = one.licensectl(&["status"]);
    assert!(
        status.contains("Attention: [peer] in config.toml does not lead to the peer"),
        "{status}"
    );
    configure(one.home(), "");
    reload(&one);
    wait::until("nothing wrong", || peer(&one).filter(|peer| peer["why"].is_null()));
}
