//! What the license viewer shows: the installed licenses, in the lines that scripts know.

use std::fmt::{self, Write};

use serde_json::{Value as Json, json};
use ve_core::{
    license::{License, Mode, Verified},
    text::printable,
    time::{SECOND_MS, spoken_hours},
    update::{self, Field},
};
use ve_documents::v2c::{self, Passphrases};

use crate::control::protocol::LicenseReport;

/// The longest part of a text from a running server that is shown, in characters.
const MAX_SHOWN: usize = 1_000;

/// Everything as text.
pub fn text(
    licenses: &[Verified<License>],
    reports: &[LicenseReport],
    passphrases: Passphrases,
) -> String {
    let mut out = String::from("<<License Viewer>>\n");
    let written = if reports.is_empty() {
        writeln!(out, "\nNo license is installed.")
    } else {
        reports.iter().try_for_each(|report| write_license(&mut out, licenses, report, passphrases))
    };
    written.expect("a String takes all that is written to it");
    out
}

fn write_license(
    out: &mut String,
    licenses: &[Verified<License>],
    report: &LicenseReport,
    passphrases: Passphrases,
) -> fmt::Result {
    writeln!(out, "\nCurrent license:")?;
    let license = find(licenses, report);
    match license {
        Some(license) => write_fields(out, update::header_fields(license), passphrases)?,
        None => writeln!(out, "License ID: {}", printable(&report.id, MAX_SHOWN))?,
    }
    if let Some(remaining) = report.remaining_seconds {
        let hours = spoken_hours(remaining.saturating_mul(SECOND_MS));
        writeln!(out, "Remaining: {hours} hour(s)")?;
    }
    writeln!(out, "Status: {}", printable(&report.status, MAX_SHOWN))?;
    if let Some(license) = license.filter(|license| license.mode == Mode::AutoVe) {
        writeln!(out, "Mode: {}", license.mode)?;
    }
    let Some(license) = license else { return Ok(()) };
    let end = match update::expiration(license.key_type) {
        _ if report.remaining_seconds.is_some() => "none".to_string(),
        end => end,
    };
    license.sections.iter().try_for_each(|section| {
        writeln!(out)?;
        write_fields(out, update::section_fields(section, &end), passphrases)
    })
}

fn write_fields(out: &mut String, fields: Vec<Field>, passphrases: Passphrases) -> fmt::Result {
    fields.into_iter().try_for_each(|(name, value)| match passphrases {
        Passphrases::Masked => writeln!(out, "{name}: {}", value.masked()),
        Passphrases::Revealed => writeln!(out, "{name}: {}", value.revealed()),
    })
}

/// The license that a report is about: the very version.
fn find<'a>(licenses: &'a [Verified<License>], report: &LicenseReport) -> Option<&'a License> {
    let is_it = |license: &&Verified<License>| {
        license.id.as_str() == report.id && license.version == report.version
    };
    licenses.iter().find(is_it).map(|license| &**license)
}

/// Everything as JSON: each license's report, and the fields of its file in `license`.
pub fn json(
    licenses: &[Verified<License>],
    reports: &[LicenseReport],
    passphrases: Passphrases,
) -> serde_json::Result<Json> {
    let of_report = |report: &LicenseReport| {
        let mut object = serde_json::to_value(report)?;
        object["license"] =
            find(licenses, report).map_or(Json::Null, |license| v2c::to_json(license, passphrases));
        Ok(object)
    };
    let reports: serde_json::Result<Vec<Json>> = reports.iter().map(of_report).collect();
    Ok(json!({ "licenses": reports? }))
}
