//! The house rules, held against the whole repository. What a rule says and why stands beside it in
//! `src/`; in prose, in STYLE.md.

use std::path::Path;

use ve_tidy::{
    arrows, doors, lints, pages, purity, shell, size,
    tree::{Tree, Violation},
    trust, words,
};

/// Fails with one line for each violation of a rule.
fn hold(rule: fn(&Tree) -> Vec<Violation>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tree = Tree::read(&root).expect("the repository can be read");
    assert!(tree.file("Cargo.toml").is_some(), "{} is not the repository", root.display());
    let violations: Vec<String> = rule(&tree).iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn arrows_between_crates_look_down() {
    hold(arrows::check);
}

#[test]
fn core_is_pure() {
    hold(purity::check);
}

#[test]
fn only_documents_vouches() {
    hold(trust::check);
}

#[test]
fn doors_are_short_and_the_only_exit() {
    hold(doors::check);
}

#[test]
fn files_and_functions_are_small() {
    hold(size::check);
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    hold(lints::inherited);
}

#[test]
fn every_exception_has_its_reason() {
    hold(lints::reasons);
}

#[test]
fn license_is_spelled_with_an_s() {
    hold(words::spelling);
}

#[test]
fn nothing_is_left_unfinished() {
    hold(words::unfinished);
}

#[test]
fn no_path_of_one_machine() {
    hold(words::machine_paths);
}

#[test]
fn no_white_space_that_nobody_sees() {
    hold(words::white_space);
}

#[test]
fn shell_scripts_stop_at_errors() {
    hold(shell::check);
}

#[test]
fn every_page_can_be_found() {
    hold(pages::reachable);
}

#[test]
fn every_link_leads_somewhere() {
    hold(pages::links_hold);
}

#[test]
fn the_map_shows_every_room() {
    hold(pages::architecture_names_crates);
}
