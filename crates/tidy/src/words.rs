//! How text is written: one spelling, nothing unfinished, nothing of one person's machine.

use crate::{
    rust::words,
    tree::{File, Tree, Violation},
};

/// The start of the spelling that this house doesn't use; in parts, because this is a text as well.
const BRITISH: &str = concat!("licen", "c");

/// Notes to oneself.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Folders that exist on somebody's machine only.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Files that others wrote or that programs write.
fn is_ours(file: &File) -> bool {
    !file.name().starts_with("LICENSE") && file.name() != "Cargo.lock" && file.extension() != "snap"
}

fn by_line(tree: &Tree, why_not: impl Fn(&File, &str) -> Option<String>) -> Vec<Violation> {
    let ours = tree.files.iter().filter(|file| is_ours(file));
    let in_file = |file: &File| {
        let of_line = |(number, line): (usize, &str)| {
            why_not(file, line).map(|why| file.violation(number, why))
        };
        file.lines().filter_map(of_line).collect::<Vec<_>>()
    };
    ours.flat_map(in_file).collect()
}

/// "License" is spelled with an s; a page may quote somebody who spells it otherwise.
pub fn spelling(tree: &Tree) -> Vec<Violation> {
    by_line(tree, |file, line| {
        let lower = line.to_lowercase();
        let quotes = file.extension() == "md";
        let wrong = lower.match_indices(BRITISH).any(|(at, _)| !(quotes && is_quoted(&lower, at)));
        wrong.then(|| "spell it license, with an s, in code, commands, messages and pages".into())
    })
}

/// In a block quotation or between double quotes.
fn is_quoted(line: &str, at: usize) -> bool {
    line.starts_with('>') || line[..at].matches(['"', '“', '”']).count() % 2 == 1
}

/// Nothing is left for later in the text: what is missing is an issue, not a comment.
pub fn unfinished(tree: &Tree) -> Vec<Violation> {
    by_line(tree, |_, line| {
        let mark = UNFINISHED.iter().find(|mark| !words(line, mark).is_empty())?;
        Some(format!("{mark} is a note to oneself: do it, or open an issue"))
    })
}

/// No path of somebody's own machine.
pub fn machine_paths(tree: &Tree) -> Vec<Violation> {
    by_line(tree, |_, line| {
        let path = MACHINE_PATHS.iter().find(|path| has_absolute(line, path))?;
        Some(format!("{path} exists on one machine only: use a relative path or a variable"))
    })
}

fn has_absolute(line: &str, path: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "._-~})*".contains(c);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(continues))
}

/// Lines end where their text ends, and files end with a line end.
pub fn white_space(tree: &Tree) -> Vec<Violation> {
    let mut violations = by_line(tree, |_, line| {
        let trailing = line.ends_with(char::is_whitespace);
        trailing.then(|| "white space at the end of the line".to_owned())
    });
    let open = |file: &&File| !file.text.is_empty() && !file.text.ends_with('\n');
    let open = tree.files.iter().filter(|file| is_ours(file)).filter(open);
    violations.extend(
        open.map(|file| file.violation(file.text.lines().count(), "the last line has no line end")),
    );
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&Tree) -> Vec<Violation>, path: &str, text: &str) -> Vec<usize> {
        rule(&Tree::planted(&[(path, text)])).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn catches_the_other_spelling_unless_a_page_quotes_it() {
        let text = format!("license\na {BRITISH}e\n\"{BRITISH}ing\"\n> {BRITISH}es\n");
        assert_eq!(lines(spelling, "src/a.rs", &text), [2, 3, 4]);
        assert_eq!(lines(spelling, "docs/a.md", &text), [2]);
        assert!(lines(spelling, "LICENSE-MIT", &text).is_empty());
    }

    #[test]
    fn catches_notes_to_oneself_as_whole_words() {
        let [first, second, third] = UNFINISHED else { panic!("three marks") };
        let text = format!("// {first}: a\n{second}\n{third}{third}\n# {third}\n");
        assert_eq!(lines(unfinished, "a.sh", &text), [1, 2, 4]);
    }

    #[test]
    fn catches_absolute_paths_of_one_machine() {
        let [first, second] = MACHINE_PATHS else { panic!("two paths") };
        let text = format!("cd {first}a\n\"{second}b\"\n$dir{first}a\na{second}\n");
        assert_eq!(lines(machine_paths, "a.sh", &text), [1, 2]);
    }

    #[test]
    fn catches_white_space_that_nobody_sees() {
        assert_eq!(lines(white_space, "a.md", "a \nb\nc\t\n"), [1, 3]);
        assert_eq!(lines(white_space, "a.md", "a\nb"), [2]);
        assert!(lines(white_space, "a.md", "a\nb\n").is_empty());
    }
}
