//! Text from outside: bounded, and without characters that could forge a line of a log.

use alloc::{
    string::{String, ToString},
    sync::Arc,
};
use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// The longest name that is taken, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 128;

/// A name: 1 to [`MAX_NAME_BYTES`] bytes without control characters, and not only white space.
///
/// Customers, products, virtual hardware, versions and emulators all carry one. Being a `Name` is
/// the proof that printing it can neither end a line nor drive a terminal. Copies share one text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(Arc<str>);

/// Why a text is no [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing to call it by.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_NAME_BYTES`].
    #[error("is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// A character that prints nothing, moves the cursor or reorders the text.
    #[error("contains a control character")]
    ControlCharacter,
}

impl Name {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names of hardware and products are compared without regard to case.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Most names are plain, and a registry that is read has hundreds of thousands of them.
        let is_plain = || text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if text.trim().is_empty() {
            Err(NameError::Empty)
        } else if text.len() > MAX_NAME_BYTES {
            Err(NameError::TooLong)
        } else if !is_plain() && text.chars().any(is_unprintable) {
            Err(NameError::ControlCharacter)
        } else {
            Ok(Self(text.into()))
        }
    }
}

/// Whether a character could end a line, drive a terminal or make text read as what it is not.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// `text` with every unprintable character written as `\u{..}`, cut after `limit` characters: for
/// messages about text that is no [`Name`].
pub fn printable(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(limit) {
        if is_unprintable(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(limit).is_some() {
        out.push('…');
    }
    out
}

/// `words` as a sentence: with a full stop, unless it ends already.
pub fn sentence(words: impl fmt::Display) -> String {
    let mut sentence = words.to_string();
    if !sentence.ends_with(['.', '?', '!']) {
        sentence.push('.');
    }
    sentence
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_string()
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A section's passphrase, such as `1111-2222-3333-4444`: a secret, so it prints as stars.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passphrase(Name);

impl Passphrase {
    /// The secret itself; for the license file and for a user who asked to see it.
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }

    /// The form for the eye: stars, and the last four characters where more than four are hidden.
    pub fn masked(&self) -> String {
        let characters = self.0.as_str().chars().count();
        let shown = if characters > 8 { 4 } else { 0 };
        self.0
            .as_str()
            .chars()
            .enumerate()
            .map(|(at, c)| if c == '-' || at + shown >= characters { c } else { '*' })
            .collect()
    }
}

impl PartialEq for Passphrase {
    /// Takes the same time wherever the first difference is.
    fn eq(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.reveal().as_bytes(), other.reveal().as_bytes());
        mine.len() == theirs.len()
            && mine.iter().zip(theirs).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl Eq for Passphrase {}

impl FromStr for Passphrase {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_forge_a_line() {
        assert_eq!("a\nb".parse::<Name>(), Err(NameError::ControlCharacter));
        assert_eq!("a\u{1b}[2J".parse::<Name>(), Err(NameError::ControlCharacter));
        assert_eq!("a\u{202e}b".parse::<Name>(), Err(NameError::ControlCharacter));
        assert_eq!("x".repeat(10_000).parse::<Name>(), Err(NameError::TooLong));
        assert_eq!(" ".parse::<Name>(), Err(NameError::Empty));
    }

    #[test]
    fn text_for_messages_is_cut_and_escaped() {
        assert_eq!(printable("a\nb", 10), "a\\u{a}b");
        assert_eq!(printable("abcdef", 3), "abc…");
    }

    #[test]
    fn a_sentence_ends_once() {
        assert_eq!(sentence("it is empty"), "it is empty.");
        assert_eq!(sentence("is it empty?"), "is it empty?");
    }

    #[test]
    fn passphrases_show_their_last_group_only() {
        let masked = |text: &str| text.parse::<Passphrase>().map(|secret| secret.masked());
        assert_eq!(masked("1111-2222-3333-4444"), Ok("****-****-****-4444".into()));
        assert_eq!(masked("secret"), Ok("******".into()));
    }
}
