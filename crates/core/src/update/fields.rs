//! A license field by field, in the words of the license viewer, and what differs between two.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    license::{KeyType, Lease, License, ProductSection},
    text::{Name, Passphrase},
    time::{MINUTE_MS, spoken_duration},
};

/// One field that differs between two licenses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which, as the license viewer names it; a product section's fields begin with its code.
    pub field: String,
    /// What it was; `None`: it was not there.
    pub before: Option<String>,
    /// What it is; `None`: it is gone.
    pub after: Option<String>,
}

/// Every field that differs, in the order of the license viewer. Passphrases are masked.
pub fn changes(before: Option<&License>, after: &License) -> Vec<Change> {
    let before = before.map(all_fields).unwrap_or_default();
    let after = all_fields(after);
    let find = |fields: &[(String, Value)], name: &str| {
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(field, _)| find(&after, field).is_none());
    let names = after.iter().chain(gone).map(|(field, _)| field);
    let change = |field: &String| difference(field, find(&before, field), find(&after, field));
    names.filter_map(change).collect()
}

fn difference(field: &str, before: Option<Value>, after: Option<Value>) -> Option<Change> {
    if before == after {
        return None;
    }
    let both_secret = matches!((&before, &after), (Some(Value::Secret(_)), Some(Value::Secret(_))));
    let before = before.map(|value| value.masked());
    let mut after = after.map(|value| value.masked());
    if both_secret && before == after {
        // Two passphrases with the same end look the same behind their stars.
        after = after.map(|text| text + " (another)");
    }
    Some(Change { field: field.to_string(), before, after })
}

/// A field's value, as the license viewer prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// For every eye.
    Plain(String),
    /// A passphrase.
    Secret(Passphrase),
}

impl Value {
    /// The value, a secret with stars.
    pub fn masked(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Secret(secret) => secret.masked(),
        }
    }

    /// The value, a secret in full.
    pub fn revealed(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.reveal(),
        }
    }
}

/// A field: its name and its value.
pub type Field = (&'static str, Value);

fn plain(value: &impl ToString) -> Value {
    Value::Plain(value.to_string())
}

/// The fields of a license's header that the license viewer prints, in its order and words.
pub fn header_fields(license: &License) -> Vec<Field> {
    [
        ("License fingerprint", plain(&license.fingerprint)),
        ("Customer name", plain(&license.customer)),
        ("License ID", plain(&license.id)),
        ("Key type", plain(&license.key_type.as_str())),
        ("Expiration date", plain(&expiration(license.key_type))),
        ("Platform", plain(&license.platform)),
        ("Release date", plain(&license.released)),
        ("Grace period", plain(&spoken_minutes(license.grace_ms))),
        ("License check interval", plain(&spoken_minutes(license.check_interval_ms))),
        ("License version", plain(&license.version)),
    ]
    .into()
}

/// The fields of a product section, in the license viewer's order and words. `no_end` stands for
/// the date of a section that ends with its license.
pub fn section_fields(section: &ProductSection, no_end: &str) -> Vec<Field> {
    let models: Vec<&str> = section.virtual_hardware.iter().map(Name::as_str).collect();
    let end = section.expires.map_or_else(|| no_end.to_string(), |end| end.to_string());
    let mut fields: Vec<Field> = [
        ("Virtual Hardware", plain(&models.join(","))),
        ("Product code", plain(&section.code)),
        ("Expiration date", plain(&end)),
        ("Major Version", plain(&section.major)),
        ("Minor Version", plain(&section.minor)),
        ("Maximum CPU", plain(&section.max_cpu)),
        ("Maximum virtual memory", plain(&format!("{}MB", section.max_memory_mb))),
        ("Instances allowed", plain(&section.instances)),
    ]
    .into();
    let secret = section.passphrase.clone().map(|secret| ("Passphrase", Value::Secret(secret)));
    fields.extend(secret);
    fields
}

/// The fields that the license viewer leaves out.
fn other_fields(license: &License) -> Vec<Field> {
    let list = |names: Vec<&str>| if names.is_empty() { "none".into() } else { names.join(", ") };
    let lease = match license.lease {
        Lease::For(lease_ms) => spoken_minutes(lease_ms),
        Lease::Grace => "grace".to_string(),
    };
    let tolerance = license.tolerance.iter().map(|component| component.as_str()).collect();
    let mut fields: Vec<Field> = [
        ("Mode", plain(&license.mode)),
        ("Lease", plain(&lease)),
        ("Tolerance", plain(&list(tolerance))),
        ("Server key", plain(&license.server_key)),
    ]
    .into();
    let bound = license.binding.0.iter();
    fields.extend(bound.map(|(component, digest)| (component.as_str(), plain(digest))));
    fields
}

/// All fields of a license under names that differ from each other.
fn all_fields(license: &License) -> Vec<(String, Value)> {
    let mut fields: Vec<(String, Value)> = header_fields(license)
        .into_iter()
        .chain(other_fields(license))
        .map(|(name, value)| (name.to_string(), value))
        .collect();
    let mut times_seen: BTreeMap<&Name, u32> = BTreeMap::new();
    for section in &license.sections {
        let times = times_seen.entry(&section.code).or_default();
        *times += 1;
        let title = match times {
            1 => section.code.to_string(),
            times => format!("{} ({times})", section.code),
        };
        let of_section = section_fields(section, "with the license").into_iter();
        fields.extend(of_section.map(|(name, value)| (format!("{title}: {name}"), value)));
    }
    fields
}

/// When a license ends: `none`, a date, or `100 hour(s)`.
pub fn expiration(key_type: KeyType) -> String {
    match key_type {
        KeyType::Normal { expires: None } => "none".to_string(),
        KeyType::Normal { expires: Some(expires) } => expires.to_string(),
        KeyType::Countdown { hours } => format!("{hours} hour(s)"),
    }
}

/// A duration in minutes where they are whole, as the license viewer prints it; in seconds otherwise.
pub fn spoken_minutes(duration_ms: u64) -> String {
    match duration_ms / MINUTE_MS {
        1 if duration_ms == MINUTE_MS => "1 minute".to_string(),
        minutes if duration_ms.is_multiple_of(MINUTE_MS) => format!("{minutes} minutes"),
        _ => spoken_duration(duration_ms),
    }
}
