//! What is code in a Rust file: not comments, not the inside of literals; and which of it is a test.
//!
//! This is a lexer for as much Rust as the rules need, not a parser: it relies on rustfmt for the
//! rest, and errs on the side of reporting.

use std::ops::Range;

use crate::tree::File;

/// A Rust source with comments and literals blanked out, byte for byte, so that offsets and lines
/// are those of the file.
#[derive(Debug, Clone)]
pub struct Code {
    text: String,
    tests: Vec<Range<usize>>,
}

impl Code {
    /// The code of a file.
    pub fn of(file: &File) -> Self {
        let text = mask(&file.text);
        let all_of_it = file.is_test().then_some(0..text.len());
        let tests = all_of_it.map_or_else(|| test_modules(&text), |range| vec![range]);
        Self { text, tests }
    }

    /// The blanked source.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of an offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.text[..offset].bytes().filter(|&byte| byte == b'\n').count() + 1
    }

    /// Whether an offset lies in test code.
    pub fn in_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// Where `word` stands as a whole word.
    pub fn words(&self, word: &str) -> Vec<usize> {
        words(&self.text, word)
    }

    /// The offset of the bracket that closes the one at `open`; the end when none does.
    pub fn closing(&self, open: usize) -> usize {
        closing(&self.text, open)
    }
}

/// Where `word` stands in `text` as a whole word.
pub fn words(text: &str, word: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let stands_alone = |at: usize| {
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let after = bytes.get(at + word.len()).copied();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    };
    text.match_indices(word).map(|(at, _)| at).filter(|&at| stands_alone(at)).collect()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn closing(text: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth <= 1 => return at,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// The bodies of modules that stand under `#[cfg(test)]`.
fn test_modules(text: &str) -> Vec<Range<usize>> {
    let module_after = |at: usize| {
        let item = text[at..].find("mod ").map(|offset| at + offset)?;
        let attributes_only = text[at..item].lines().skip(1).all(|line| {
            let line = line.trim();
            line.is_empty() || line.starts_with("#[") || line == "pub(crate)"
        });
        let open = text[item..].find(['{', ';']).map(|offset| item + offset)?;
        (attributes_only && text.as_bytes()[open] == b'{').then(|| at..closing(text, open) + 1)
    };
    text.match_indices("#[cfg(test)]").filter_map(|(at, _)| module_after(at)).collect()
}

/// Blanks comments and literals; line ends stay.
fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = Vec::with_capacity(bytes.len());
    while masked.len() < bytes.len() {
        let at = masked.len();
        match end_of_comment(bytes, at).or_else(|| end_of_literal(bytes, at)) {
            Some(end) => masked.extend(bytes[at..end].iter().map(|&byte| blank(byte))),
            None => masked.push(bytes[at]),
        }
    }
    String::from_utf8_lossy(&masked).into_owned()
}

fn blank(byte: u8) -> u8 {
    if byte == b'\n' { b'\n' } else { b' ' }
}

fn end_of_comment(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at..at + 2)? {
        b"//" => Some(find(bytes, at, b"\n").unwrap_or(bytes.len())),
        b"/*" => Some(end_of_block_comment(bytes, at)),
        _ => None,
    }
}

/// Block comments nest.
fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" => (at, depth) = (at + 2, depth + 1),
            b"*/" if depth == 1 => return at + 2,
            b"*/" => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_literal(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes[at] {
        b'"' => Some(end_of_string(bytes, at)),
        b'r' => end_of_raw_string(bytes, at),
        b'\'' => end_of_char(bytes, at),
        _ => None,
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `r"…"`, `r#"…"#`, and the same after `b` or `c`; not the `r` at the end of a word, not `r#word`.
fn end_of_raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut before = bytes[..at].iter().rev().copied();
    let starts_a_word = match before.next() {
        Some(b'b' | b'c') => !before.next().is_some_and(is_word),
        before => !before.is_some_and(is_word),
    };
    let hashes = bytes[at + 1..].iter().take_while(|&&byte| byte == b'#').count();
    let quote = at + 1 + hashes;
    if !starts_a_word || bytes.get(quote) != Some(&b'"') {
        return None;
    }
    let mut end = Vec::from([b'"']);
    end.resize(hashes + 1, b'#');
    Some(find(bytes, quote + 1, &end).map_or(bytes.len(), |found| found + end.len()))
}

/// A character, and not a lifetime.
fn end_of_char(bytes: &[u8], at: usize) -> Option<usize> {
    let first = *bytes.get(at + 1)?;
    if first == b'\\' {
        return find(bytes, at + 3, b"'").map(|end| end + 1);
    }
    let width = match first {
        0x00..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    };
    (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + 2 + width)
}

fn find(bytes: &[u8], from: usize, part: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(part.len()).position(|window| window == part).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_literals_and_nothing_else() {
        for (source, masked) in [
            ("a // b {\nc", "a       \nc"),
            ("a /* b /* c */ { */ d", "a                   d"),
            (r#"a("\"{", b)"#, "a(     , b)"),
            (r##"a(r#""{"#, b)"##, "a(       , b)"),
            (r##"a(br#"{"#, b)"##, "a(b      , b)"),
            ("r#type { for_r", "r#type { for_r"),
            ("'{' '\\'' '\\u{7b}' 'é' b'{'", "                       b   "),
            ("fn a<'a>(x: &'a str) {", "fn a<'a>(x: &'a str) {"),
            ("\"open", "     "),
        ] {
            assert_eq!(mask(source).trim_end(), masked.trim_end(), "{source}");
            assert_eq!(mask(source).len(), source.len(), "{source}");
        }
    }

    #[test]
    fn knows_test_modules_by_their_attribute() {
        let source = "fn a() { x }\n#[cfg(test)]\nmod tests {\n    fn b() { x }\n}\nfn c() { x }\n";
        let code = Code::of(&File { path: "src/a.rs".into(), text: source.into() });
        let found: Vec<_> =
            code.words("x").into_iter().map(|at| (code.line(at), code.in_test(at))).collect();
        assert_eq!(found, [(1, false), (4, true), (6, false)]);
    }

    #[test]
    fn an_attribute_of_something_else_makes_no_test_module() {
        let source = "#[cfg(test)]\nextern crate std;\nmod a {\n    fn b() { x }\n}\n";
        let code = Code::of(&File { path: "src/a.rs".into(), text: source.into() });
        assert!(!code.in_test(code.words("x")[0]));
    }
}
