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

/// A home whose ledger is damaged and whose license is spoiled, and an older backup of it. The
/// reserve knows of 9 hours, the backup of 5.
fn damaged() -> Office {
    let office = Office::with_license(|license| license.hours(100));
    use_hours(&office, 1, 5 * HOUR_MS);
    office.back_up("b.tar").expect_code(0);
    use_hours(&office, 1, 9 * HOUR_MS);
    let home = office.home();
    let mut bytes = fs::read(home.ledger()).unwrap();
    bytes[100..4_096].fill(0);
    fs::write(home.ledger(), bytes).unwrap();
    fs::write(home.ledger().with_file_name("ledger.db-wal"), "noise").unwrap();
    fs::write(home.license_file(&ID.parse().unwrap()), "spoiled").unwrap();
    copy(home.path(), &office.file("damaged"));
    office
}

#[test]
fn a_restore_killed_at_any_step_is_completed() {
    let office = damaged();
    let home = office.home();
    let mut states = [0, 0];
    for call in CALLS {
        for when in 1.. {
            fs::remove_dir_all(home.path()).unwrap();
            copy(&office.file("damaged"), home.path());
            let done = match restore_killed_at(&office, call, when) {
                Ok(done) => done,
                Err(why) => return ve_testbed::skip(format_args!("{why}")),
            };
            // From the decision on a server's start completes it as well.
            let is_decided = home.path().join("restoring").exists();
            if is_decided && when % 2 == 0 {
                drop(Server::start(&office));
            } else if !done {
                let file = office.file("b.tar");
                let again = ["restore", file.to_str().unwrap()];
                office.run("licensectl", &again).expect_code(0);
            }
            expect_whole(&office, &format!("{call} {when}"));
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
}
