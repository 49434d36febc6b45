//! A restore that is killed at any step: the server starts, or a second restore completes it, and in
//! both cases the home is what the backup was, with all marks.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use ve_core::time::HOUR_MS;
use ve_testbed::programs;

use crate::{
    hosts_restored::{active, hosts_in, learn, retire_in_ledger, retired, retired_in_ledger},
    office::{ID, Office, Outcome},
    running::Server,
    viewer::use_hours,
};

/// The calls after which the files are different, or durable.
const CALLS: [&str; 5] = ["rename", "linkat", "unlinkat", "fsync", "fdatasync"];

/// Runs a restore that is killed at its `when`th such call; whether it came to its end.
fn restore_killed_at(office: &Office, call: &str, when: u32) -> Result<bool, String> {
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:signal=KILL:when={when}")])
        .arg(programs::path("licensectl"))
        .arg("--home")
        .arg(office.home().path())
        .arg("restore")
        .arg(office.file("b.tar"))
        .env("VE_HANDED_IN", office.file("nothing-handed-in"))
        .stdout(Stdio::null())
        .output()
        .map_err(|error| format!("strace is not installed: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(true),
        Some(_) if said.contains("ptrace") => Err(format!("strace can't trace here: {said}")),
        Some(code) if code != 137 => panic!("at {call} {when}: code {code}: {said}"),
        _ => Ok(false),
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Since the backup, of host 1 alone, host 2 was registered, host 3 came as well, and host 1 was lost.
/// The backup's ledger knows that host 3 is retired.
fn back_up_and_change_hosts(office: &Office) {
    learn(office, &[active(1)]);
    retire_in_ledger(office, 3);
    office.back_up("b.tar").expect_code(0);
    fs::remove_file(office.home().instances()).unwrap();
    learn(office, &[active(2), retired(3)]);
}

/// A home whose ledger is damaged and whose license is spoiled, and an older backup of it. The
/// reserve knows of 9 hours, the backup of 5.
fn damaged() -> Office {
    let office = Office::with_license(|license| license.hours(100));
    use_hours(&office, 1, 5 * HOUR_MS);
    back_up_and_change_hosts(&office);
    use_hours(&office, 1, 9 * HOUR_MS);
    let home = office.home();
    let mut bytes = fs::read(home.ledger()).unwrap();
    bytes[100..4_096].fill(0);
    fs::write(home.ledger(), bytes).unwrap();
    fs::write(home.ledger().with_file_name("ledger.db-wal"), "noise").unwrap();
    spoil_license(&office);
    office
}

/// A home whose ledger is newer than the backup's, but doesn't know of its retired host and hours.
fn without_its_retired_host() -> Office {
    let office = Office::with_license(|license| license.hours(100));
    let home = office.home();
    let before = fs::read(home.ledger()).unwrap();
    use_hours(&office, 1, 9 * HOUR_MS);
    back_up_and_change_hosts(&office);
    fs::remove_file(home.marks_reserve()).unwrap();
    fs::write(home.ledger(), before).unwrap();
    for hours in 1..5 {
        use_hours(&office, 1, hours * HOUR_MS);
    }
    spoil_license(&office);
    office
}

fn spoil_license(office: &Office) {
    let home = office.home();
    fs::write(home.license_file(&ID.parse().unwrap()), "spoiled").unwrap();
    copy(home.path(), &office.file("damaged"));
}

#[test]
fn a_restore_killed_at_any_step_is_completed() {
    completes(&damaged());
}

/// The same where ledger and registry stay, and take in what the backup has.
#[test]
fn a_merge_killed_at_any_step_is_completed() {
    completes(&without_its_retired_host());
}

fn completes(office: &Office) {
    let home = office.home();
    let mut states = [0, 0];
    for call in CALLS {
        for when in 1.. {
            fs::remove_dir_all(home.path()).unwrap();
            copy(&office.file("damaged"), home.path());
            let done = match restore_killed_at(office, call, when) {
                Ok(done) => done,
                Err(why) => return ve_testbed::skip(format_args!("{why}")),
            };
            // From the decision on a server's start completes it as well.
            let is_decided = home.path().join("restoring").exists();
            if is_decided && when % 2 == 0 {
                drop(Server::start(office));
            } else if !done {
                let file = office.file("b.tar");
                let again = ["restore", file.to_str().unwrap()];
                office.run("licensectl", &again).expect_code(0);
            }
            expect_whole(office, &format!("{call} {when}"));
            if done {
                break;
            }
            states[usize::from(is_decided)] += 1;
        }
    }
    let [before, after] = states;
    assert!(before > 15 && after > 8, "{before} kills before the decision, {after} after it");
}

fn expect_whole(office: &Office, when: &str) {
    let home = office.home();
    let shown = Outcome::of(&mut office.command("license_viewer", &[])).expect_code(0).stdout;
    assert!(shown.contains("\nRemaining: 91 hour(s)\nStatus: valid\n"), "at {when}: {shown}");
    for left in ["restoring", "restoring.tmp"] {
        assert!(!home.path().join(left).exists(), "at {when}: {left}");
    }
    let kept = fs::read_dir(home.path()).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        fs::read(path.join(format!("licenses/{ID}.v2c"))).ok()
    });
    assert!(kept.into_iter().any(|bytes| bytes == b"spoiled"), "at {when}");
    let expected = [active(1), active(2), retired(3)];
    assert!(hosts_in(home.path()).into_values().eq(expected), "at {when}");
    assert_eq!(retired_in_ledger(office), [retired(3).host], "at {when}");
}
