//! Files and functions stay small enough to be read at once.

use crate::{
    rust::Code,
    tree::{File, Tree, Violation},
};

/// The longest file, in lines. Aim at 150 to 250.
const MAX_FILE_LINES: usize = 500;

/// The longest function, in lines from `fn` to its closing brace. Aim at 10.
const MAX_FUNCTION_LINES: usize = 70;

/// No source file and no function is longer than its limit. The limits only ever go down.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let sources = tree.files.iter().filter(|file| {
        ["rs", "sh", "js", "css", "proto"].contains(&file.extension()) || file.name() == "Makefile"
    });
    let mut violations = Vec::new();
    for file in sources {
        let lines = file.text.lines().count();
        if lines > MAX_FILE_LINES {
            let why = format!("{lines} lines (at most {MAX_FILE_LINES}): split it by subject");
            violations.push(file.violation(MAX_FILE_LINES + 1, why));
        }
        if file.is_rust() {
            violations.extend(long_functions(file));
        }
    }
    violations
}

fn long_functions(file: &File) -> Vec<Violation> {
    let code = Code::of(file);
    let mut violations = Vec::new();
    for at in code.words("fn") {
        let Some((name, body)) = function(&code, at) else { continue };
        let lines = code.line(code.closing(body).min(code.text().len())) - code.line(at) + 1;
        if lines > MAX_FUNCTION_LINES {
            let why = format!(
                "function {name} has {lines} lines (at most {MAX_FUNCTION_LINES}): give its steps names"
            );
            violations.push(file.violation(code.line(at), why));
        }
    }
    violations
}

/// The name of the function at `fn`, and where its body opens; `None` for a function type and for
/// a declaration without a body.
fn function(code: &Code, at: usize) -> Option<(&str, usize)> {
    let rest = code.text()[at + 2..].strip_prefix(' ')?;
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    let mut offset = at + 3;
    while let Some(byte) = code.text().as_bytes().get(offset) {
        match byte {
            b'(' | b'[' => offset = code.closing(offset) + 1,
            b'{' => return Some((name, offset)),
            b';' => return None,
            _ => offset += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        let body = "    let brace = '{'; // {\n".repeat(lines - 2);
        format!("fn long(a: [u8; 2], b: fn(u8) -> u8) -> impl Fn() {{\n{body}}}\n")
    }

    fn found(text: &str) -> Vec<usize> {
        let tree = Tree::planted(&[("crates/a/src/a.rs", text)]);
        check(&tree).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn catches_a_long_function_and_no_other() {
        assert!(found(&function_of(MAX_FUNCTION_LINES)).is_empty());
        let text =
            format!("trait A {{\n    fn a();\n}}\n\n{}", function_of(MAX_FUNCTION_LINES + 1));
        assert_eq!(found(&text), [5]);
    }

    #[test]
    fn catches_a_long_file() {
        assert!(found(&"\n".repeat(MAX_FILE_LINES)).is_empty());
        assert_eq!(found(&"\n".repeat(MAX_FILE_LINES + 1)), [MAX_FILE_LINES + 1]);
    }
}
