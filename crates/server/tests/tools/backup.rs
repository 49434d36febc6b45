//! `licensectl backup`: one file, whole, of one moment, for its owner alone.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;
use ve_core::time::HOUR_MS;
use ve_testbed::programs::{self, NOBODY};

use crate::{
    office::{ID, Office, Outcome, mode},
    running::Server,
    viewer::use_hours,
};

impl Office {
    pub(crate) fn back_up(&self, name: &str) -> Outcome {
        let file = self.file(name);
        self.run("licensectl", &["backup", file.to_str().unwrap()])
    }

    /// Runs `licensectl` on another home.
    pub(crate) fn at(&self, home: &Path, arguments: &[&str]) -> Outcome {
        let mut command = programs::command("licensectl");
        command.arg("--home").arg(home).args(arguments);
        command.env("VE_HANDED_IN", self.file("nothing-handed-in"));
        Outcome::of(&mut command)
    }

    pub(crate) fn restore_at(&self, home: &Path, name: &str, more: &[&str]) -> Outcome {
        let file = self.file(name);
        self.at(home, &[&["restore", file.to_str().unwrap()], more].concat())
    }
}

/// Nothing but the folder's expected names is left in it.
fn expect_names(folder: &Path, expected: &[&str]) {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, expected, "{}", folder.display());
}

#[test]
fn a_backup_holds_the_home_and_says_so() {
    let office = Office::with_license(|license| license.hours(100));
    use_hours(&office, 1, 5 * HOUR_MS);
    fs::write(office.home().config_file(), "[log]\nkeep = 3\n").unwrap();
    fs::create_dir(office.file("safe")).unwrap();
    let shown = office.back_up("safe/home.tar").expect_code(0).stdout;
    for part in [
        "/safe/home.tar (",
        " bytes, checked)\nServer key: ",
        "\nidentity.key ",
        "\nvendor.pub ",
        "\nconfig.toml ",
        &format!("\nlicenses/{ID}.v2c "),
        "\nledger.db ",
        &format!("\n{ID}  version 1 seen\n"),
        &format!("\n{ID}  5 hour(s) of version 1 used\n"),
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    assert_eq!(mode(&office.file("safe/home.tar")), 0o600);
    // It is a tar like others, and nothing else was left behind.
    let list = Command::new("tar").arg("tf").arg(office.file("safe/home.tar")).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.starts_with("manifest.json\nidentity.key\nvendor.pub\nconfig.toml\n"), "{list}");
    expect_names(&office.file("safe"), &["home.tar"]);
    let json =
        office.run("licensectl", &["backup", "--json", office.file("safe/b").to_str().unwrap()]);
    let json: Value = serde_json::from_str(&json.expect_code(0).stdout).unwrap();
    assert_eq!(json["marks"]["meters"][0]["used_ms"], 5 * HOUR_MS);
    assert_eq!(json["files"].as_array().unwrap().len(), 5);
}

#[test]
fn an_existing_file_is_replaced_only_on_demand() {
    let office = Office::with_license(|license| license);
    let file = office.write("b.tar", "somebody's");
    office.back_up("b.tar").expect_failure(73, "is there already; name another file, or replace");
    assert_eq!(fs::read(&file).unwrap(), b"somebody's");
    let file = file.to_str().unwrap();
    office.run("licensectl", &["backup", "--force", file]).expect_code(0);
    office.restore_at(office.home().path(), "b.tar", &["--dry-run"]).expect_code(0);
    symlink("/etc/passwd", office.file("link")).unwrap();
    let link = office.file("link");
    let link = ["backup", "--force", link.to_str().unwrap()];
    office.run("licensectl", &link).expect_failure(73, "is not a plain file");
    fs::create_dir(office.file("folder")).unwrap();
    office.back_up("folder").expect_failure(73, "is not a plain file");
    office.back_up("no/such/b.tar").expect_failure(73, "can't be written: ");
}

#[test]
fn a_home_without_a_key_has_nothing_to_back_up() {
    let office = Office::new();
    office.back_up("b.tar").expect_failure(78, "nothing to back up without the server's key");
    assert!(!office.file("b.tar").exists() && !office.file(".b.tar.part").exists());
}

#[test]
fn what_a_killed_backup_left_is_taken_over() {
    let office = Office::with_license(|license| license);
    office.write(".b.tar.part", "half");
    office.write(".b.tar.ledger", "half");
    office.back_up("b.tar").expect_code(0);
    assert!(!office.file(".b.tar.part").exists() && !office.file(".b.tar.ledger").exists());
}

/// Licenses change all the time while backups are made: each is of one moment, and whole.
#[test]
fn a_backup_of_a_running_server_is_of_one_moment() {
    let office = Office::with_license(|license| license.hours(100));
    let server = Server::start(&office);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for version in 2.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let path = office.file("under-load.v2c");
                office.license().hours(100).version(version).write(&path);
                office.run("v2c", &["--filename", path.to_str().unwrap()]).expect_code(0);
            }
        });
        for number in 0..8 {
            let name = format!("{number}.tar");
            office.back_up(&name).expect_code(0);
            let elsewhere = office.file(&format!("home-{number}"));
            office.restore_at(&elsewhere, &name, &[]).expect_code(0);
            let licenses = office.at(&elsewhere, &["licenses", "--json"]).expect_code(0).stdout;
            let licenses: Value = serde_json::from_str(&licenses).unwrap();
            assert_eq!(licenses["licenses"][0]["status"], "valid", "{licenses}");
        }
        stop.store(true, Ordering::SeqCst);
    });
    drop(server);
    assert_eq!(office.status(), "valid");
}

#[test]
fn a_damaged_ledger_is_not_backed_up() {
    let office = Office::with_license(|license| license);
    let ledger = office.home().ledger();
    let mut bytes = fs::read(&ledger).unwrap();
    bytes[100..4_096].fill(0);
    fs::write(&ledger, bytes).unwrap();
    office.back_up("b.tar").expect_failure(70, "is damaged");
    assert!(!office.file("b.tar").exists());
}

#[test]
fn a_full_disk_leaves_no_half_backup() {
    let office = Office::with_license(|license| license);
    let disk = office.file("disk");
    fs::create_dir(&disk).unwrap();
    // 32 KiB: enough for the key, too little for the ledger.
    let script =
        r#"mount -t tmpfs -o size=32k tmpfs "$0" && "$@"; code=$?; ls -A "$0"; exit $code"#;
    let run = |namespaces: &[&str], program: &Path, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(namespaces).args(["--", "sh", "-c", script]).arg(&disk);
        programs_environment(&mut command, &office);
        Outcome::of(command.arg(program).args(arguments))
    };
    let for_root = ["--mount"];
    let for_everyone = ["--user", "--map-root-user", "--mount"];
    let ways: [&[&str]; 2] = [&for_root, &for_everyone];
    let Some(way) = ways.iter().find(|way| run(way, Path::new("true"), &[]).code == 0) else {
        return ve_testbed::skip("this user can't mount a small disk here");
    };
    let (home, file) = (office.home(), disk.join("b.tar"));
    let arguments = ["--home", home.path().to_str().unwrap(), "backup", file.to_str().unwrap()];
    let outcome = run(way, &programs::path("licensectl"), &arguments).expect_code(73);
    assert!(
        outcome.stderr.contains("disk full") || outcome.stderr.contains("No space left"),
        "{outcome:?}"
    );
    assert_eq!(outcome.stdout, "", "something was left behind");
}

fn programs_environment(command: &mut Command, office: &Office) {
    command.env_remove("VE_HOME").env("VE_HANDED_IN", office.file("nothing-handed-in"));
}

/// Root backs up somebody's home to a place of root's, and brings it back from there.
#[test]
fn root_acts_as_the_homes_owner() {
    let office = Office::with_license(|license| license);
    if programs::command_as_nobody("licensectl").is_none() {
        return ve_testbed::skip("only root can act as another user, in a tree that all may enter");
    }
    let home = office.home();
    let given = Command::new("chown").args(["-R", "nobody:"]).arg(home.path()).status().unwrap();
    assert!(given.success());
    fs::create_dir(office.file("roots")).unwrap();
    fs::set_permissions(office.file("roots"), fs::Permissions::from_mode(0o700)).unwrap();
    office.back_up("roots/b.tar").expect_code(0);
    assert_eq!(fs::metadata(office.file("roots/b.tar")).unwrap().uid(), 0);
    let other = office.file("other");
    fs::create_dir(&other).unwrap();
    chown(&other, Some(NOBODY), Some(NOBODY)).unwrap();
    for _ in 0..2 {
        office.restore_at(&other, "roots/b.tar", &[]).expect_code(0);
    }
    for file in ["identity.key", "ledger.db", "licenses", "run/licensed.lock"] {
        assert_eq!(fs::metadata(other.join(file)).unwrap().uid(), NOBODY, "{file}");
    }
    // A failure is explained once, by the one that met it.
    office.write("roots/bad.tar", "hello");
    office.restore_at(&other, "roots/bad.tar", &[]).expect_failure(65, "no backup of a license");
}
