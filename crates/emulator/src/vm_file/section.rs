//! Reads one table of a VM's file key by key, so that every complaint names key and line and none
//! repeats a value: values may be secrets.

use std::{fmt::Display, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use ve_core::{text::printable, time::parse_duration_ms};

/// The most entries of a list.
const MAX_LIST_ENTRIES: usize = 1_000;
/// How much of a key is repeated in a message, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// What is wrong, and where it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Bytes from the start of the file.
    pub(super) offset: usize,
    /// A sentence that names the key; without a full stop.
    pub(super) message: String,
}

/// A value and where it stands in the file, in bytes from the start.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) offset: usize,
}

/// A table whose known keys are taken out one by one; [`Section::finish`] refuses what is left.
pub(super) struct Section<'a> {
    /// `""` for the file's top, else the table's full name, such as `license.hooks`.
    name: &'static str,
    /// Where the table begins.
    offset: usize,
    entries: Vec<(String, usize, Spanned<DeValue<'a>>)>,
    /// The keys asked for so far: the known ones.
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The table `name`, which begins at `offset`.
    pub(super) fn new(name: &'static str, offset: usize, table: DeTable<'a>) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value)| {
                let offset = key.span().start;
                (key.into_inner().into_owned(), offset, value)
            })
            .collect();
        Self { name, offset, entries, known: Vec::new() }
    }

    /// The key's full name in backquotes.
    pub(super) fn title(&self, key: &str) -> String {
        if self.name.is_empty() { format!("`{key}`") } else { format!("`{}.{key}`", self.name) }
    }

    /// A complaint about `key`, whose value stands at `offset`.
    pub(super) fn problem(&self, key: &str, offset: usize, reason: impl Display) -> Problem {
        Problem { offset, message: format!("{}: {reason}", self.title(key)) }
    }

    /// A complaint that `key` is needed and not there.
    pub(super) fn missing(&self, key: &str) -> Problem {
        self.problem(key, self.offset, "this key is missing")
    }

    fn take(&mut self, key: &'static str) -> Option<At<DeValue<'a>>> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, ..)| name == key)?;
        let (_, offset, value) = self.entries.swap_remove(at);
        Some(At { value: value.into_inner(), offset })
    }

    fn wrong_type(&self, key: &str, offset: usize, wanted: &str, found: &DeValue<'_>) -> Problem {
        self.problem(
            key,
            offset,
            format!("must be {wanted}, not a value of type {}", found.type_str()),
        )
    }

    /// A string, if the key is there.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<At<String>>, Problem> {
        match self.take(key) {
            None => Ok(None),
            Some(At { value: DeValue::String(text), offset }) => {
                self.without_nul(key, text.into_owned(), offset).map(Some)
            }
            Some(At { value, offset }) => {
                Err(self.wrong_type(key, offset, "a string in quotes", &value))
            }
        }
    }

    /// No path, argument or variable can hold the character that ends them.
    fn without_nul(&self, key: &str, value: String, offset: usize) -> Result<At<String>, Problem> {
        if value.contains('\0') {
            return Err(self.problem(key, offset, "contains a NUL character"));
        }
        Ok(At { value, offset })
    }

    /// A string that `parse` turns into what it means, if the key is there.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<At<T>>, Problem> {
        let Some(At { value, offset }) = self.text(key)? else { return Ok(None) };
        match parse(&value) {
            Ok(value) => Ok(Some(At { value, offset })),
            Err(reason) => Err(self.problem(key, offset, reason)),
        }
    }

    /// Like [`Section::parsed`], for a key that must be there.
    pub(super) fn required<T, E: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<At<T>, Problem> {
        self.parsed(key, parse)?.ok_or_else(|| self.missing(key))
    }

    /// A duration in milliseconds, or `default_ms`.
    pub(super) fn duration_ms(
        &mut self,
        key: &'static str,
        default_ms: u64,
    ) -> Result<u64, Problem> {
        Ok(self.parsed(key, parse_duration_ms)?.map_or(default_ms, |at| at.value))
    }

    /// A path that is not empty, if the key is there.
    pub(super) fn path(&mut self, key: &'static str) -> Result<Option<PathBuf>, Problem> {
        let path = self.parsed(key, |text| {
            if text.is_empty() { Err("must not be empty") } else { Ok(PathBuf::from(text)) }
        })?;
        Ok(path.map(|at| at.value))
    }

    /// A whole number from `least` to `most`, if the key is there.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        least: u64,
        most: u64,
    ) -> Result<Option<At<u64>>, Problem> {
        let Some(At { value, offset }) = self.take(key) else { return Ok(None) };
        let DeValue::Integer(digits) = &value else {
            return Err(self.wrong_type(key, offset, "a whole number", &value));
        };
        match u64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) if (least..=most).contains(&number) => {
                Ok(Some(At { value: number, offset }))
            }
            _ => Err(self.problem(key, offset, format!("must be between {least} and {most}"))),
        }
    }

    /// `true` or `false`, if the key is there.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, Problem> {
        match self.take(key) {
            None => Ok(None),
            Some(At { value: DeValue::Boolean(flag), .. }) => Ok(Some(flag)),
            Some(At { value, offset }) => {
                Err(self.wrong_type(key, offset, "true or false", &value))
            }
        }
    }

    /// A list of strings, if the key is there.
    pub(super) fn list(
        &mut self,
        key: &'static str,
    ) -> Result<Option<At<Vec<At<String>>>>, Problem> {
        let (entries, offset) = match self.take(key) {
            None => return Ok(None),
            Some(At { value: DeValue::Array(entries), offset }) => (entries, offset),
            Some(At { value, offset }) => {
                return Err(self.wrong_type(key, offset, "a list of strings", &value));
            }
        };
        if entries.len() > MAX_LIST_ENTRIES {
            let reason = format!("has more than {MAX_LIST_ENTRIES} entries");
            return Err(self.problem(key, offset, reason));
        }
        let mut texts = Vec::new();
        for entry in entries {
            let offset = entry.span().start;
            match entry.into_inner() {
                DeValue::String(text) => {
                    texts.push(self.without_nul(key, text.into_owned(), offset)?);
                }
                other => return Err(self.wrong_type(key, offset, "a list of strings", &other)),
            }
        }
        Ok(Some(At { value: texts, offset }))
    }

    /// The table `key`, if it is there; `name` is its full name.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        name: &'static str,
    ) -> Result<Option<Self>, Problem> {
        match self.take(key) {
            None => Ok(None),
            Some(At { value: DeValue::Table(table), offset }) => {
                Ok(Some(Self::new(name, offset, table)))
            }
            Some(At { value, offset }) => {
                Err(self.wrong_type(key, offset, &format!("a table, [{name}]"), &value))
            }
        }
    }

    /// Refuses the first key that nobody asked for.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        self.entries.sort_by_key(|(_, offset, _)| *offset);
        let Some((key, offset, _)) = self.entries.first() else { return Ok(()) };
        let title = self.title(&printable(key, SHOWN_CHARACTERS));
        let known = self.known.join(", ");
        Err(Problem {
            offset: *offset,
            message: format!("unknown key {title}; the keys known here are {known}"),
        })
    }
}
