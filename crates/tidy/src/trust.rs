//! Only what checks signatures may say that something was checked.

use crate::{
    rust::Code,
    tree::{File, Tree, Violation},
};

/// The function of `core` that makes a verified value.
const VOUCH: &str = "vouch";

/// Where signatures are checked: of documents, and of what a server signs.
const CHECKERS: [&str; 2] = ["crates/documents/", "crates/wire/src/witness.rs"];

/// `Verified::vouch` is named in [`CHECKERS`] and in tests, nowhere else.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let checks = |path: &str| CHECKERS.iter().any(|place| path.starts_with(place));
    let elsewhere = |file: &&File| !checks(&file.path) && !file.is_test();
    tree.rust().filter(elsewhere).flat_map(calls).collect()
}

fn calls(file: &File) -> Vec<Violation> {
    let code = Code::of(file);
    let is_definition = |at: usize| code.text()[..at].trim_end().ends_with("fn");
    let calls = code.words(VOUCH).into_iter().filter(|&at| !code.in_test(at) && !is_definition(at));
    let why = "only crates/documents and wire/src/witness.rs check signatures, so only they vouch";
    calls.map(|at| file.violation(code.line(at), why)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catches_a_value_that_nobody_checked() {
        let call = "fn a() {\n    let b = Verified::vouch(b);\n    c.map(Verified::vouch)\n}\n";
        let definition = "/// [`Verified::vouch`]\npub const fn vouch(value: T) -> Self {}\n";
        let test = "#[cfg(test)]\nmod tests {\n    fn a() { Verified::vouch(b) }\n}\n";
        for (path, text, lines) in [
            ("crates/server/src/a.rs", call, &[2, 3][..]),
            ("crates/documents/src/a.rs", call, &[]),
            ("crates/server/tests/a.rs", call, &[]),
            ("crates/core/src/license.rs", definition, &[]),
            ("crates/core/src/license.rs", test, &[]),
        ] {
            let found = check(&Tree::planted(&[(path, text)]));
            let found: Vec<_> = found.iter().map(|violation| violation.line).collect();
            assert_eq!(found, lines, "{path}");
        }
    }
}
