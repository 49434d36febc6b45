//! The heart stays pure: `core` has no clock, file, socket, thread or randomness.
//!
//! `#![no_std]` makes most of this a compile error. What it can't see is held here and in
//! `crates/core/clippy.toml`: cargo unites the features of a dependency over the workspace, so a
//! dependency of `core` may well have its clock switched on by another crate.

use crate::{
    manifest::manifests,
    rust::Code,
    tree::{File, Tree, Violation},
};

/// What `core` may use from outside: plain data, and nothing that acts.
const ALLOWED: &[&str] = &["jiff", "serde", "thiserror"];

/// `core` is `no_std`, names `std` only in tests, and uses only dependencies that are known to be
/// plain data.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = dependencies(tree);
    let sources = tree.rust().filter(|file| file.path.starts_with("crates/core/src/"));
    for file in sources {
        if file.path == "crates/core/src/lib.rs" && !file.text.contains("#![no_std]") {
            violations.push(file.violation(1, "core is #![no_std]: its purity is compiled"));
        }
        violations.extend(uses_of_std(file));
    }
    violations
}

fn uses_of_std(file: &File) -> Vec<Violation> {
    let code = Code::of(file);
    let is_use = |at: usize| {
        let before = code.text()[..at].trim_end();
        let linked = before.ends_with("extern crate")
            && !before.trim_end_matches("extern crate").trim_end().ends_with("#[cfg(test)]");
        linked || code.text()[at..].starts_with("std::")
    };
    let uses = code.words("std").into_iter().filter(|&at| !code.in_test(at) && is_use(at));
    let why = "core takes time, randomness and data as arguments and names std only in tests";
    uses.map(|at| file.violation(code.line(at), why)).collect()
}

fn dependencies(tree: &Tree) -> Vec<Violation> {
    let manifests = match manifests(tree) {
        Ok(manifests) => manifests,
        Err(violations) => return violations,
    };
    let core = manifests.iter().filter(|manifest| manifest.folder == "core");
    let used = core.flat_map(|core| core.dependencies().into_iter().map(|name| (core.file, name)));
    let forbidden = used.filter(|(_, name)| !ALLOWED.contains(&name.as_str()));
    let violation = |(file, name): (&File, String)| {
        let why = format!(
            "core may not use {name}: only plain data ({}); crates/tidy/src/purity.rs has the list",
            ALLOWED.join(", ")
        );
        file.violation(file.line_with(&name), why)
    };
    forbidden.map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::planted(&[(path, text)])).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn catches_std_outside_tests() {
        let source = "use std::time::Instant;\n// std::fs\n#[cfg(test)]\nmod tests {\n    use std::vec;\n}\n";
        assert_eq!(lines("crates/core/src/a.rs", source), [1]);
        assert!(lines("crates/store/src/a.rs", source).is_empty());
    }

    #[test]
    fn catches_std_linked_into_the_product() {
        let root = "#![no_std]\n#[cfg(test)]\nextern crate std;\n";
        assert!(lines("crates/core/src/lib.rs", root).is_empty());
        assert_eq!(lines("crates/core/src/lib.rs", "#![no_std]\nextern crate std;\n"), [2]);
        assert_eq!(lines("crates/core/src/lib.rs", "//! Words.\n"), [1]);
    }

    #[test]
    fn catches_a_dependency_that_acts() {
        let text = "[package]\n[dependencies]\nserde.workspace = true\ntokio.workspace = true\n";
        assert_eq!(lines("crates/core/Cargo.toml", text), [4]);
    }
}
