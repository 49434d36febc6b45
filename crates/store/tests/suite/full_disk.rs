//! A disk that is full refuses appends in words, keeps what it has, and goes on when there is room.

use std::{
    env,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Output, Stdio},
};

use ve_core::node::event::Remembered;
use ve_store::{AppendFailure, Embedded, Limits, ReadOnly, Store};

use crate::events::{Home, license, opened, record, used};

/// Names the small disk's folder to the process that has it mounted.
pub(crate) const DISK: &str = "VE_STORE_TEST_DISK";

/// Appends sessions until one fails; how many the ledger holds then.
fn fill(store: &mut impl Store) -> u64 {
    let before = store.remember().expect("a ledger");
    let mut position = before.position;
    let failure = loop {
        if let Err(failure) = store.append(&[&[record(position + 1, opened(position + 1))]]) {
            break failure;
        }
        position += 1;
        assert!(position < 100_000, "the disk is never full");
    };
    assert_eq!(failure, AppendFailure::Ledger("disk full (SQLITE_FULL)".into()));
    let remembered = store.remember().expect("still readable");
    assert_eq!(remembered.position, position);
    let sessions = before.sessions.len() as u64 + position - before.position;
    assert_eq!(remembered.sessions.len() as u64, sessions);
    sessions
}

#[test]
fn a_ledger_at_its_largest_size_reads_disk_full_and_goes_on_when_there_is_room() {
    let home = Home::new();
    let mut store = home.open_with(Limits { pages: Some(64), ..Limits::default() });
    let first = fill(&mut store);
    assert!(first > 0);
    let again = store.append(&[&[record(first + 1, opened(first + 1))]]);
    assert_eq!(again, Err(AppendFailure::Ledger("disk full (SQLITE_FULL)".into())));
    drop(store);
    let mut store = home.open_with(Limits { pages: Some(96), ..Limits::default() });
    assert!(fill(&mut store) > first);
}

#[test]
#[ignore = "a part of the next test, which mounts a small disk for it in a namespace of its own"]
fn child_fills_its_small_disk() {
    let folder = env::var_os(DISK).expect("run by the next test, with the disk's folder");
    let (path, ballast) =
        (Path::new(&folder).join("ledger.db"), Path::new(&folder).join("ballast"));
    fs::write(&ballast, vec![0; 300_000]).expect("room");
    let mut store = Embedded::open(&path).expect("a ledger");
    let first = fill(&mut store);
    assert!(first > 0);
    let read_beside = ReadOnly::open(&path).and_then(|mut reader| reader.remember());
    assert_eq!(read_beside, store.remember());

    leave_no_room(Path::new(&folder));
    let acknowledged = kill_a_server_that_counts_hours();
    let read_beside = ReadOnly::open(&path).and_then(|mut reader| reader.remember());
    let hours = |remembered: &Remembered| remembered.meters[&(license(1), 1)].used_ms;
    assert!(hours(&read_beside.expect("still readable")) >= acknowledged);

    fs::remove_file(&ballast).expect("room again");
    let remembered = store.remember().expect("a ledger");
    drop(store);
    // A start on a full disk says what to do, and changes nothing.
    leave_no_room(Path::new(&folder));
    let error = Embedded::open(&path).map(drop).expect_err("no room for its log").to_string();
    assert!(error.contains("disk full ") && error.contains("; make room on"), "{error}");
    fs::remove_file(Path::new(&folder).join("rest")).expect("room again");
    let mut store = Embedded::open(&path).expect("a ledger");
    assert!(hours(&store.remember().expect("joined")) >= acknowledged);
    assert_eq!(store.remember().expect("joined").sessions, remembered.sessions);
    assert!(fill(&mut store) > first, "it goes on by itself");
    let before = store.remember();
    drop(store);
    assert_eq!(Embedded::open(&path).expect("a ledger").remember(), before);
}

/// Takes every block that is left.
pub(crate) fn leave_no_room(folder: &Path) {
    let mut file = File::create(folder.join("rest")).expect("a file");
    while file.write_all(&[1; 4_096]).is_ok() {}
}

#[test]
#[ignore = "a part of the test above, which runs it on its full disk and kills it"]
fn child_counts_hours_until_it_is_killed() {
    let folder = env::var_os(DISK).expect("run by the test above");
    let mut store = Embedded::open(&Path::new(&folder).join("ledger.db")).expect("a ledger");
    let first = store.remember().expect("a ledger").position + 1;
    for tick in 1.. {
        let marks = [record(first + tick, used(1, 1, tick * 50_000))];
        // What room its log still has is soon used up.
        let Err(failure) = store.append(&[&marks]) else {
            assert!(tick < 10_000, "the disk is never full");
            continue;
        };
        assert!(failure.to_string().starts_with("disk full "), "{failure}");
        store.reserve(&marks).expect("room that was there before");
        writeln!(io::stdout(), "acknowledged {}", tick * 50_000).expect("the parent listens");
    }
}

/// Runs it until it has counted for a while; the hours that it has acknowledged.
fn kill_a_server_that_counts_hours() -> u64 {
    let child = "full_disk::child_counts_hours_until_it_is_killed";
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", child, "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let acknowledged = lines
        .map(|line| line.expect("text"))
        .filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok())
        .nth(40);
    child.kill().expect("killed");
    child.wait().expect("its end");
    acknowledged.expect("it counts")
}

/// Runs a command in a mount namespace of its own, with 1 MiB of memory mounted at `folder`.
pub(crate) fn on_small_disk(folder: &Path, namespaces: &[&str], command: &[&str]) -> Output {
    const MOUNT: &str = r#"mount -t tmpfs -o size=1m,mode=0700 tmpfs "$0" && exec "$@""#;
    Command::new("unshare")
        .args(namespaces)
        .args(["--", "sh", "-c", MOUNT])
        .arg(folder)
        .args(command)
        .env(DISK, folder)
        .output()
        .expect("unshare is a part of every Linux system")
}

/// The namespaces in which this user may mount something; an error says why there are none.
pub(crate) fn namespaces(folder: &Path) -> Result<&'static [&'static str], String> {
    let for_root = &["--mount"][..];
    let for_everyone = &["--user", "--map-root-user", "--mount"][..];
    let works = |namespaces: &&[&str]| on_small_disk(folder, namespaces, &["true"]);
    if works(&for_root).status.success() {
        return Ok(for_root);
    }
    let output = works(&for_everyone);
    if output.status.success() {
        return Ok(for_everyone);
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

#[test]
fn a_full_disk_is_named_and_forgiven() {
    let home = Home::new();
    let folder = home.ledger().parent().expect("a folder").to_path_buf();
    let namespaces = match namespaces(&folder) {
        Ok(namespaces) => namespaces,
        Err(why) => {
            ve_testbed::skip(format_args!("this user can't mount a small disk here: {why}"));
            return;
        }
    };
    let exe = env::current_exe().expect("this program");
    let child = ["--exact", "full_disk::child_fills_its_small_disk", "--ignored", "--nocapture"];
    let command = [&[exe.to_str().expect("a path in UTF-8")][..], &child].concat();
    let output = on_small_disk(&folder, namespaces, &command);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert!(!home.ledger().exists(), "the small disk was not in use");
}
