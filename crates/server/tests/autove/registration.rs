//! Hosts register by themselves, once, durably, and within the license.

use ve_testbed::Server;

use super::{
    hosts::Machine,
    pair::{FIRST, Site, address, licensectl, rows},
};

fn count(server: &Server) -> usize {
    rows(server).len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_registers_once_and_every_emulator_of_it_runs() {
    let site = Site::new();
    let mut server = site.autove(1);
    let at = address(&server);
    let mut host = Machine::new("host-1");
    let first = host.runs(at).await;
    assert_eq!(first.grant.home.as_ref().map(ToString::to_string).as_deref(), Some(FIRST));
    assert_eq!(host.receipts.len(), 1, "it has a receipt");
    let _second = host.run(at, "ss10").await.expect("its second emulator");
    assert_eq!(host.receipts.len(), 1, "the receipt that it has shown is as good");
    assert_eq!(count(&server), 1);
    let list = server.list("instances");
    let shown = &list[0];
    assert_eq!(
        (shown["emulators"].as_u64(), shown["standing"].as_str()),
        (Some(2), Some("served"))
    );
    assert_eq!((shown["name"].as_str(), shown["platform"].as_str()), (Some("host-1"), Some("kvm")));

    // What was answered is durable: the power fails at once.
    server.kill();
    let (code, out, _) = licensectl(server.home(), &["instances", "--json"]);
    assert_eq!(code, Some(0));
    assert!(out.contains(&host.key()), "the list of a server that is down: {out}");
    server.restart();
    assert_eq!(count(&server), 1);
    let _third = host.run(at, "ss20").await.expect("a registered host");
    assert_eq!(count(&server), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_license_takes_no_more_hosts_and_says_so() {
    let site = Site::new();
    let server = site.autove(2);
    let at = address(&server);
    let mut hosts = [Machine::new("one"), Machine::new("two"), Machine::new("three")];
    let _one = hosts[0].runs(at).await;
    let _two = hosts[1].runs(at).await;
    let (code, sentence) = hosts[2].is_refused(at).await;
    assert_eq!(code, "instance-limit");
    assert!(sentence.contains('2'), "{sentence}");
    assert_eq!(count(&server), 2);
    let log = server.log();
    assert!(log.contains("INFO Server host one ("), "{log}");
    assert!(log.contains(&format!("at home with license {FIRST}")), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_host_that_runs_is_refused_with_both_addresses() {
    let site = Site::new();
    let server = site.autove(5);
    let at = address(&server);
    let mut host = Machine::new("original");
    let original = host.runs(at).await;
    let mut copy = host.cloned();
    let (code, sentence) = copy.is_refused(at).await;
    assert_eq!(code, "duplicate-instance", "{sentence}");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("have the key of host")).expect("a line");
    assert_eq!(line.matches("127.").count(), 2, "{line}");
    drop(original);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_hosts_of_allowed_addresses_register() {
    let site = Site::new();
    let config = "[autove]\nallow = [\"192.0.2.0/24\"]\n";
    let server = site.server("closed", config, |license| license.id(FIRST).autove(5));
    let mut host = Machine::new("stranger");
    let (code, _) = host.is_refused(address(&server)).await;
    assert_eq!(code, "instance-not-registered");
    super::pair::configure(server.home(), "[autove]\nallow = [\"127.0.0.0/8\"]\n");
    super::pair::reload(&server);
    ve_testbed::wait::for_text(&server.log_file(), "Configuration and licenses were read again.");
    let _running = host.runs(address(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_one_address_is_fine_and_a_flood_is_not() {
    let site = Site::new();
    let config = "[autove]\nregistration_burst = 50\nregistrations_per_minute = 1\n";
    let server = site.server("flooded", config, |license| license.id(FIRST).autove(1_000));
    let at = address(&server);
    let mut running = Vec::new();
    for number in 0..50 {
        running.push(Machine::new(&format!("host-{number}")).runs(at).await);
    }
    let mut refused = 0;
    for number in 50..60 {
        match Machine::new(&format!("host-{number}")).run(at, "ss5").await {
            Ok(_) => {}
            Err(refusal) => {
                assert_eq!(refusal.code.as_str(), "server-busy");
                refused += 1;
            }
        }
    }
    assert!(refused >= 8, "{refused} of 10 were refused");
    assert_eq!(server.log().matches("come too fast").count(), 1);
}
