//! The page for operators, `docs/operator.md`: its examples work and it explains what they see.

use std::{collections::BTreeSet, fs};

use ve_core::reason::ReasonCode;
use ve_emulator::{exit::ExitStatus, vm_file::VmFile};

const PAGE: &str = include_str!("../../../../docs/operator.md");

/// What the tables have between back quotes in their first column.
fn rows() -> impl Iterator<Item = &'static str> {
    let cells = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    cells.flat_map(|cell| cell.trim_end_matches(['`', ' ', '|']).split("`, `"))
}

/// Whether a line of the log has a row. In rows `…` stands for any text.
pub(crate) fn explains(line: &str) -> bool {
    rows().any(|row| {
        let mut rest = line;
        row.split('…').enumerate().all(|(number, part)| match rest.find(part) {
            Some(at) if number > 0 || at == 0 => {
                rest = &rest[at + part.len()..];
                true
            }
            _ => false,
        })
    })
}

#[test]
fn lines_are_told_apart() {
    assert!(explains("WARN The hook lost failed: exit status: 9"));
    assert!(explains("ERROR License protocol version is invalid."));
    assert!(!explains("WARN License protocol version is invalid."));
    assert!(!explains("INFO Something else."));
}

#[test]
fn every_example_is_a_file_that_is_taken() {
    let examples = PAGE.split("```toml\n").skip(1).map(|rest| rest.split("```").next());
    let examples: Vec<&str> = examples.map(|example| example.expect("an end")).collect();
    assert!(examples.len() >= 4, "the examples are gone");
    let folder = tempfile::tempdir().expect("a folder");
    for example in examples {
        let parsed = VmFile::parse(example, &folder.path().join("VM.toml"), &|_| None);
        assert!(parsed.is_ok(), "{parsed:?} in {example}");
    }
}

#[test]
fn every_reason_code_and_every_exit_code_has_a_row() {
    let rows: BTreeSet<&str> = rows().collect();
    for code in ReasonCode::ALL.iter().map(|code| code.as_str()) {
        assert!(rows.contains(code), "{code}");
    }
    for status in [
        ExitStatus::FINE,
        ExitStatus::USAGE,
        ExitStatus::NO_SERVER,
        ExitStatus::INTERNAL,
        ExitStatus::CANNOT_WRITE,
        ExitStatus::TEMPORARY,
        ExitStatus::REFUSED,
        ExitStatus::CONFIGURATION,
    ] {
        assert!(PAGE.contains(&format!("\n| {} | ", status.code())), "{}", status.code());
    }
}

#[test]
fn every_event_of_the_style_json_is_named() {
    let events = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/log/event.rs"));
    let events = events.expect("the events");
    let names = events.lines().filter_map(|line| line.split_once(" => \"")?.1.split('"').next());
    // Not the levels and roles, which stand in the same form.
    let names: Vec<&str> = names.filter(|name| name.contains('-')).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(PAGE.contains(&format!("`{name}`")), "{name} is not named");
    }
}
