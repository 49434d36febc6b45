//! Emulators bring back what a server was made to forget.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use ve_testbed::wait;

use crate::{site::Site, vm::Vm};

/// The files that a folder holds, but for sockets, with their contents.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push((entry.path(), fs::read(entry.path()).expect("a file")));
        }
    }
    found
}

/// The only file of a grant in the folder, without one that is being written.
fn grant_in(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let whole = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let files: Vec<PathBuf> = whole.map(|entry| entry.path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// What was used of the only license, in seconds.
fn used_seconds(site: &Site) -> u64 {
    let license = &site.server.list("licenses")[0];
    license["used_seconds"].as_u64().unwrap_or_else(|| panic!("no hours in {license}"))
}

#[test]
fn hours_come_back_after_an_older_ledger_was_put_in_place() {
    let mut site = Site::new(|license| license.hours(100));
    site.server.kill();
    // A copy of the ledger and of everything that belongs to it, as somebody makes it who wants his
    // hours back later. The log is no part of it.
    let old = files(site.server.home());
    let old: Vec<_> = old
        .into_iter()
        .filter(|(path, _)| path.parent() == Some(site.server.home()))
        .filter(|(path, _)| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("ledger.db") || name.starts_with("marks.")
        })
        .collect();
    assert!(!old.is_empty(), "there is no ledger");
    site.server.restart();
    let mut emulator = site.host.run(&Vm::polite("guest"));
    emulator.shows("ready");
    let used = wait::until("two seconds on the meter, and a check that tells", || {
        Some(used_seconds(&site)).filter(|used| *used >= 2)
    });
    // The grant of a check is on the disk, and nobody else may read it.
    let grants = site.host.file("state/grants");
    let file = grant_in(&grants);
    let first = fs::read(&file).expect("a grant");
    let later = || (fs::read(&file).expect("a grant") != first).then_some(());
    wait::until("a later grant", later);
    for path in [&file, &grants] {
        let mode = fs::metadata(path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }

    site.server.kill();
    for (path, _) in files(site.server.home()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("ledger.db") || name.starts_with("marks.") {
            fs::remove_file(path).expect("removed");
        }
    }
    for (path, content) in old {
        fs::write(path, content).expect("written");
    }
    site.server.restart();
    let log = wait::for_text(&site.server.log_file(), "An older ledger was put in place");
    assert!(log.contains("01.00000001.002.044"), "{log}");
    // What was used before the last check is used again.
    let now = used_seconds(&site);
    assert!(now >= used, "{now} of {used}");
    emulator.terminate();
    emulator.ends_with(0);
}
