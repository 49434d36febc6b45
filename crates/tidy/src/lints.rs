//! The compiler's own rules hold everywhere, and whoever lifts one says why.

use toml::{Table, Value};

use crate::{
    manifest::manifests,
    rust::Code,
    tree::{File, Tree, Violation},
};

/// Every crate takes the workspace's lints, which forbid unsafe code.
pub fn inherited(tree: &Tree) -> Vec<Violation> {
    let manifests = match manifests(tree) {
        Ok(manifests) => manifests,
        Err(violations) => return violations,
    };
    let deviates = |table: &Table| {
        let inherits = table.get("lints").and_then(|lints| lints.get("workspace"));
        inherits.and_then(Value::as_bool) != Some(true)
    };
    let why = "must say [lints] workspace = true: the same rules in every crate";
    let deviating = manifests.iter().filter(|manifest| deviates(&manifest.table));
    let mut violations: Vec<_> =
        deviating.map(|manifest| manifest.file.violation(1, why)).collect();
    if let Some(root) = tree.file("Cargo.toml").filter(|root| !forbids_unsafe(root)) {
        let why = "[workspace.lints.rust] must say unsafe_code = \"forbid\"";
        violations.push(root.violation(root.line_with("[workspace.lints.rust]"), why));
    }
    violations
}

fn forbids_unsafe(root: &File) -> bool {
    let table = root.text.parse::<Table>().unwrap_or_default();
    let steps = ["workspace", "lints", "rust", "unsafe_code"];
    let mut value = Some(&Value::Table(table)).cloned();
    for step in steps {
        value = value.and_then(|value| value.get(step).cloned());
    }
    value.as_ref().and_then(Value::as_str) == Some("forbid")
}

/// Every `allow`, `expect` and `ignore` says why.
pub fn reasons(tree: &Tree) -> Vec<Violation> {
    tree.rust().flat_map(attributes_without_reason).collect()
}

fn attributes_without_reason(file: &File) -> Vec<Violation> {
    let code = Code::of(file);
    let mut violations = Vec::new();
    for (at, opening) in code.text().match_indices("#[").chain(code.text().match_indices("#![")) {
        let open = at + opening.len();
        let attribute = &code.text()[open..code.closing(open - 1)];
        if let Some(word) = word_without_reason(attribute.trim()) {
            let why =
                format!("this {word} needs its reason, so that it can go when the reason does");
            violations.push(file.violation(code.line(at), why));
        }
    }
    violations
}

fn word_without_reason(attribute: &str) -> Option<&'static str> {
    let concerns = |word: &str| {
        let rest = attribute.strip_prefix(word);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            || (attribute.starts_with("cfg_attr(")
                && !crate::rust::words(attribute, word).is_empty())
    };
    let has = |part: &str| !crate::rust::words(attribute, part).is_empty();
    let ignored_with_reason =
        attribute.split("ignore").nth(1).is_some_and(|rest| rest.trim_start().starts_with('='));
    match () {
        () if concerns("allow") && !has("reason") => Some("allow"),
        () if concerns("expect") && !has("reason") => Some("expect"),
        () if concerns("ignore") && !ignored_with_reason => Some("ignore"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catches_a_crate_with_its_own_rules() {
        let with = |text| inherited(&Tree::planted(&[("crates/a/Cargo.toml", text)])).len();
        assert_eq!(with("[package]\n"), 1);
        assert_eq!(with("[lints]\nworkspace = false\n"), 1);
        assert_eq!(with("[lints]\nworkspace = true\n"), 0);
    }

    #[test]
    fn catches_unsafe_code_that_is_not_forbidden() {
        let with = |text| inherited(&Tree::planted(&[("Cargo.toml", text)])).len();
        assert_eq!(with("[workspace.lints.rust]\nunsafe_code = \"deny\"\n"), 1);
        assert_eq!(with("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"), 0);
    }

    #[test]
    fn catches_what_is_lifted_without_a_reason() {
        for (attribute, violations) in [
            ("#[allow(dead_code)]", 1),
            ("#![allow(dead_code)]", 1),
            ("#[expect(dead_code)]", 1),
            ("#[cfg_attr(test, allow(dead_code))]", 1),
            ("#[ignore]", 1),
            ("#[cfg_attr(not(unix), ignore)]", 1),
            ("#[allow(dead_code, reason = \"used by\\n the macro\")]", 0),
            ("#[allow(\n    dead_code,\n    reason = \"a\"\n)]", 0),
            ("#[ignore = \"needs a TPM\"]", 0),
            ("#[cfg_attr(not(unix), ignore = \"a\")]", 0),
            ("// #[allow(dead_code)]", 0),
            ("#[allowed_by(me)]", 0),
        ] {
            let found = reasons(&Tree::planted(&[("a.rs", attribute)]));
            assert_eq!(found.len(), violations, "{attribute}: {found:?}");
        }
    }
}
