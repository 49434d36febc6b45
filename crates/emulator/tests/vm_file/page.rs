//! The page for users, `docs/vm-file.md`: its examples work and it names every key.

use std::fs;

use ve_emulator::vm_file::VmFile;

use crate::{SAMPLE, SMALLEST, complaint};

const PAGE: &str = include_str!("../../../../docs/vm-file.md");

/// The page's examples: each is a whole file.
fn examples() -> Vec<&'static str> {
    PAGE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("an end")).collect()
}

#[test]
fn every_example_is_a_file_that_is_taken() {
    assert!(examples().len() >= 4, "the examples are gone");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("solaris.secret"), "1111-2222-3333-4444\n").expect("written");
    for example in examples() {
        let parsed = VmFile::parse(example, &folder.path().join("VM.toml"), &|_| None);
        assert!(parsed.is_ok(), "{parsed:?} in {example}");
    }
}

#[test]
fn the_first_example_is_the_sample_of_these_tests() {
    let with_disk =
        SAMPLE.replace("-nographic\"", "-nographic\", \"-drive\", \"file=disk.img,format=raw\"");
    let lines = |text: &str| {
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(examples()[0]), lines(&with_disk));
}

/// The keys known where the line `after` stands, as the complaint about an unknown one lists them.
fn keys(file: &str, after: &str) -> Vec<String> {
    let text = file.replace(after, &format!("{after}\nunknown = 1"));
    let message = complaint(&text);
    let (_, list) = message.split_once("the keys known here are ").expect("a list");
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_key_has_a_row() {
    let mut all = Vec::new();
    for (file, after) in [
        (SAMPLE, "memory_mb = 64"),
        (SAMPLE, "start_wait = \"0s\""),
        (SAMPLE, "lost = \"logger license lost\""),
        (SAMPLE, "keep = 5"),
        (SAMPLE, "kind = \"qemu\""),
        (SMALLEST, "kind = \"command\""),
    ] {
        all.extend(keys(file, after));
    }
    assert!(all.len() > 35, "{all:?}");
    for key in all.iter().filter(|key| !["license", "log", "engine"].contains(&key.as_str())) {
        assert!(PAGE.contains(&format!("\n| `{key}` |")), "{key} has no row");
    }
}
