//! The `Cargo.toml` of a crate, as far as rules ask about it.

use toml::{Table, Value};

use crate::tree::{File, Tree, Violation};

/// A crate of this repository.
#[derive(Debug, Clone)]
pub struct Manifest<'a> {
    /// The file.
    pub file: &'a File,
    /// The crate's folder below `crates/`.
    pub folder: &'a str,
    /// What it says.
    pub table: Table,
}

/// The kinds of dependencies that end up in a product.
const PRODUCT: &[&str] = &["dependencies", "build-dependencies"];

impl Manifest<'_> {
    /// The packages that the crate uses outside its tests, on any platform.
    pub fn dependencies(&self) -> Vec<String> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        let tables = std::iter::once(&self.table).chain(targets);
        let sections = tables.flat_map(|table| PRODUCT.iter().filter_map(|kind| table.get(*kind)));
        sections.filter_map(Value::as_table).flatten().map(package_name).collect()
    }
}

/// A dependency may go by another name than its package.
fn package_name((name, value): (&String, &Value)) -> String {
    value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned()
}

/// The crates below `crates/`. A manifest that isn't TOML is a violation.
///
/// # Errors
///
/// The violations, when any manifest can't be understood.
pub fn manifests(tree: &Tree) -> Result<Vec<Manifest<'_>>, Vec<Violation>> {
    let (mut manifests, mut violations) = (Vec::new(), Vec::new());
    for file in &tree.files {
        let folder = file.path.strip_prefix("crates/").and_then(|p| p.strip_suffix("/Cargo.toml"));
        let Some(folder) = folder else { continue };
        match file.text.parse::<Table>() {
            Ok(table) => manifests.push(Manifest { file, folder, table }),
            Err(error) => violations.push(file.violation(1, error.message())),
        }
    }
    if violations.is_empty() { Ok(manifests) } else { Err(violations) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_dependencies_in_every_section_that_ships() {
        let text = r#"
            [dependencies]
            ve-core.workspace = true
            other = { package = "ve-wire", version = "1" }
            [dev-dependencies]
            ve-testbed.workspace = true
            [build-dependencies]
            prost-build.workspace = true
            [target.'cfg(unix)'.dependencies]
            rustix.workspace = true
        "#;
        let tree = Tree::planted(&[("crates/a/Cargo.toml", text)]);
        let manifests = manifests(&tree).expect("a manifest");
        assert_eq!(manifests[0].folder, "a");
        let dependencies = manifests[0].dependencies();
        assert_eq!(dependencies, ["ve-wire", "ve-core", "prost-build", "rustix"]);
    }

    #[test]
    fn a_broken_manifest_is_a_violation() {
        let tree = Tree::planted(&[("crates/a/Cargo.toml", "[dependencies")]);
        assert_eq!(manifests(&tree).expect_err("no manifest").len(), 1);
    }
}
