//! What a cloud provider has signed of a machine: it keeps one instance, whatever keys it makes, and
//! nobody else gets that by showing the document.

use std::fs;

use ve_core::registry::HostState::{Active, Moved};
use ve_testbed::{Provider, Server, wait};

use super::{
    hosts::{Machine, Row},
    pair::{FIRST, Site, address, has_rows, licensectl, reload, rows},
};

/// A server for so many hosts that knows a provider, and the provider.
fn known(site: &Site, hosts: u32) -> (Server, Provider) {
    let (server, provider) = (site.autove(hosts), Provider::new());
    provider.trust_in(server.home());
    read_again(&server, 1);
    (server, provider)
}

/// Lets a server read its files for the `times`th time, and waits until it has.
fn read_again(server: &Server, times: usize) {
    reload(server);
    wait::until("the files are read again", || {
        let said = server.log().matches("were read again.").count();
        (said >= times).then_some(())
    });
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

/// When a host was registered, as a server lists it.
fn registered(server: &Server, host: &Machine) -> serde_json::Value {
    let hosts = server.list("instances");
    let found = hosts.into_iter().find(|found| found["host"] == host.key());
    found.expect("a host that is listed")["registered"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_of_the_same_machine_has_its_instance() {
    let site = Site::new();
    let (server, provider) = known(&site, 1);
    let at = address(&server);
    let mut before = Machine::of_cloud("before", provider.document("i-1"));
    let running = before.runs(at).await;
    let shown = &server.list("instances")[0];
    assert_eq!(
        (shown["identity_platform"].as_str(), shown["identity_id"].as_str()),
        (Some("amazon.aws"), Some("123456789012/eu-central-1/i-1"))
    );
    let date = registered(&server, &before);
    running.link.logout(running.grant.session).await.expect("an end");

    // The license has no second instance, so it is the first that goes on.
    let mut after = before.set_up_anew();
    let running = after.runs(at).await;
    assert_eq!(running.grant.home.as_ref().map(ToString::to_string).as_deref(), Some(FIRST));
    let home = || FIRST.to_owned();
    let expected = sorted(vec![(before.key(), home(), Moved), (after.key(), home(), Active)]);
    assert_eq!(rows(&server), expected);
    assert_eq!(registered(&server, &after), date, "it counts as registered since then");
    assert!(server.log().contains("the same machine has a new key"), "{}", server.log());
    running.link.logout(running.grant.session).await.expect("an end");

    // The old key alone is nobody's any more, whatever it has; with the document it may come back.
    before.identity = None;
    let (code, sentence) = before.is_refused(at).await;
    assert_eq!(code, "instance-not-registered");
    assert!(sentence.contains("another key of this machine"), "{sentence}");
    before.identity.clone_from(&after.identity);
    let _running = before.runs(at).await;
    let expected = sorted(vec![(before.key(), home(), Active), (after.key(), home(), Moved)]);
    assert_eq!(rows(&server), expected);

    // Another machine of the same provider is another host.
    let (code, _) = Machine::of_cloud("other", provider.document("i-2")).is_refused(at).await;
    assert_eq!(code, "instance-limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_of_a_machine_that_runs_opens_no_door_here_or_at_the_peer() {
    let site = Site::new();
    let (one, other) = site.pair(3, 3);
    let provider = Provider::new();
    for server in [&one, &other] {
        provider.trust_in(server.home());
        read_again(server, 1);
    }
    let mut owner = Machine::of_cloud("owner", provider.document("i-1"));
    let running = owner.runs(address(&one)).await;
    let expected = [(owner.key(), FIRST.to_owned(), Active)];
    has_rows(&other, &expected);
    wait::until("the peer knows that it runs", || {
        let hosts = other.list("instances");
        (hosts[0]["emulators_at_peer"] == 1).then_some(())
    });
    for server in [&one, &other] {
        let mut thief = Machine::of_cloud("thief", provider.document("i-1"));
        let (code, sentence) = thief.is_refused(address(server)).await;
        assert_eq!(code, "duplicate-instance");
        assert!(sentence.contains("127."), "it says where the other one is: {sentence}");
        let log = wait::for_text(&server.log_file(), "shows the provider's document of host");
        let line = log.lines().find(|line| line.contains("document of host")).expect("a line");
        assert!(line.contains(&thief.key()[..12]) && line.contains(&owner.key()[..12]), "{line}");
        assert_eq!(rows(server), expected);
    }
    running.link.check(running.grant.session).await.expect("the owner notices nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_counts_only_under_a_certificate_that_is_there() {
    let site = Site::new();
    let (server, provider) = known(&site, 1);
    let at = address(&server);
    let mut owner = Machine::of_cloud("owner", provider.document("i-1"));
    let running = owner.runs(at).await;
    running.link.logout(running.grant.session).await.expect("an end");
    let mut altered = provider.document("i-2");
    altered.document = provider.document("i-1").document;
    // Who proves nothing is a newcomer like any other, and this license is full.
    let others = [Provider::new().document("i-1"), altered, provider.document("i-1")];
    let mut thieves = others.map(|document| Machine::of_cloud("thief", document));
    thieves[2].identity.as_mut().expect("a document").platform = "google.gcp".to_owned();
    for thief in &mut thieves {
        let (code, _) = thief.is_refused(at).await;
        assert_eq!(code, "instance-limit");
    }
    let expected = [(owner.key(), FIRST.to_owned(), Active)];
    assert_eq!(rows(&server), expected);

    // What is no certificate changes nothing, and the log says so.
    let file = server.home().join("providers/provider.pem");
    let mut anew = owner.set_up_anew();
    fs::write(&file, "nonsense").expect("written");
    read_again(&server, 2);
    assert!(server.log().contains("The certificates of cloud providers stay as they were: "));
    let running = anew.runs(at).await;
    running.link.logout(running.grant.session).await.expect("an end");

    // Without one nothing is believed, whatever was before.
    fs::remove_file(&file).expect("removed");
    read_again(&server, 3);
    let (code, _) = owner.set_up_anew().is_refused(at).await;
    assert_eq!(code, "instance-limit");
    let _known = anew.runs(at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_was_retired_does_not_come_back_with_a_new_key() {
    let site = Site::new();
    let (server, provider) = known(&site, 5);
    let at = address(&server);
    let mut host = Machine::of_cloud("gone", provider.document("i-1"));
    drop(host.runs(at).await);
    let (code, out, err) = licensectl(server.home(), &["instances", "retire", "gone"]);
    assert_eq!(code, Some(0), "{out}{err}");
    for machine in [&mut host.set_up_anew(), &mut host] {
        let (code, _) = machine.is_refused(at).await;
        assert_eq!(code, "instance-retired");
    }
    assert_eq!(rows(&server).len(), 1);
}
