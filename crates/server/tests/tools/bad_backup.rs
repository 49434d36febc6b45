//! Files that are no backups, or not what they were, or made by somebody with other ideas: each is
//! refused, and the home stays as it is.

use std::{fs, io::Write};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::office::Office;

/// A tar of these entries: type, name, content.
fn tar_of(entries: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o777);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The files of a backup, the list first.
fn entries_of(backup: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(backup);
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_string();
            let mut content = Vec::new();
            std::io::copy(&mut entry, &mut content).unwrap();
            (name, content)
        })
        .collect()
}

fn plain(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let all: Vec<_> = entries
        .iter()
        .map(|(name, content)| (EntryType::Regular, name.as_str(), content.as_slice()))
        .collect();
    tar_of(&all)
}

/// The backup with one file more, or other content, and a list that says so.
fn with_file(backup: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    let mut entries = entries_of(backup);
    let mut list: Value = serde_json::from_slice(&entries[0].1).unwrap();
    let sha256 = HEXLOWER.encode(digest(&SHA256, content).as_ref());
    let line = json!({"name": name, "bytes": content.len(), "sha256": sha256});
    let files = list["files"].as_array_mut().unwrap();
    if let Some(index) = files.iter().position(|file| file["name"] == name) {
        files[index] = line;
        entries[index + 1].1 = content.to_vec();
    } else {
        files.push(line);
        entries.push((name.to_string(), content.to_vec()));
    }
    entries[0].1 = serde_json::to_vec(&list).unwrap();
    plain(&entries)
}

fn with_list(backup: &[u8], edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut entries = entries_of(backup);
    let mut list: Value = serde_json::from_slice(&entries[0].1).unwrap();
    edit(&mut list);
    entries[0].1 = serde_json::to_vec(&list).unwrap();
    plain(&entries)
}

/// A name, a file's bytes, and a part of the message.
type Case = (&'static str, Vec<u8>, &'static str);

/// What time and carelessness do to files.
fn broken(good: &[u8], other: &[u8]) -> Vec<Case> {
    let entries = entries_of(good);
    let list = entries[0].1.as_slice();
    let mut flipped = good.to_vec();
    let near_the_end = flipped.len() - 5_000;
    flipped[near_the_end] ^= 1;
    let other_key = entries_of(other)[1].1.clone();
    let only_list = [(EntryType::Regular, "manifest.json", list)];
    let later = with_list(good, |list| list["format"] = json!(2));
    let ledger = entries.iter().find(|(name, _)| name == "ledger.db").unwrap().1.clone();
    vec![
        ("nothing", Vec::new(), "manifest.json is missing"),
        ("text", b"hello".to_vec(), "it can't be read"),
        ("zeros", vec![0; 100_000], "manifest.json is missing"),
        (
            "another tar",
            tar_of(&[(EntryType::Regular, "x", b"y")]),
            "it holds \"x\" where manifest.json",
        ),
        ("cut off", good[..good.len() / 2].to_vec(), "is not what the list says"),
        ("one bit", flipped, "is not what the list says"),
        ("something behind it", [good, b"more"].concat(), "something follows its end"),
        ("a list only", tar_of(&only_list), "identity.key is missing"),
        ("a later format", later, "it has format 2"),
        (
            "another server's key",
            with_file(good, "identity.key", &other_key),
            "its key is not that",
        ),
        ("no key", with_file(good, "identity.key", b"x"), "is not an Ed25519 private key"),
        ("no ledger", with_file(good, "ledger.db", b"hello"), "is no ledger"),
        ("no registry", with_file(good, "instances.db", b"hello"), "is no registry of hosts"),
        (
            "a ledger as registry",
            with_file(good, "instances.db", &ledger),
            "is no registry of hosts",
        ),
    ]
}

/// What somebody with other ideas makes.
fn hostile(good: &[u8]) -> Vec<Case> {
    let entries = entries_of(good);
    let list = (EntryType::Regular, "manifest.json", entries[0].1.as_slice());
    let key_as = |kind| tar_of(&[list, (kind, "identity.key", b"")]);
    let mut swapped = entries.clone();
    swapped.swap(1, 2);
    let mut more = entries.clone();
    more.push(("x".into(), vec![1]));
    let long_name = [(EntryType::GNULongName, "././@LongLink", &b"identity.key"[..])];
    let huge = |list: &mut Value| list["files"][0]["bytes"] = json!(1_u64 << 60);
    let twice = |list: &mut Value| {
        let first = list["files"][0].clone();
        list["files"].as_array_mut().unwrap().push(first);
    };
    let impossible = |list: &mut Value| list["marks"]["position"] = json!(u64::MAX);
    let no_home = "which belongs to no home";
    vec![
        ("another order", plain(&swapped), "where identity.key should be"),
        ("a link", key_as(EntryType::Symlink), "its identity.key is no plain file"),
        ("a hard link", key_as(EntryType::Link), "its identity.key is no plain file"),
        ("a device", key_as(EntryType::Block), "its identity.key is no plain file"),
        ("a long name", tar_of(&long_name), "where manifest.json should be"),
        ("more than its list", plain(&more), "more follows"),
        ("a path", with_file(good, "/etc/cron.d/x", b"y"), no_home),
        ("a path upwards", with_file(good, "licenses/../../x", b"y"), no_home),
        ("a strange name", with_file(good, "run/licensed.lock", b"y"), no_home),
        ("a huge file", with_list(good, huge), "its identity.key is too large"),
        ("a file named twice", with_list(good, twice), "twice"),
        ("an unknown field", with_list(good, |list| list["x"] = json!(2)), "makes no sense"),
        ("impossible marks", with_list(good, impossible), "its marks are no marks"),
    ]
}

#[test]
fn what_is_no_sound_backup_is_refused_and_nothing_changes() {
    let office = Office::with_license(|license| license);
    office.back_up("good.tar").expect_code(0);
    let other = Office::with_license(|license| license);
    other.back_up("good.tar").expect_code(0);
    let read = |office: &Office| fs::read(office.file("good.tar")).unwrap();
    let (home, before) = (office.home(), office.installed());
    let names = || fs::read_dir(home.path()).unwrap().count();
    let count = names();
    let good = read(&office);
    let cases = [broken(&good, &read(&other)), hostile(&good)].concat();
    for (name, bytes, part) in cases {
        println!("{name}");
        office.write("bad.tar", &bytes);
        for more in [&["--dry-run"][..], &[]] {
            office.restore_at(home.path(), "bad.tar", more).expect_failure(65, part);
        }
        assert_eq!(office.installed(), before, "{name}");
        assert_eq!(names(), count, "{name}");
        assert_eq!(office.status(), "valid", "{name}");
    }
    office.restore_at(home.path(), "missing.tar", &[]).expect_failure(65, "can't be read: ");
    let zero = office.at(home.path(), &["restore", "/dev/zero"]);
    zero.expect_failure(65, "manifest.json is missing");
}

/// A ledger in which a page is damaged, in a backup whose list says that it is so.
#[test]
fn a_ledger_that_is_not_sound_is_not_restored() {
    let office = Office::with_license(|license| license);
    office.back_up("good.tar").expect_code(0);
    let good = fs::read(office.file("good.tar")).unwrap();
    let ledger = entries_of(&good).into_iter().find(|(name, _)| name == "ledger.db").unwrap();
    let mut bytes = ledger.1;
    bytes[100..4_096].fill(0);
    let mut file = fs::File::create(office.file("bad.tar")).unwrap();
    file.write_all(&with_file(&good, "ledger.db", &bytes)).unwrap();
    let elsewhere = office.file("elsewhere");
    office.restore_at(&elsewhere, "bad.tar", &[]).expect_failure(65, "its ledger: ");
    assert!(!elsewhere.join("identity.key").exists());
}
