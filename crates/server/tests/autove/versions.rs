//! Two servers of different versions keep one registry, with all that a newer one may add to what it
//! says, both ways.

use std::fmt::Write as _;

use ve_core::registry::HostState::{Active, Retired};
use ve_testbed::{Server, install, wait};

use super::{
    between::Between,
    hosts::{Machine, Row},
    pair::{
        FIRST, SECOND, Site, address, configure, has_rows, in_step, licensectl, peer, peer_at,
        peer_is, rows,
    },
};

/// More hosts than go into one message.
const FLEET: usize = 600;

/// Two servers, the second of which dials the first on a way that makes both look newer.
async fn pair(site: &Site) -> (Server, Server, Between) {
    let one = site.server("first", "", |license| license.id(FIRST).autove(1_000));
    let home = site.path("second");
    install(&site.vendor, &home, |license| license.id(SECOND).autove(1_000));
    let between = Between::new(&home, one.home(), address(&one)).await;
    configure(&home, &peer_at(&between.address.to_string()));
    let other = Server::start(&home);
    in_step(&one);
    in_step(&other);
    (one, other, between)
}

fn said(server: &Server, arguments: &[&str]) {
    let (code, out, err) = licensectl(server.home(), arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_each_find_the_other_newer_keep_one_registry() {
    let site = Site::new();
    let (one, mut other, _between) = pair(&site).await;
    let (mut first, mut second) = (Machine::new("first"), Machine::new("second"));
    let _first = first.runs(address(&one)).await;
    let _second = second.runs(address(&other)).await;
    let row = |host: &Machine, home: &str, state| (host.key(), home.to_owned(), state);
    let sorted = |mut rows: Vec<Row>| {
        rows.sort();
        rows
    };
    let expected = sorted(vec![row(&first, FIRST, Active), row(&second, SECOND, Active)]);
    has_rows(&one, &expected);
    has_rows(&other, &expected);
    // Where emulators run is known on both sides.
    for (server, host) in [(&one, &second), (&other, &first)] {
        wait::until("the peer's emulators", || {
            let hosts = server.list("instances");
            let host = hosts.into_iter().find(|found| found["host"] == host.key())?;
            (host["emulators_at_peer"] == 1).then_some(())
        });
    }
    assert_eq!(peer(&one).expect("a peer")["serves"], true);

    // Retired there, and many at once here; what is known already doesn't travel again.
    said(&other, &["instances", "retire", "second"]);
    let mut text = "host,home\n".to_owned();
    for number in 1..=FLEET {
        writeln!(text, "{number:064x},{FIRST}").expect("a String grows");
    }
    let file = site.path("fleet.csv");
    std::fs::write(&file, text).expect("a file");
    said(&one, &["instances", "import", file.to_str().expect("a plain name")]);
    let fleet = (1..=FLEET).map(|number| (format!("{number:064x}"), FIRST.to_owned(), Active));
    let known = [row(&first, FIRST, Active), row(&second, SECOND, Retired)];
    let expected = sorted(fleet.chain(known).collect());
    has_rows(&one, &expected);
    has_rows(&other, &expected);

    // After an outage they go on where they were.
    other.kill();
    peer_is(&one, "connecting");
    let mut meanwhile = Machine::new("meanwhile");
    let _meanwhile = meanwhile.runs(address(&one)).await;
    other.restart();
    in_step(&other);
    let expected = sorted([expected, vec![row(&meanwhile, FIRST, Active)]].concat());
    has_rows(&other, &expected);
    in_step(&one);
    assert_eq!(rows(&one), expected);
    for server in [&one, &other] {
        let log = server.log();
        assert!(!log.contains("bad-request") && !log.contains("refused"), "{log}");
    }
}
