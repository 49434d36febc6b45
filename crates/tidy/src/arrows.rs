//! Who may use whom: the arrows between crates look down, and server and client never meet.

use crate::{
    manifest::manifests,
    tree::{Tree, Violation},
};

/// For every crate, the crates of this house that it may use outside its tests. A new crate gets a
/// row here and a place in ARCHITECTURE.md. `testbed` and `tidy` are in nobody's row: they exist
/// for tests, where any arrow is fine.
const ROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("documents", &["core"]),
    ("wire", &["core"]),
    ("store", &["core"]),
    ("host", &["core"]),
    ("manual", &[]),
    ("server", &["core", "documents", "wire", "store", "host", "manual"]),
    ("client", &["core", "documents", "wire"]),
    ("emulator", &["client", "core", "documents", "host", "manual"]),
    ("issuer", &["core", "documents", "manual"]),
    ("sim", &["core", "documents", "wire", "store"]),
    ("testbed", &["core", "documents"]),
    ("tidy", &[]),
];

/// Every arrow between crates is in the table, and every crate is called after its folder.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let manifests = match manifests(tree) {
        Ok(manifests) => manifests,
        Err(violations) => return violations,
    };
    let mut violations = Vec::new();
    for manifest in &manifests {
        let folder = manifest.folder;
        let name = manifest.table.get("package").and_then(|package| package.get("name"));
        if name.and_then(|name| name.as_str()) != Some(&format!("ve-{folder}")) {
            let why = format!("the crate in crates/{folder} is called ve-{folder}");
            violations.push(manifest.file.violation(manifest.file.line_with("name ="), why));
        }
        let Some((_, allowed)) = ROWS.iter().find(|(name, _)| *name == folder) else {
            let why = "a new crate: give it a row in crates/tidy/src/arrows.rs";
            violations.push(manifest.file.violation(1, why));
            continue;
        };
        for dependency in manifest.dependencies() {
            let Some(used) = dependency.strip_prefix("ve-") else { continue };
            if !allowed.contains(&used) {
                let why = format!("no arrow leads from {folder} to {used}; see ARCHITECTURE.md");
                violations.push(manifest.file.violation(manifest.file.line_with(&dependency), why));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(folder: &str, text: &str) -> Vec<String> {
        let path = format!("crates/{folder}/Cargo.toml");
        let text = format!("[package]\nname = \"ve-{folder}\"\n{text}");
        let violations = check(&Tree::planted(&[(&path, &text)]));
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn catches_arrows_that_look_up_or_sideways() {
        for (folder, dependency) in
            [("server", "ve-client"), ("client", "ve-server"), ("core", "ve-store")]
        {
            let found = found(folder, &format!("[dependencies]\n{dependency}.workspace = true\n"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("crates/{folder}/Cargo.toml:4: ")), "{found:?}");
        }
    }

    #[test]
    fn catches_the_testbed_in_a_product() {
        assert_eq!(found("server", "[dependencies]\nve-testbed.workspace = true\n").len(), 1);
        assert!(found("server", "[dev-dependencies]\nve-testbed.workspace = true\n").is_empty());
    }

    #[test]
    fn catches_a_crate_without_a_row_or_with_another_name() {
        assert!(found("attic", "")[0].contains("a new crate"));
        let tree = Tree::planted(&[("crates/core/Cargo.toml", "[package]\nname = \"core\"\n")]);
        assert_eq!(check(&tree)[0].line, 2);
    }

    #[test]
    fn no_two_crates_use_each_other() {
        for (name, allowed) in ROWS {
            for used in *allowed {
                let (_, uses) = ROWS.iter().find(|(row, _)| row == used).expect("a row each");
                assert!(!uses.contains(name), "{name} and {used} use each other");
            }
        }
    }
}
