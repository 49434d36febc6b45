//! Words for numbers, and for what a reader of JSON or TOML says.

/// What a database's check says over several lines, in one: its first finding. Line ends may have been
/// made printable before.
pub(crate) fn one_line(text: &str) -> String {
    let lines = text.split("\\u{a}").flat_map(str::lines).map(str::trim);
    let mut findings = lines.filter(|line| !line.is_empty() && !line.starts_with("***"));
    findings.next().unwrap_or(text.trim()).to_owned()
}

/// What stands in the messages of such readers, and in ours.
const PLAIN: [(&str, &str); 11] = [
    ("invalid type: ", "there is "),
    ("invalid value: ", "there is "),
    ("expected a sequence", "expected a list"),
    ("expected a map", "expected a table"),
    ("expected u64", "expected a whole number"),
    ("expected u32", "expected a whole number"),
    ("expected i64", "expected a whole number"),
    ("expected socket address", "expected an address and a port such as \"[::]:8083\""),
    ("invalid socket address syntax", "there is no address and port such as \"[::]:8083\""),
    ("sequence,", "a list,"),
    ("map,", "a table,"),
];

/// Such a message in words that need no knowledge of programs.
pub(crate) fn plain(message: &str) -> String {
    let plain = PLAIN.iter().fold(message.to_owned(), |text, (from, to)| text.replace(from, to));
    let Some((before, named)) = plain.split_once("expected struct ") else { return plain };
    let rest = named.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    format!("{before}expected a table{rest}")
}

/// `1 host`, `2 hosts`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The same for a length.
pub(crate) fn counted_len(count: usize, what: &str) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_a_database_is_told_in_one_line() {
        for (text, line) in [
            ("*** in database main ***\\u{a}Tree 2 page 2: x\\u{a}more", "Tree 2 page 2: x"),
            ("*** in database main ***\nTree 2 page 2: x", "Tree 2 page 2: x"),
            ("it has a host twice", "it has a host twice"),
            ("*** ***", "*** ***"),
        ] {
            assert_eq!(one_line(text), line);
        }
    }

    #[test]
    fn numbers_and_readers_speak_plainly() {
        assert_eq!(
            (counted(1, "host"), counted_len(2, "host")),
            ("1 host".into(), "2 hosts".into())
        );
        let said = plain("invalid type: string \"x\", expected u64");
        assert_eq!(said, "there is string \"x\", expected a whole number");
        let said = plain("invalid type: integer `5`, expected struct Log at line 1");
        assert_eq!(said, "there is integer `5`, expected a table at line 1");
    }
}
