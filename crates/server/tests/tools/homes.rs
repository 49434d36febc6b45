//! Whose home it is, who may write it, and who has it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    process,
};

use ve_testbed::programs::{self, NOBODY};

use crate::office::{Office, Outcome};

#[test]
fn a_home_in_use_names_the_process() {
    let office = Office::with_license(|license| license);
    let next = office.license().version(2).sign();
    let lock = office.home().lock().unwrap();
    let part = format!("is in use by process {}", process::id());
    office.install(&next).expect_failure(75, &part);
    office.run("licensed", &["--listen", "127.0.0.1:0"]).expect_failure(75, &part);
    office.run("licensectl", &["licenses", "remove", crate::office::ID]).expect_failure(75, &part);
    // Looking is always allowed.
    assert_eq!(office.status(), "valid");
    office.c2v();
    drop(lock);
    office.install(&next).expect_code(0);
}

/// `None`, and a word about it, where the test's user can't play another one.
fn as_nobody(office: &Office, tool: &str, arguments: &[&str]) -> Option<Outcome> {
    let Some(mut command) = programs::command_as_nobody(tool) else {
        ve_testbed::skip("only root can act as another user, in a tree that all may enter");
        return None;
    };
    office.prepare(&mut command, arguments);
    Some(Outcome::of(&mut command))
}

#[test]
fn an_unwritable_home_names_path_owner_and_user() {
    let office = Office::new();
    fs::set_permissions(office.home().path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = office.file("x.c2v");
    let arguments = ["--filename", path.to_str().unwrap()];
    let Some(outcome) = as_nobody(&office, "c2v", &arguments) else { return };
    let home = office.home().path().display().to_string();
    let part = format!("{home} can't be written by user nobody (it belongs to root): ");
    outcome.expect_failure(73, &part);
    assert!(!office.home().identity_key().exists());
}

#[test]
fn a_home_of_others_can_not_be_looked_into() {
    let office = Office::with_license(|license| license);
    let Some(outcome) = as_nobody(&office, "license_viewer", &[]) else { return };
    outcome.expect_failure(77, "can't be read: Permission denied");
}

#[test]
fn root_acts_as_the_homes_owner_and_leaves_nothing_of_its_own() {
    let office = Office::new();
    if as_nobody(&office, "license_viewer", &["--version"]).is_none() {
        return;
    }
    let home = office.home();
    chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    // A folder that only root can enter: files to read and to write are often in one.
    let roots = office.file("roots");
    fs::create_dir(&roots).unwrap();
    fs::set_permissions(&roots, fs::Permissions::from_mode(0o700)).unwrap();
    let (c2v, v2c) = (roots.join("server.c2v"), roots.join("server.v2c"));
    let inside = home.path().join("inside.c2v");
    for path in [&c2v, &inside] {
        office.run("c2v", &["--filename", path.to_str().unwrap()]).expect_code(0);
    }
    office.vendor.license_for(&c2v).write(&v2c);
    office.run("v2c", &["--filename", v2c.to_str().unwrap()]).expect_code(0);
    fs::write(&v2c, "hello\n").unwrap();
    office.run("v2c", &["--filename", v2c.to_str().unwrap()]).expect_failure(65, "not a signed");
    assert_eq!(office.status(), "valid");
    let mut folders = vec![home.path().to_path_buf()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_ours = path == home.vendor_keys();
            let owner = fs::metadata(&path).unwrap().uid();
            assert!(is_ours || owner == NOBODY, "{} belongs to {owner}", path.display());
            files += 1;
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(files > 5);
    assert_eq!(fs::metadata(&c2v).unwrap().uid(), 0);
    // A link that the home's owner laid leads root nowhere.
    let target = roots.join("target");
    fs::write(&target, "root's").unwrap();
    std::os::unix::fs::symlink(&target, home.path().join("link.c2v")).unwrap();
    let link = home.path().join("link.c2v");
    office.run("c2v", &["--filename", link.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "root's");
}
