//! A license as the payload of a V2C: written and read field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use ve_core::{
    fingerprint::{Component, Fingerprint},
    license::{KeyType, Lease, License, MAX_HARDWARE, MAX_SECTIONS, ProductSection},
    time::Utc,
};

use crate::strict_json::{Field, Malformed, Object};

/// How passphrases are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passphrases {
    /// With stars, for the eye.
    Masked,
    /// In full.
    Revealed,
}

/// The payload of a V2C that carries `license` and `credential`.
pub(crate) fn write(license: &License, credential: &str) -> Value {
    let mut payload = to_json(license, Passphrases::Revealed);
    payload["credential"] = credential.into();
    payload
}

/// A license as JSON: the fields of a V2C's payload without the credential.
pub fn to_json(license: &License, passphrases: Passphrases) -> Value {
    let section = |section: &ProductSection| write_section(section, passphrases);
    let mut payload = json!({
        "license_id": license.id,
        "version": license.version,
        "customer": license.customer,
        "mode": license.mode,
        "key_type": license.key_type.as_str(),
        "platform": license.platform,
        "released": license.released.to_string(),
        "grace_ms": license.grace_ms,
        "check_interval_ms": license.check_interval_ms,
        "lease_ms": match license.lease {
            Lease::For(lease_ms) => Value::from(lease_ms),
            Lease::Grace => Value::from("grace"),
        },
        "tolerance": license.tolerance,
        "binding": write_digests(&license.binding),
        "fingerprint": license.fingerprint,
        "server_key": license.server_key,
        "products": license.sections.iter().map(section).collect::<Vec<_>>(),
    });
    match license.key_type {
        KeyType::Normal { expires: None } => {}
        KeyType::Normal { expires: Some(expires) } => {
            payload["expires"] = expires.to_string().into();
        }
        KeyType::Countdown { hours } => payload["hours"] = hours.into(),
    }
    payload
}

fn write_section(section: &ProductSection, passphrases: Passphrases) -> Value {
    let mut fields = json!({
        "code": section.code,
        "virtual_hardware": section.virtual_hardware,
        "major": section.major,
        "minor": section.minor,
        "max_cpu": section.max_cpu,
        "max_memory_mb": section.max_memory_mb,
        "instances": section.instances,
    });
    if let Some(expires) = section.expires {
        fields["expires"] = expires.to_string().into();
    }
    if let Some(passphrase) = &section.passphrase {
        fields["passphrase"] = match passphrases {
            Passphrases::Masked => passphrase.masked().into(),
            Passphrases::Revealed => passphrase.reveal().into(),
        };
    }
    fields
}

/// Component digests as an object.
pub(crate) fn write_digests(digests: &Fingerprint) -> Value {
    let fields = digests.0.iter().map(|(name, digest)| (name.to_string(), json!(digest)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Reads the payload of a V2C: the license and the credential's text. Ranges and the rules between
/// fields are [`License::check`]'s.
pub(crate) fn read(payload: &[u8]) -> Result<(License, String), Malformed> {
    let mut fields = Object::parse(payload)?;
    let license = License {
        id: fields.required("license_id")?.parsed()?,
        version: fields.required("version")?.number()?,
        customer: fields.required("customer")?.parsed()?,
        mode: fields.required("mode")?.parsed()?,
        key_type: read_key_type(&mut fields)?,
        platform: fields.required("platform")?.parsed()?,
        released: read_date(&fields.required("released")?)?,
        grace_ms: fields.required("grace_ms")?.number()?,
        check_interval_ms: fields.required("check_interval_ms")?.number()?,
        lease: read_lease(&fields.required("lease_ms")?)?,
        tolerance: read_components(fields.required("tolerance")?)?,
        binding: read_digests(fields.required("binding")?)?,
        fingerprint: fields.required("fingerprint")?.parsed()?,
        server_key: fields.required("server_key")?.parsed()?,
        sections: fields.required("products")?.list_of(MAX_SECTIONS, read_section)?,
    };
    let credential = fields.required("credential")?.text()?.to_string();
    fields.finish()?;
    Ok((license, credential))
}

fn read_key_type(fields: &mut Object) -> Result<KeyType, Malformed> {
    let key_type = fields.required("key_type")?;
    match key_type.text()? {
        "NORMAL" => {
            let expires = fields.optional("expires");
            Ok(KeyType::Normal { expires: expires.as_ref().map(read_date).transpose()? })
        }
        "COUNTDOWN" => Ok(KeyType::Countdown { hours: fields.required("hours")?.number()? }),
        _ => Err(key_type.malformed("expected NORMAL or COUNTDOWN")),
    }
}

fn read_lease(field: &Field) -> Result<Lease, Malformed> {
    if !field.is_text() {
        return field.number().map(Lease::For);
    }
    match field.text()? {
        "grace" => Ok(Lease::Grace),
        _ => Err(field.malformed("expected milliseconds or \"grace\"")),
    }
}

fn read_section(field: Field) -> Result<ProductSection, Malformed> {
    let mut fields = field.object()?;
    let section = ProductSection {
        code: fields.required("code")?.parsed()?,
        virtual_hardware: fields
            .required("virtual_hardware")?
            .list_of(MAX_HARDWARE, |model| model.parsed())?,
        expires: fields.optional("expires").as_ref().map(read_date).transpose()?,
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

/// A date and time, `2026-12-31 15:55:00`, in UTC.
pub(crate) fn read_date(field: &Field) -> Result<Utc, Malformed> {
    field.parsed_with(Utc::parse)
}

/// A list of components, none of them twice.
pub(crate) fn read_components(field: Field) -> Result<BTreeSet<Component>, Malformed> {
    let mut components = BTreeSet::new();
    for entry in field.list()? {
        if !components.insert(entry.parsed()?) {
            return Err(entry.malformed("is given twice"));
        }
    }
    Ok(components)
}

/// An object of component digests.
pub(crate) fn read_digests(field: Field) -> Result<Fingerprint, Malformed> {
    let mut digests = BTreeMap::new();
    for (name, digest) in field.object()?.into_fields() {
        let component = name.parse::<Component>().map_err(|error| digest.malformed(error))?;
        digests.insert(component, digest.parsed()?);
    }
    Ok(Fingerprint(digests))
}
