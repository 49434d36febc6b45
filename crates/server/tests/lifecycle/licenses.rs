//! Licenses that come, change and go while the server runs.

use std::{collections::BTreeSet, fs, path::PathBuf};

use rustix::process::Signal;
use ve_core::{fingerprint::Component, id::Digest, reason::ReasonCode};
use ve_documents::{c2v, key_files};

use super::{
    client::{Emulator, Event, Host},
    server::Server,
    site::{Site, path},
};

const ID: &str = "01.00000001.002.044";
const OTHER_ID: &str = "02.00000002.003.001";
const NO_LICENSE: &str = "license-not-available: no license is installed on this server.";

/// The reasons that stand under every `license is not available.`
fn reasons(server: &Server) -> Vec<String> {
    let log = server.log();
    let pairs = log.iter().zip(log.iter().skip(1));
    let told = pairs.filter(|(line, _)| line.ends_with("ERROR License license is not available."));
    told.map(|(_, reason)| reason[20..].to_owned()).collect()
}

fn installed_files(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.home().join("licenses")).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_server_without_a_license_says_why_and_serves_as_soon_as_it_has_one() {
    let site = Site::new();
    let server = site.start().await;
    assert_eq!(reasons(&server), [format!("ERROR License {NO_LICENSE}")]);
    let (host, emulator) = (Host::new(), Emulator::new("ss5"));
    let refused =
        async || host.connect(server.port()).await.err().expect("no one is served").to_string();
    assert_eq!(refused().await, NO_LICENSE);

    let v2c = site.v2c(|license| license).await;
    let dry = site.tool("v2c", &["--filename", path(&v2c), "--dry-run"]).await.fine();
    assert!(dry.contains("This was a dry run: nothing was changed."), "{dry}");
    assert!(installed_files(&site).is_empty(), "a dry run installs nothing");
    assert_eq!(refused().await, NO_LICENSE);

    let installed = site.tool("v2c", &["--filename", path(&v2c)]).await.fine();
    assert!(installed.contains("Installed."), "{installed}");
    host.run(server.port(), &emulator).await.expect("a seat, without a restart");
    server.logs("INFO License license 01.00000001.002.044 version 1 is valid.").await;
    server.logs("INFO Server CHARON-SSP/4M v5.2.1 has logged in from 127.0.0.1:").await;
    server.terminate().await;
}

#[tokio::test]
async fn an_update_that_covers_everyone_is_not_noticed() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let host = Host::new();
    let mut running = host.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    let before = site.sessions().await;

    site.install(|license| license.version(2).instances(5)).await.fine();
    let grant = running.link.check(running.grant.session).await.expect("still licensed");
    assert_eq!((grant.marks.license_version, grant.instances), (2, 5));
    assert_eq!(running.link.events_so_far(), []);
    assert_eq!(site.sessions().await, before, "the same session, on the same connection");
    assert_eq!(server.count("has logged in"), 1);
    assert_eq!(server.count("has been disconnected"), 0);
    assert_eq!(installed_files(&site), [format!("{ID}.v2c"), format!("{ID}.v2c.1")]);
    server.terminate().await;
}

#[tokio::test]
async fn an_update_that_shrinks_takes_the_newest_seats() {
    let site = Site::licensed(|license| license.instances(3)).await;
    let server = site.start().await;
    let host = Host::new();
    let mut running = Vec::new();
    for name in ["first", "second", "third"] {
        running.push(host.run(server.port(), &Emulator::new(name)).await.expect("a seat"));
    }

    let v2c = site.v2c(|license| license.version(2).instances(1)).await;
    let dry = site.tool("v2c", &["--filename", path(&v2c), "--dry-run"]).await.fine();
    assert!(dry.contains("Sessions that go on: 1; that are revoked: 2"), "{dry}");
    let first = running[0].grant.session;
    running[0].link.check(first).await.expect("a dry run takes nothing away");
    assert!(running.iter_mut().all(|running| running.link.events_so_far().is_empty()));

    site.tool("v2c", &["--filename", path(&v2c)]).await.fine();
    for newer in &mut running[1..] {
        match newer.link.event().await {
            Event::Revoked(session, refusal) => {
                assert_eq!(
                    (session, refusal.code),
                    (newer.grant.session, ReasonCode::InstanceLimit)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    running[0].link.check(first).await.expect("the oldest keeps its seat");
    assert_eq!(running[0].link.events_so_far(), []);
    let sentence =
        host.refused(server.port(), &Emulator::new("fourth"), ReasonCode::InstanceLimit).await;
    assert_eq!(sentence, "the only instance of Charon-SSP/ALL is in use.");
    server.terminate().await;
}

#[tokio::test]
async fn two_licenses_serve_side_by_side() {
    let site = Site::licensed(|license| license.instances(1)).await;
    let hppa = "Charon-PA9-64-L4";
    site.install(|license| {
        license.id(OTHER_ID).instances(1).with(|license| {
            license.sections[0].virtual_hardware = vec![hppa.parse().expect("a name")];
        })
    })
    .await
    .fine();
    let server = site.start().await;
    let host = Host::new();
    let sparc = host.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    let parisc = Emulator { hardware: hppa, ..Emulator::new("pa9") };
    let parisc = host.run(server.port(), &parisc).await.expect("a seat");
    assert_eq!((sparc.grant.license_id.as_str(), parisc.grant.license_id.as_str()), (ID, OTHER_ID));
    host.refused(server.port(), &Emulator::new("ss20"), ReasonCode::InstanceLimit).await;

    let report = site.report("licenses").await;
    let in_use: Vec<_> =
        (0..2).map(|index| &report["licenses"][index]["products"][0]["in_use"]).collect();
    assert_eq!(in_use, [1, 1], "{report:#}");

    // One of them is taken away; the other's sessions don't notice.
    let (mut sparc, mut parisc) = (sparc, parisc);
    site.tool("licensectl", &["licenses", "remove", OTHER_ID]).await.fine();
    assert!(
        matches!(parisc.link.event().await, Event::Revoked(_, refusal) if refusal.code == ReasonCode::LicenseNotAvailable)
    );
    sparc.link.check(sparc.grant.session).await.expect("still licensed");
    assert_eq!(sparc.link.events_so_far(), []);
    server.terminate().await;
}

/// A fingerprint file of this server's key, but of a machine where one component is another.
async fn c2v_with_another(site: &Site, component: Component) -> PathBuf {
    let text = fs::read_to_string(site.c2v().await).expect("a file");
    let mut c2v = c2v::verify(&text).expect("a C2V");
    c2v.components.0.insert(component, Digest([7; 32]));
    let key = key_files::load(&site.home().join("identity.key"), None).expect("the server's key");
    let file = site.beside("other.c2v");
    fs::write(&file, c2v::sign(&c2v, &key)).expect("a file");
    file
}

async fn components(site: &Site) -> Vec<Component> {
    let text = fs::read_to_string(site.c2v().await).expect("a file");
    c2v::verify(&text).expect("a C2V").components.0.into_keys().collect()
}

#[tokio::test]
async fn a_license_for_another_machine_is_refused_by_the_name_of_what_changed() {
    let site = Site::new();
    let server = site.start().await;
    let (host, emulator) = (Host::new(), Emulator::new("ss5"));
    let components = components(&site).await;
    assert!(!components.is_empty(), "this machine has no identity at all");
    for (index, component) in components.into_iter().enumerate() {
        let c2v = c2v_with_another(&site, component).await;
        let license =
            site.vendor().license_for(&c2v).version(u32::try_from(index).expect("few") + 1);
        let v2c = site.beside("other.v2c");
        license.clone().write(&v2c);
        let message = site.tool("v2c", &["--filename", path(&v2c)]).await.failed(77);
        assert!(
            message.contains("binding-changed") && message.contains(component.as_str()),
            "{message}"
        );

        // Put there by hand, it is refused at login.
        site.put_license(ID, &v2c);
        server.signal(Signal::HUP);
        server.logs_times("Configuration and licenses were read again.", index + 1).await;
        let sentence = host.refused(server.port(), &emulator, ReasonCode::BindingChanged).await;
        let expected = format!(
            "license {ID} is bound to another machine, or this one has changed: {component}."
        );
        assert_eq!(sentence, expected);
        server
            .logs(&format!("ERROR License license {ID} is not valid: binding-changed: {expected}"))
            .await;
    }
    // What was refused has left no mark: the first version of the right license is welcome.
    fs::remove_file(site.home().join(format!("licenses/{ID}.v2c"))).expect("a license file");
    site.install(|license| license).await.fine();
    host.run(server.port(), &emulator).await.expect("a seat");
    server.terminate().await;
}

#[tokio::test]
async fn a_change_that_the_license_tolerates_is_none() {
    let site = Site::new();
    let component = *components(&site).await.first().expect("an identity");
    let c2v = c2v_with_another(&site, component).await;
    let v2c = site.beside("other.v2c");
    let license = site.vendor().license_for(&c2v);
    license.with(|license| license.tolerance = BTreeSet::from([component])).write(&v2c);
    site.tool("v2c", &["--filename", path(&v2c)]).await.fine();
    let server = site.start().await;
    Host::new().run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    server.terminate().await;
}

#[tokio::test]
async fn an_installation_that_the_server_can_not_take_up_is_no_success() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let host = Host::new();
    let running = host.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    // Not a file: the system won't let us read it, which says nothing about any license.
    let trouble = site.home().join(format!("licenses/{OTHER_ID}.v2c"));
    fs::create_dir(&trouble).expect("a folder");
    let message = site.install(|license| license.version(2).instances(5)).await.failed(70);
    assert!(message.contains("version 2 was installed, but the running server can't"), "{message}");
    assert!(message.contains(path(&trouble)), "{message}");
    let version = async || {
        let grant = running.link.check(running.grant.session).await.expect("still licensed");
        grant.marks.license_version
    };
    assert_eq!(version().await, 1);

    fs::remove_dir(&trouble).expect("a folder");
    server.signal(Signal::HUP);
    server.logs("Configuration and licenses were read again.").await;
    assert_eq!(version().await, 2);
    server.terminate().await;
}

#[tokio::test]
async fn files_that_are_no_license_leave_a_session_untouched() {
    let site = Site::licensed(|license| license.version(2)).await;
    let server = site.start().await;
    let host = Host::new();
    let mut running = host.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    let before = site.sessions().await;

    let genuine = fs::read_to_string(site.v2c(|license| license.version(3)).await).expect("a file");
    let older = fs::read_to_string(site.v2c(|license| license.version(1)).await).expect("a file");
    let cut = &genuine[..genuine.len() / 2];
    let large = "A".repeat(2 << 20);
    let texts: [(&[u8], u8); 5] = [
        (b"", 65),
        (cut.as_bytes(), 65),
        (b"\xff\xfe not text", 65),
        (large.as_bytes(), 65),
        (older.as_bytes(), 77),
    ];
    for (text, code) in texts {
        let file = site.beside("wrong.v2c");
        fs::write(&file, text).expect("a file");
        site.tool("v2c", &["--filename", path(&file)]).await.failed(code.into());
        running.link.check(running.grant.session).await.expect("still licensed");
        assert_eq!(running.link.events_so_far(), []);
        assert_eq!(site.sessions().await, before);
    }
    server.terminate().await;
}
