//! `licensectl backup` and `restore` of hosts: an old registry is brought forward, never the other way
//! round. No restore loses a registration or brings a retired host back.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};
use ve_core::{
    id::{HostKey, SpanId},
    node::event::{Event, Record, Remembered},
    registry::{Batch, HostEntry, HostState, Seen},
    time::{HOUR_MS, Utc},
};
use ve_store::{Embedded, EmbeddedHosts, HostStore, HostsReadOnly, HostsStart, ReadOnly, Store};

use crate::{
    office::{ID, Office, mode},
    running::Server,
    viewer::use_hours,
};

fn key(number: u8) -> HostKey {
    HostKey([number; 32])
}

/// A host's entry at its first or a later decision.
pub(crate) fn entry(number: u8, revision: u64, state: HostState) -> HostEntry {
    HostEntry {
        host: key(number),
        home: ID.parse().unwrap(),
        revision,
        state,
        registered: Utc(1_700_000_000),
        identity: None,
        seen: Seen {
            at: Utc(1_700_000_000),
            name: format!("emu-{number}").parse().unwrap(),
            platform: None,
            address: "192.0.2.17:40000".parse().unwrap(),
        },
    }
}

pub(crate) fn active(number: u8) -> HostEntry {
    entry(number, 1, HostState::Active)
}

pub(crate) fn retired(number: u8) -> HostEntry {
    entry(number, 2, HostState::Retired)
}

/// Opens the registry as a server does at its start.
fn open(home: &Path) -> EmbeddedHosts {
    let count = HostsReadOnly::open(&home.join("instances.db"))
        .and_then(|mut registry| registry.remember())
        .unwrap()
        .map_or(0, |hosts| hosts.spans.len());
    let start = HostsStart {
        server_key: None,
        span: SpanId([u8::try_from(count + 1).unwrap(); 16]),
        snapshots: &home.join("snapshots"),
        ledger: &Remembered::default(),
        now: Utc(1_700_000_000),
    };
    EmbeddedHosts::open_for_service(&home.join("instances.db"), start).unwrap().store
}

/// A server that starts, learns these, and ends.
pub(crate) fn learn(office: &Office, entries: &[HostEntry]) {
    let mut store = open(office.home().path());
    let after = store.remember().unwrap().spans.last().unwrap().after;
    let entries = (after + 1..).zip(entries.iter().cloned()).collect();
    store.write(&[&Batch { entries, ..Batch::default() }]).unwrap();
    store.close().unwrap();
}

/// The ledger hears that a host was retired.
pub(crate) fn retire_in_ledger(office: &Office, number: u8) {
    let mut store = Embedded::open(&office.home().ledger()).unwrap();
    let position = store.remember().unwrap().position + 1;
    let event = Event::HostRetired {
        host: key(number),
        name: "emu".parse().unwrap(),
        home: ID.parse().unwrap(),
        here: true,
        at: Utc(1_700_000_000),
        identity: None,
    };
    store.append(&[&[Record { position, at: Utc(0), event }]]).unwrap();
    store.close().unwrap();
}

/// What the registry of a home holds, host by host.
pub(crate) fn hosts_in(home: &Path) -> BTreeMap<HostKey, HostEntry> {
    let mut registry = HostsReadOnly::open_checked(&home.join("instances.db")).unwrap();
    registry.entries().unwrap().into_iter().map(|(_, entry)| (entry.host, entry)).collect()
}

fn of(entries: impl IntoIterator<Item = HostEntry>) -> BTreeMap<HostKey, HostEntry> {
    entries.into_iter().map(|entry| (entry.host, entry)).collect()
}

fn may_lack_hosts(home: &Path) -> bool {
    let mut registry = HostsReadOnly::open(&home.join("instances.db")).unwrap();
    registry.remember().unwrap().unwrap().may_lack_hosts
}

pub(crate) fn retired_in_ledger(office: &Office) -> Vec<HostKey> {
    let remembered = ReadOnly::open(&office.home().ledger()).unwrap().remember().unwrap();
    remembered.retired_hosts.into_keys().collect()
}

/// A home with hosts 1 to 3, and a backup of it.
fn backed_up() -> Office {
    let office = Office::with_license(|license| license.hours(100));
    learn(&office, &[active(1), active(2), active(3)]);
    office.back_up("b.tar").expect_code(0);
    office
}

fn restore(office: &Office) -> String {
    office.restore_at(office.home().path(), "b.tar", &[]).expect_code(0).stdout
}

/// The plan's line for the registry.
fn line(shown: &str) -> &str {
    shown
        .lines()
        .find(|line| line.starts_with("instances.db "))
        .unwrap_or_else(|| panic!("{shown}"))
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[100..4_096].fill(0);
    fs::write(path, bytes).unwrap();
}

/// The folder with what a restore has replaced.
fn aside(office: &Office) -> std::path::PathBuf {
    let mut entries =
        fs::read_dir(office.home().path()).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.to_string_lossy().contains("/before-restore-")).unwrap()
}

#[test]
fn a_backup_holds_the_registry_while_a_server_writes_it() {
    let office = Office::with_license(|license| license);
    let mut server = open(office.home().path());
    for number in 1..=3 {
        let entries = vec![(u64::from(number), active(number))];
        server.write(&[&Batch { entries, ..Batch::default() }]).unwrap();
        let name = format!("{number}.tar");
        let shown = office.back_up(&name).expect_code(0).stdout;
        assert!(shown.contains("\ninstances.db "), "{shown}");
        let elsewhere = office.file(&format!("elsewhere-{number}"));
        office.restore_at(&elsewhere, &name, &[]).expect_code(0);
        assert_eq!(hosts_in(&elsewhere), of((1..=number).map(active)));
        assert_eq!(mode(&elsewhere.join("instances.db")), 0o600);
    }
    let left = fs::read_dir(office.home().path().join("run")).unwrap().count();
    assert!(left <= 1, "a copy was left behind");
}

#[test]
fn a_home_without_a_registry_has_none_in_its_backup() {
    let office = Office::with_license(|license| license);
    let shown = office.back_up("b.tar").expect_code(0).stdout;
    assert!(!shown.contains("instances.db"), "{shown}");
    learn(&office, &[active(1)]);
    let shown = restore(&office);
    assert!(!shown.contains("instances.db"), "{shown}");
    assert_eq!(hosts_in(office.home().path()), of([active(1)]));
}

#[test]
fn an_empty_home_gets_its_hosts_back_and_may_lack_some() {
    let office = backed_up();
    let elsewhere = office.file("elsewhere");
    let shown = office.restore_at(&elsewhere, "b.tar", &["--dry-run"]).expect_code(0).stdout;
    assert!(line(&shown).ends_with("comes from the backup  the home has none"), "{shown}");
    assert!(shown.contains("\nhosts in instances.db "), "{shown}");
    office.restore_at(&elsewhere, "b.tar", &[]).expect_code(0);
    assert!(!elsewhere.join("instances.db-wal").exists(), "all of it is in the file");
    assert_eq!(hosts_in(&elsewhere), hosts_in(office.home().path()));
    assert!(may_lack_hosts(&elsewhere) && !may_lack_hosts(office.home().path()));
}

/// Since the backup a host was retired, one was registered, and one was lost.
#[test]
fn a_registry_that_is_there_takes_in_what_it_lacks() {
    let office = backed_up();
    let home = office.home();
    fs::remove_file(home.instances()).unwrap();
    learn(&office, &[retired(1), active(2), active(4)]);
    let json = office.restore_at(home.path(), "b.tar", &["--dry-run", "--json"]).expect_code(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let file = json["files"].as_array().unwrap().iter().find(|file| file["name"] == "instances.db");
    assert_eq!(file.unwrap()["action"], "merge");
    let mark = json["marks"].as_array().unwrap().last().unwrap();
    let expected =
        json!({"mark": "hosts in instances.db", "backup": "3", "home": "3", "after": "4"});
    assert_eq!(*mark, expected);
    assert_eq!(hosts_in(home.path()).len(), 3, "a dry run changes nothing");

    let shown = restore(&office);
    let expected = "takes in the backup's  1 of the backup's entries are news; none is lost";
    assert!(line(&shown).ends_with(expected), "{shown}");
    assert_eq!(hosts_in(home.path()), of([retired(1), active(2), active(3), active(4)]));
    assert!(!may_lack_hosts(home.path()));
    // Once more there is no news.
    let shown = restore(&office);
    assert!(line(&shown).contains(" stays "), "{shown}");
    assert!(line(&shown).ends_with(" it has every host of the backup"), "{shown}");
    drop(Server::start(&office));
    assert_eq!(hosts_in(home.path()).len(), 4);
}

/// The home retired a host before it was lost; the backup is older than that.
#[test]
fn a_backup_with_a_retired_host_retires_it_in_a_home_that_does_not_know() {
    let office = Office::with_license(|license| license);
    learn(&office, &[retired(1), active(2)]);
    office.back_up("b.tar").expect_code(0);
    fs::remove_file(office.home().instances()).unwrap();
    learn(&office, &[entry(1, 9, HostState::Active)]);
    restore(&office);
    let hosts = hosts_in(office.home().path());
    assert_eq!((hosts[&key(1)].state, hosts.len()), (HostState::Retired, 2));
}

#[test]
fn a_damaged_registry_is_replaced_and_kept() {
    let office = backed_up();
    let home = office.home();
    for spoil in [damage, |path: &Path| fs::write(path, "no registry").unwrap()] {
        spoil(&home.instances());
        fs::write(home.path().join("instances.db-wal"), "noise").unwrap();
        let spoiled = fs::read(home.instances()).unwrap();
        let shown = restore(&office);
        assert!(line(&shown).contains("is replaced"), "{shown}");
        assert_eq!(hosts_in(home.path()), of([active(1), active(2), active(3)]));
        assert!(may_lack_hosts(home.path()));
        let aside = aside(&office);
        assert_eq!(fs::read(aside.join("instances.db")).unwrap(), spoiled);
        assert_eq!(fs::read(aside.join("instances.db-wal")).unwrap(), b"noise");
        drop(Server::start(&office));
        fs::remove_dir_all(aside).unwrap();
    }
}

#[test]
fn a_damaged_registry_is_not_backed_up() {
    let office = backed_up();
    damage(&office.home().instances());
    office.back_up("x.tar").expect_failure(70, "the registry of hosts can't be backed up: ");
    assert!(!office.file("x.tar").exists());
}

/// Whichever ledger stays: who was retired in one of them is retired in the result.
#[test]
fn no_restore_forgets_a_retired_host_of_either_ledger() {
    // The backup's ledger comes in the place of one that is older: the home's hosts stay retired.
    let office = Office::with_license(|license| license);
    retire_in_ledger(&office, 1);
    let older = fs::read(office.home().ledger()).unwrap();
    use_hours(&office, 1, HOUR_MS);
    office.back_up("b.tar").expect_code(0);
    fs::remove_file(office.home().marks_reserve()).unwrap();
    fs::write(office.home().ledger(), older).unwrap();
    restore(&office);
    assert_eq!(retired_in_ledger(&office), [key(1)]);

    // The home's stays, which is newer, and doesn't know of the backup's.
    let office = Office::with_license(|license| license);
    let before = fs::read(office.home().ledger()).unwrap();
    retire_in_ledger(&office, 1);
    office.back_up("b.tar").expect_code(0);
    fs::remove_file(office.home().marks_reserve()).unwrap();
    fs::write(office.home().ledger(), before).unwrap();
    for number in [2, 3, 4] {
        retire_in_ledger(&office, number);
    }
    let shown = restore(&office);
    let ledger = shown.lines().find(|line| line.starts_with("ledger.db ")).unwrap();
    assert!(ledger.contains("  stays  "), "{shown}");
    assert_eq!(retired_in_ledger(&office), [1, 2, 3, 4].map(key));
}

/// The home's ledger is damaged and the backup's comes in its place: what can be read of the retired
/// hosts goes with it.
#[test]
fn a_damaged_ledger_that_is_replaced_leaves_its_retired_hosts() {
    let office = Office::with_license(|license| license);
    office.back_up("b.tar").expect_code(0);
    retire_in_ledger(&office, 1);
    let connection = rusqlite::Connection::open(office.home().ledger()).unwrap();
    connection.execute_batch("UPDATE records SET body = '{}'").unwrap();
    connection
        .execute_batch("UPDATE meters SET used_ms = -1; UPDATE versions SET version = -1")
        .unwrap();
    drop(connection);
    let shown = restore(&office);
    let ledger = shown.lines().find(|line| line.starts_with("ledger.db ")).unwrap();
    assert!(ledger.contains("the home's is damaged"), "{shown}");
    assert_eq!(retired_in_ledger(&office), [key(1)]);
}

/// A restore is cut off that is to merge, and the registry is lost when it goes on: the server starts
/// all the same, with the backup's.
#[test]
fn a_registry_that_was_lost_meanwhile_does_not_end_every_start() {
    let lose: [fn(&Path); 3] =
        [damage, |path| fs::write(path, "").unwrap(), |path| fs::remove_file(path).unwrap()];
    for lose in lose {
        let office = backed_up();
        let home = office.home();
        let folder = home.path().join("restoring");
        fs::create_dir_all(folder.join("licenses")).unwrap();
        fs::copy(home.instances(), folder.join("instances.db")).unwrap();
        learn(&office, &[active(4)]);
        let merge = SpanId([7; 16]);
        let journal =
            json!({"aside": "before-restore-1", "names": [], "raise": null, "merge": merge});
        fs::write(folder.join("journal.json"), journal.to_string()).unwrap();
        lose(&home.instances());
        drop(Server::start(&office));
        assert_eq!(hosts_in(home.path()), of([active(1), active(2), active(3)]));
        assert!(!folder.exists());
    }
}

/// The merge itself is cut off before and after it is durable.
#[test]
fn a_merge_that_was_cut_off_goes_on() {
    let office = backed_up();
    let home = office.home();
    let elsewhere = office.file("backup.db");
    fs::copy(home.instances(), &elsewhere).unwrap();
    fs::remove_file(home.instances()).unwrap();
    learn(&office, &[retired(1), active(4)]);
    for round in 0..2 {
        let folder = home.path().join("restoring");
        fs::create_dir_all(folder.join("licenses")).unwrap();
        fs::copy(&elsewhere, folder.join("instances.db")).unwrap();
        let merge = SpanId([7; 16]);
        let journal =
            json!({"aside": "before-restore-1", "names": [], "raise": null, "merge": merge});
        fs::write(folder.join("journal.json"), journal.to_string()).unwrap();
        drop(Server::start(&office));
        let expected = of([retired(1), active(2), active(3), active(4)]);
        assert_eq!(hosts_in(home.path()), expected, "{round}");
    }
}
