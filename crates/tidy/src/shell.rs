//! Shell scripts stop at the first error and at the first unset variable.

use crate::tree::{File, Tree, Violation};

/// Every shell script says `set -eu`.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let careless = tree.files.iter().filter(|file| is_shell(file) && !is_careful(file));
    let why = "a shell script says set -eu before it does anything";
    careless.map(|file| file.violation(1, why)).collect()
}

fn is_shell(file: &File) -> bool {
    let first = file.text.lines().next().unwrap_or_default();
    let program = first.strip_prefix("#!").and_then(|rest| rest.split(['/', ' ']).next_back());
    file.extension() == "sh"
        || program.is_some_and(|program| ["sh", "bash", "dash"].contains(&program))
}

fn is_careful(file: &File) -> bool {
    file.text.lines().any(|line| line.starts_with("set -eu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catches_a_script_that_runs_on_after_an_error() {
        for (path, text, violations) in [
            ("scripts/a.sh", "#!/bin/sh\nrm a\n", 1),
            ("scripts/a", "#!/usr/bin/env bash\nset -x\n", 1),
            (".ci/run", "#!/usr/bin/env bash\n# why\nset -euo pipefail\n", 0),
            ("scripts/a.py", "#!/usr/bin/env python3\n", 0),
            ("a.rs", "#![no_std]\n", 0),
        ] {
            assert_eq!(check(&Tree::planted(&[(path, text)])).len(), violations, "{path}");
        }
    }
}
