//! `L.toml`: what the vendor wants to license.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Map, Value};
use thiserror::Error;
use ve_core::{
    fingerprint::Component,
    id::LicenseId,
    license::{
        DEFAULT_CHECK_INTERVAL_MS, DEFAULT_LEASE_MS, KeyType, Lease, License, LicenseError,
        MAX_HARDWARE, MAX_SECTIONS, Mode, ProductSection,
    },
    text::{Name, printable},
    time::{Utc, parse_duration_ms},
};
use ve_documents::{
    c2v::C2v,
    files::{self, ReadError},
    license_fingerprint,
    strict_json::{Field, Malformed, Object},
};

/// The largest license file that is read, in bytes (1 MiB).
pub const MAX_LICENSE_FILE_BYTES: usize = 1 << 20;

/// A license file, read but not yet bound to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LicenseFile {
    /// Whose license.
    pub customer: Name,
    /// Which license.
    pub license_id: LicenseId,
    /// The version; `None`: one above what the C2V reports, else 1.
    pub version: Option<u32>,
    /// What it counts.
    pub mode: Mode,
    /// Until when it runs.
    pub key_type: KeyType,
    /// In milliseconds.
    pub grace_ms: u64,
    /// In milliseconds.
    pub check_interval_ms: u64,
    /// How long a left seat stays reserved.
    pub lease: Lease,
    /// The components that may change.
    pub tolerance: BTreeSet<Component>,
    /// The product sections.
    pub sections: Vec<ProductSection>,
}

/// Why a license file can't be used: the vendor's to correct.
#[derive(Debug, Error)]
pub enum LicenseFileError {
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is no TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A field is missing, unknown or wrong.
    #[error(transparent)]
    Field(#[from] Malformed),
    /// The license that it describes breaks a rule.
    #[error(transparent)]
    License(#[from] LicenseError),
    /// The installed version is the last one there can be.
    #[error("the server reports the highest version there is; give the license a new ID")]
    LastVersion,
}

impl LicenseFile {
    /// Reads a license file.
    pub fn load(path: &Path) -> Result<Self, LicenseFileError> {
        Self::parse(&files::read_text(path, MAX_LICENSE_FILE_BYTES)?)
    }

    /// Parses a license file.
    pub fn parse(text: &str) -> Result<Self, LicenseFileError> {
        let table: toml::Table =
            toml::from_str(text).map_err(|error| syntax_error(text, &error))?;
        Ok(read(Object::from_map(into_json_fields(table)))?)
    }

    /// The license for the server that `c2v` describes, made at `released`; checked.
    pub fn into_license(self, c2v: &C2v, released: Utc) -> Result<License, LicenseFileError> {
        let installed = c2v.licenses.iter().find(|license| license.id == self.license_id);
        let next = installed.map_or(0, |license| license.version).checked_add(1);
        let version = self.version.or(next).ok_or(LicenseFileError::LastVersion)?;
        let license = License {
            id: self.license_id,
            version,
            customer: self.customer,
            mode: self.mode,
            key_type: self.key_type,
            platform: c2v.platform,
            released,
            grace_ms: self.grace_ms,
            check_interval_ms: self.check_interval_ms,
            lease: self.lease,
            tolerance: self.tolerance,
            binding: c2v.components.clone(),
            fingerprint: license_fingerprint(&c2v.components, &c2v.server_key),
            server_key: c2v.server_key,
            sections: self.sections,
        };
        license.check()?;
        Ok(license)
    }
}

/// The parser's message and line, without the line's text: it may hold a passphrase.
fn syntax_error(text: &str, error: &toml::de::Error) -> LicenseFileError {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
    LicenseFileError::Syntax { line, message: printable(error.message(), 200) }
}

/// TOML's values as JSON's, so that both are read by the same strict reader.
fn into_json_fields(table: toml::Table) -> Map<String, Value> {
    table.into_iter().map(|(name, value)| (name, into_json(value))).collect()
}

fn into_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        // A date without quotes means the same as one in quotes.
        toml::Value::Datetime(date) => date.to_string().replacen('T', " ", 1).into(),
        toml::Value::Array(values) => values.into_iter().map(into_json).collect(),
        toml::Value::Table(table) => into_json_fields(table).into(),
    }
}

fn read(mut fields: Object) -> Result<LicenseFile, Malformed> {
    let mode: Mode = fields.required("mode")?.parsed()?;
    let mut duration = |name: &str, default_ms: u64| match fields.optional(name) {
        Some(field) => field.parsed_with(parse_duration_ms),
        None => Ok(default_ms),
    };
    let grace_ms = duration("grace", mode.default_grace_ms())?;
    let check_interval_ms = duration("check_interval", DEFAULT_CHECK_INTERVAL_MS)?;
    let file = LicenseFile {
        customer: fields.required("customer")?.parsed()?,
        license_id: fields.required("license_id")?.parsed()?,
        version: fields.optional("version").map(|field| field.number()).transpose()?,
        mode,
        key_type: read_key_type(&mut fields)?,
        grace_ms,
        check_interval_ms,
        lease: fields
            .optional("lease")
            .as_ref()
            .map_or(Ok(Lease::For(DEFAULT_LEASE_MS)), read_lease)?,
        tolerance: fields.optional("tolerance").map_or(Ok(BTreeSet::new()), read_tolerance)?,
        sections: fields.required("product")?.list_of(MAX_SECTIONS, read_section)?,
    };
    fields.finish()?;
    Ok(file)
}

fn read_key_type(fields: &mut Object) -> Result<KeyType, Malformed> {
    let key_type = fields.required("key_type")?;
    let (hours, expires) = (fields.optional("hours"), fields.optional("expires"));
    match (key_type.text()?, hours, expires) {
        ("NORMAL", None, expires) => {
            Ok(KeyType::Normal { expires: read_expiry(expires.as_ref())? })
        }
        ("COUNTDOWN", Some(hours), None) => Ok(KeyType::Countdown { hours: hours.number()? }),
        ("NORMAL", Some(hours), _) => Err(hours.malformed("goes with key_type COUNTDOWN only")),
        ("COUNTDOWN", _, Some(expires)) => {
            Err(expires.malformed("goes with key_type NORMAL only; a product may have its own"))
        }
        ("COUNTDOWN", None, None) => Err(key_type.malformed("COUNTDOWN needs hours")),
        _ => Err(key_type.malformed("expected NORMAL or COUNTDOWN")),
    }
}

fn read_expiry(field: Option<&Field>) -> Result<Option<Utc>, Malformed> {
    field.map(|field| field.parsed_with(Utc::parse)).transpose()
}

fn read_lease(field: &Field) -> Result<Lease, Malformed> {
    match field.text()? {
        "grace" => Ok(Lease::Grace),
        _ => field.parsed_with(parse_duration_ms).map(Lease::For),
    }
}

fn read_tolerance(field: Field) -> Result<BTreeSet<Component>, Malformed> {
    let components = field.list_of(Component::ALL.len(), |entry| entry.parsed())?;
    Ok(components.into_iter().collect())
}

fn read_section(field: Field) -> Result<ProductSection, Malformed> {
    let mut fields = field.object()?;
    let models = fields.required("virtual_hardware")?;
    let section = ProductSection {
        code: fields.required("code")?.parsed()?,
        virtual_hardware: models.list_of(MAX_HARDWARE, |model| model.parsed())?,
        expires: read_expiry(fields.optional("expires").as_ref())?,
        major: fields.required("major")?.number()?,
        minor: fields.required("minor")?.number()?,
        max_cpu: fields.required("max_cpu")?.number()?,
        max_memory_mb: fields.required("max_memory_mb")?.number()?,
        instances: fields.required("instances")?.number()?,
        passphrase: fields.optional("passphrase").map(|secret| secret.parsed()).transpose()?,
    };
    fields.finish()?;
    Ok(section)
}
