//! JSON read to the letter: no field twice at any depth, none unknown, none of the wrong type.
//!
//! serde's maps take the last of two equal names in silence, and then two readers of one signed
//! document may see two different documents. So every object is read through [`Object`], which also
//! names the field in each error.

use std::{fmt, str::FromStr};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use thiserror::Error;
use ve_core::text::printable;

/// The longest part of a foreign text that an error repeats, in characters.
const MAX_QUOTED: usize = 200;

/// What is wrong with a JSON text, in words for whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}")]
pub struct Malformed {
    /// The field and what is wrong with it, without secrets and control characters.
    pub what: String,
}

impl Malformed {
    /// `what` is made printable and cut.
    pub fn new(what: impl fmt::Display) -> Self {
        Self { what: printable(&what.to_string(), MAX_QUOTED) }
    }
}

/// An object whose fields are taken one by one; [`Object::finish`] refuses what is left.
#[derive(Debug, Default)]
pub struct Object {
    path: String,
    fields: Map<String, Value>,
}

impl Object {
    /// Parses a JSON object and nothing after it; a doubled field at any depth is refused.
    pub fn parse(json: &[u8]) -> Result<Self, Malformed> {
        let Unique(value) = serde_json::from_slice(json).map_err(Malformed::new)?;
        Field { path: String::new(), value }.object()
    }

    /// An object that was parsed elsewhere, from a format that knows no doubled fields.
    pub fn from_map(fields: Map<String, Value>) -> Self {
        Self { path: String::new(), fields }
    }

    /// Takes a field that must be there.
    pub fn required(&mut self, name: &str) -> Result<Field, Malformed> {
        let field = self.optional(name);
        field.ok_or_else(|| Malformed::new(format_args!("{} is missing", self.name_of(name))))
    }

    /// Takes a field that may be left out (but not `null`).
    pub fn optional(&mut self, name: &str) -> Option<Field> {
        let value = self.fields.remove(name)?;
        Some(Field { path: self.name_of(name), value })
    }

    /// Ends the reading: fields that nobody took are unknown.
    pub fn finish(self) -> Result<(), Malformed> {
        match self.fields.keys().next() {
            Some(name) => {
                Err(Malformed::new(format_args!("{} is an unknown field", self.name_of(name))))
            }
            None => Ok(()),
        }
    }

    /// Takes all fields, whatever their names.
    pub fn into_fields(self) -> impl Iterator<Item = (String, Field)> {
        let path = self.path;
        self.fields.into_iter().map(move |(name, value)| {
            let field = Field { path: join(&path, &name), value };
            (name, field)
        })
    }

    fn name_of(&self, field: &str) -> String {
        join(&self.path, field)
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

/// A value and where it stands.
#[derive(Debug)]
pub struct Field {
    path: String,
    value: Value,
}

impl Field {
    /// The field's value is wrong for the reason `why`.
    pub fn malformed(&self, why: impl fmt::Display) -> Malformed {
        if self.path.is_empty() {
            Malformed::new(why)
        } else {
            Malformed::new(format_args!("{}: {why}", self.path))
        }
    }

    /// Whether the value is `null`.
    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// Whether the value is text.
    pub fn is_text(&self) -> bool {
        self.value.is_string()
    }

    /// The value as text.
    pub fn text(&self) -> Result<&str, Malformed> {
        self.value.as_str().ok_or_else(|| self.malformed("expected a text"))
    }

    /// The value as text that parses as a `T`.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, Malformed> {
        self.text()?.parse().map_err(|error: T::Err| self.malformed(error))
    }

    /// The value as text that `parse` takes.
    pub fn parsed_with<T, E: fmt::Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Malformed> {
        parse(self.text()?).map_err(|error| self.malformed(error))
    }

    /// The value as a whole number, not negative, that fits into a `T`.
    pub fn number<T: TryFrom<u64>>(&self) -> Result<T, Malformed> {
        let number = self.value.as_u64().and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.malformed("expected a whole number in range"))
    }

    /// The values of a list.
    pub fn list(self) -> Result<Vec<Self>, Malformed> {
        let path = self.path;
        match self.value {
            Value::Array(values) => Ok(values
                .into_iter()
                .enumerate()
                .map(|(at, value)| Self { path: format!("{path}[{at}]"), value })
                .collect()),
            value => Err(Self { path, value }.malformed("expected a list")),
        }
    }

    /// The values of a list of at most `limit` entries, each read by `read`.
    pub fn list_of<T>(
        self,
        limit: usize,
        read: impl Fn(Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let too_many = self.malformed(format_args!("has more than {limit} entries"));
        let entries = self.list()?;
        if entries.len() > limit {
            return Err(too_many);
        }
        entries.into_iter().map(read).collect()
    }

    /// The value as an object.
    pub fn object(self) -> Result<Object, Malformed> {
        match self.value {
            Value::Object(fields) => Ok(Object { path: self.path, fields }),
            value => Err(Self { path: self.path, value }.malformed("expected an object")),
        }
    }
}

/// Any JSON value in which no object names a field twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{name} is given twice")));
            }
            let Unique(value) = object.next_value()?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(u32, String), Malformed> {
        let mut object = Object::parse(json.as_bytes())?;
        let mut inner = object.required("inner")?.object()?;
        let number = inner.required("number")?.number()?;
        let name = inner.optional("name").map(|field| field.parsed()).transpose()?;
        inner.finish()?;
        object.finish()?;
        Ok((number, name.unwrap_or_default()))
    }

    #[test]
    fn every_deviation_has_its_own_plain_error() {
        assert_eq!(read(r#"{"inner":{"number":1,"name":"a"}}"#), Ok((1, "a".to_string())));
        assert_eq!(read(r#" {"inner" : {"number":1}} "#), Ok((1, String::new())));
        for (json, what) in [
            (r#"{"inner":{"number":1,"number":1}}"#, "number is given twice at line 1 column 29"),
            (
                r#"{"inner":{"number":1},"inner":{"number":1}}"#,
                "inner is given twice at line 1 column 29",
            ),
            (r#"{"inner":{"number":1,"extra":1}}"#, "inner.extra is an unknown field"),
            (r#"{"inner":{"number":1},"a\nb":1}"#, "a\\u{a}b is an unknown field"),
            (r#"{"inner":{}}"#, "inner.number is missing"),
            (r"{}", "inner is missing"),
            (r#"{"inner":1}"#, "inner: expected an object"),
            (r"[]", "expected an object"),
            (r#"{"inner":{"number":"1"}}"#, "inner.number: expected a whole number in range"),
            (r#"{"inner":{"number":1.0}}"#, "inner.number: expected a whole number in range"),
            (r#"{"inner":{"number":-1}}"#, "inner.number: expected a whole number in range"),
            (
                r#"{"inner":{"number":4294967296}}"#,
                "inner.number: expected a whole number in range",
            ),
            (r#"{"inner":{"number":1,"name":null}}"#, "inner.name: expected a text"),
            (r#"{"inner":{"number":1}} x"#, "trailing characters at line 1 column 24"),
            (r#"{"inner":{"number":1}"#, "EOF while parsing an object at line 1 column 21"),
            ("", "EOF while parsing a value at line 1 column 0"),
        ] {
            assert_eq!(read(json), Err(Malformed { what: what.to_string() }), "{json}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(100_000);
        assert!(Object::parse(deep.as_bytes()).is_err());
    }
}
