//! Binaries are doors: a few lines that lead into a library, and the only place that ends a process.

use crate::{
    rust::Code,
    tree::{File, Tree, Violation},
};

/// How many lines of code a door may have.
const MAX_LINES: usize = 15;

/// Doors are short, and nothing but a door calls `process::exit`.
pub fn check(tree: &Tree) -> Vec<Violation> {
    tree.rust().flat_map(|file| if is_door(file) { long_door(file) } else { exits(file) }).collect()
}

fn is_door(file: &File) -> bool {
    !file.is_test() && (file.path.ends_with("/src/main.rs") || file.path.contains("/src/bin/"))
}

fn long_door(file: &File) -> Vec<Violation> {
    let code = Code::of(file);
    let lines = code.text().lines().filter(|line| !line.trim().is_empty()).count();
    let why =
        format!("a door of {lines} lines (at most {MAX_LINES}): move its work to the library");
    (lines > MAX_LINES).then(|| file.violation(1, why)).into_iter().collect()
}

fn exits(file: &File) -> Vec<Violation> {
    let code = Code::of(file);
    let is_exit = |at: usize| code.text()[..at].ends_with("process::");
    let why = "ends the process from within: return an exit code to the door, so that files are \
               closed and seats given back";
    let exits = code.words("exit").into_iter().filter(|&at| is_exit(at));
    exits.map(|at| file.violation(code.line(at), why)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::planted(&[(path, text)])).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn catches_an_exit_deep_inside() {
        let source = "// process::exit\nfn a() {\n    std::process::exit(1)\n}\n";
        assert_eq!(lines("crates/server/src/a.rs", source), [3]);
        assert!(lines("crates/server/src/main.rs", source).is_empty());
        assert!(lines("crates/server/src/bin/c2v.rs", source).is_empty());
    }

    #[test]
    fn catches_a_door_that_does_work_itself() {
        let door = "//! The server.\n\nfn main() {\n    run()\n}\n";
        assert!(lines("crates/server/src/main.rs", door).is_empty());
        let long = format!("fn main() {{\n{}}}\n", "    step();\n".repeat(MAX_LINES));
        assert_eq!(lines("crates/server/src/main.rs", &long), [1]);
    }
}
