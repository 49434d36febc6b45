//! Two AutoVE licenses on one server, put there by hand: the peer knows it by the one that is served.

use std::path::Path;

use ve_testbed::{LicenseBuilder, Server, install, wait};

use super::pair::{FIRST, SECOND, Site, configure, in_step, peer, peer_at, reload};

const THIRD: &str = "01.00000001.002.003";

/// Puts a license into a home in which `c2v` was run before.
fn put(
    site: &Site,
    home: &Path,
    edit: impl for<'a> FnOnce(LicenseBuilder<'a>) -> LicenseBuilder<'a>,
) {
    let license = edit(site.vendor.license_for(&home.join("server.c2v")).id(FIRST).autove(5));
    license.write(&home.join(format!("licenses/{FIRST}.v2c")));
}

/// A server that serves its second license: the first is another machine's.
fn with_two(site: &Site, config: &str) -> Server {
    let home = site.path("two");
    install(&site.vendor, &home, |license| license.id(SECOND).autove(5));
    put(site, &home, |license| license.id(FIRST).of_another_machine());
    configure(&home, config);
    Server::start(&home)
}

fn knows(server: &Server, license: &str) {
    let is_known = || {
        let peer = peer(server)?;
        (peer["license_id"] == license && peer["state"] == "in-step").then_some(())
    };
    wait::until(format!("a peer with license {license}"), is_known);
}

#[test]
fn a_peer_that_is_dialed_hears_of_the_license_that_is_served() {
    let site = Site::new();
    let one = site.server("one", "", |license| license.id(THIRD).autove(5));
    let two = with_two(&site, &peer_at(&one.address()));
    knows(&one, SECOND);
    knows(&two, THIRD);
}

#[test]
fn a_peer_that_dials_hears_of_the_license_that_is_served() {
    let site = Site::new();
    let two = with_two(&site, "");
    let one = site.server("one", &peer_at(&two.address()), |license| license.id(THIRD).autove(5));
    knows(&one, SECOND);
    knows(&two, THIRD);
    // The first is this machine's after all, and is served from now on.
    put(&site, two.home(), |license| license.version(2));
    reload(&two);
    knows(&one, FIRST);
    in_step(&two);
    let log = one.log();
    assert!(!log.contains("breaks the rules"), "nobody is at fault: {log}");
}
