//! Documents for the eye and as JSON.

use std::fmt::{self, Write};

use serde_json::{Value, json};
use ve_core::{
    license::{KeyType, Lease, License, ProductSection},
    text::Name,
    time::{MINUTE_MS, SECOND_MS, spoken_duration, spoken_hours},
};
use ve_documents::{
    c2v::{self, C2v, InstalledLicense},
    v2c::{self, Passphrases},
};

use crate::inspect::{Document, Inspection, Signature};

/// An inspection as lines of `Label: value`, in `license_viewer`'s words where it has them.
pub fn text(inspection: &Inspection, passphrases: Passphrases) -> String {
    let mut out = String::new();
    let written = match &inspection.document {
        Document::V2c(v2c) => write_v2c(&mut out, inspection, &v2c.license, passphrases),
        Document::C2v(c2v) => write_c2v(&mut out, inspection, c2v),
    };
    written.expect("a String takes all that is written to it");
    out
}

/// An inspection as a JSON object and a newline; the vendor's guide documents its fields.
pub fn json(inspection: &Inspection, passphrases: Passphrases) -> String {
    let reason = match &inspection.signature {
        Signature::Invalid { reason } => Value::from(reason.as_str()),
        _ => Value::Null,
    };
    let signature = json!({
        "state": inspection.signature.state(),
        "kid": inspection.kid.as_str(),
        "reason": reason,
    });
    let object = match &inspection.document {
        Document::V2c(v2c) => json!({
            "type": "v2c",
            "signature": signature,
            "license": v2c::to_json(&v2c.license, passphrases),
        }),
        Document::C2v(c2v) => json!({
            "type": "c2v",
            "signature": signature,
            "c2v": c2v::to_json(c2v),
        }),
    };
    format!("{object:#}\n")
}

fn write_v2c(
    out: &mut String,
    inspection: &Inspection,
    license: &License,
    passphrases: Passphrases,
) -> fmt::Result {
    writeln!(out, "<<License file (V2C)>>\n")?;
    writeln!(out, "Signature: {}", signature_sentence(inspection))?;
    writeln!(out, "Vendor key: {}", inspection.kid)?;
    writeln!(out, "License fingerprint: {}", license.fingerprint)?;
    writeln!(out, "Customer name: {}", license.customer)?;
    writeln!(out, "License ID: {}", license.id)?;
    writeln!(out, "License version: {}", license.version)?;
    writeln!(out, "Mode: {}", license.mode)?;
    writeln!(out, "Key type: {}", license.key_type.as_str())?;
    writeln!(out, "Expiration date: {}", expiration(license.key_type))?;
    writeln!(out, "Platform: {}", license.platform)?;
    writeln!(out, "Release date: {}", license.released)?;
    writeln!(out, "Grace period: {}", duration(license.grace_ms))?;
    writeln!(out, "License check interval: {}", duration(license.check_interval_ms))?;
    writeln!(out, "Lease: {}", lease(license.lease))?;
    writeln!(out, "Bound to: {}", list(license.binding.0.keys()))?;
    writeln!(out, "Tolerance: {}", list(&license.tolerance))?;
    writeln!(out, "Server key: {}", license.server_key)?;
    license.sections.iter().try_for_each(|section| write_section(out, section, passphrases))
}

fn write_section(
    out: &mut String,
    section: &ProductSection,
    passphrases: Passphrases,
) -> fmt::Result {
    let models: Vec<&str> = section.virtual_hardware.iter().map(Name::as_str).collect();
    writeln!(out, "\nVirtual Hardware: {}", models.join(","))?;
    writeln!(out, "Product code: {}", section.code)?;
    match section.expires {
        Some(expires) => writeln!(out, "Expiration date: {expires}")?,
        None => writeln!(out, "Expiration date: with the license")?,
    }
    writeln!(out, "Major Version: {}", section.major)?;
    writeln!(out, "Minor Version: {}", section.minor)?;
    writeln!(out, "Maximum CPU: {}", section.max_cpu)?;
    writeln!(out, "Maximum virtual memory: {}MB", section.max_memory_mb)?;
    writeln!(out, "Instances allowed: {}", section.instances)?;
    match (&section.passphrase, passphrases) {
        (None, _) => Ok(()),
        (Some(secret), Passphrases::Masked) => writeln!(out, "Passphrase: {}", secret.masked()),
        (Some(secret), Passphrases::Revealed) => writeln!(out, "Passphrase: {}", secret.reveal()),
    }
}

fn write_c2v(out: &mut String, inspection: &Inspection, c2v: &C2v) -> fmt::Result {
    writeln!(out, "<<Fingerprint file (C2V)>>\n")?;
    writeln!(out, "Signature: {}", signature_sentence(inspection))?;
    writeln!(out, "Server key: {}", c2v.server_key)?;
    writeln!(out, "Platform: {}", c2v.platform)?;
    writeln!(out, "Created: {}", c2v.created)?;
    writeln!(out, "Software version: {}", c2v.software_version)?;
    for (component, digest) in &c2v.components.0 {
        writeln!(out, "Component {component}: {digest}")?;
    }
    writeln!(out, "Unreadable: {}", list(&c2v.unreadable))?;
    writeln!(out, "Trusted vendor keys: {}", list(&c2v.trusted_vendor_keys))?;
    if c2v.licenses.is_empty() {
        return writeln!(out, "No license is installed.");
    }
    c2v.licenses.iter().try_for_each(|installed| write_installed(out, installed))
}

fn write_installed(out: &mut String, installed: &InstalledLicense) -> fmt::Result {
    writeln!(out, "\nLicense ID: {}", installed.id)?;
    writeln!(out, "License version: {}", installed.version)?;
    let hours = |seconds: u64| spoken_hours(seconds.saturating_mul(SECOND_MS));
    if let Some(remaining) = installed.remaining_seconds {
        writeln!(out, "Used: {} hour(s)", hours(installed.used_seconds))?;
        writeln!(out, "Remaining: {} hour(s)", hours(remaining))?;
    }
    Ok(())
}

fn signature_sentence(inspection: &Inspection) -> String {
    match (&inspection.signature, &inspection.document) {
        (Signature::Valid, Document::V2c(_)) => "valid, by the vendor key below".to_string(),
        (Signature::Valid, Document::C2v(_)) => "valid, by the server's own key".to_string(),
        (Signature::Unchecked, _) => {
            "not checked: name the vendor's public key with --vendor-key".to_string()
        }
        (Signature::UnknownSigner, _) => {
            "not checked: none of the given vendor keys is the one below".to_string()
        }
        (Signature::Invalid { reason }, _) => format!("NOT VALID: {reason}"),
    }
}

fn expiration(key_type: KeyType) -> String {
    match key_type {
        KeyType::Normal { expires: None } => "none".to_string(),
        KeyType::Normal { expires: Some(expires) } => expires.to_string(),
        KeyType::Countdown { hours } => format!("{hours} hour(s)"),
    }
}

fn lease(lease: Lease) -> String {
    match lease {
        Lease::For(lease_ms) => duration(lease_ms),
        Lease::Grace => "grace".to_string(),
    }
}

/// Minutes where they are whole, as `license_viewer` prints them; seconds otherwise.
fn duration(duration_ms: u64) -> String {
    if duration_ms.is_multiple_of(MINUTE_MS) {
        let minutes = duration_ms / MINUTE_MS;
        return format!("{minutes} minute{}", if minutes == 1 { "" } else { "s" });
    }
    spoken_duration(duration_ms)
}

fn list<T: fmt::Display>(entries: impl IntoIterator<Item = T>) -> String {
    let entries: Vec<String> = entries.into_iter().map(|entry| entry.to_string()).collect();
    if entries.is_empty() { "none".to_string() } else { entries.join(", ") }
}
