//! Which product section serves a request: the rules, in their order, and the best of those that fit.

use alloc::{format, string::String, vec::Vec};
use core::cmp::Ordering;

use crate::{
    license::{KeyType, License, ProductSection, ProductVersion},
    reason::{ReasonCode, Refusal},
    text::{Name, Passphrase},
    time::{MINUTE_MS, Utc, spoken_duration},
};

/// What a client wants a seat for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The emulated model.
    pub hardware: Name,
    /// The version of the emulator product.
    pub version: ProductVersion,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Virtual memory in MB.
    pub memory_mb: u64,
    /// The secret of the section that is meant.
    pub passphrase: Option<Passphrase>,
}

/// One section that might serve, with what the rules need to know of its license.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The license, which is bound to this machine and trusted.
    pub license: &'a License,
    /// The section's place in the license, from 0.
    pub index: usize,
    /// Whether a `COUNTDOWN` license has time left.
    pub hours_left: bool,
    /// Seats that no session holds.
    pub free_seats: u32,
    /// For how long none of them can be given away, in milliseconds, because they may have holders
    /// that the ledger does not know; `None`: they can.
    pub holders_unknown_ms: Option<u64>,
}

impl<'a> Candidate<'a> {
    fn section(&self) -> &'a ProductSection {
        &self.license.sections[self.index]
    }

    /// The section's end: its own or its license's, whichever comes first.
    fn expires(&self) -> Option<Utc> {
        expiry(self.license, self.section())
    }
}

/// When a section of a license ends: by its own date or the license's, whichever comes first.
pub fn expiry(license: &License, section: &ProductSection) -> Option<Utc> {
    let license_end = match license.key_type {
        KeyType::Normal { expires } => expires,
        KeyType::Countdown { .. } => None,
    };
    section.expires.into_iter().chain(license_end).min()
}

/// A rule that failed: its place in the order, and the refusal.
type Failure = (usize, Refusal);

/// Chooses the section for `wanted` at the time `judged`, or says which rule refuses.
///
/// Of the sections that fit: `NORMAL` before `COUNTDOWN`, then the smallest sufficient maximum of
/// CPUs, then of memory, then the earliest expiry, then the license ID. If none fits, the refusal is
/// that of the section that passed most rules.
pub fn select<'a>(
    candidates: &[Candidate<'a>],
    wanted: &Wanted,
    judged: Utc,
) -> Result<Candidate<'a>, Refusal> {
    let mut candidates: Vec<Candidate<'a>> = candidates.to_vec();
    candidates.sort_by(preference);
    let mut best_failure: Option<Failure> = None;
    for candidate in &candidates {
        match first_failure(candidate, wanted, judged) {
            None => return Ok(*candidate),
            Some(failure) => {
                if best_failure.as_ref().is_none_or(|best| failure.0 > best.0) {
                    best_failure = Some(failure);
                }
            }
        }
    }
    if passphrase_is_needed(&candidates, wanted) {
        return Err(passphrase_refusal(wanted));
    }
    Err(best_failure.map_or_else(
        || Refusal::new(ReasonCode::LicenseNotAvailable, "no license is installed on this server."),
        |(_, refusal)| refusal,
    ))
}

/// Whether a candidate may go on serving what it was chosen for, whatever seats are free, whatever
/// hours are left and whatever passphrase opened it then.
pub fn still_covered(
    candidate: &Candidate<'_>,
    wanted: &Wanted,
    judged: Utc,
) -> Result<(), Refusal> {
    let rules = [hardware_rule, version_rule, cpu_rule, memory_rule, expiry_rule];
    rules.iter().try_for_each(|rule| rule(candidate, wanted, judged))
}

fn preference(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let countdown =
        |candidate: &Candidate<'_>| matches!(candidate.license.key_type, KeyType::Countdown { .. });
    // No expiry at all is the latest.
    let expires = |candidate: &Candidate<'_>| candidate.expires().map_or(i64::MAX, |end| end.0);
    let key = |candidate: &Candidate<'_>| {
        let section = candidate.section();
        (countdown(candidate), section.max_cpu, section.max_memory_mb, expires(candidate))
    };
    key(a).cmp(&key(b)).then_with(|| a.license.id.cmp(&b.license.id)).then(a.index.cmp(&b.index))
}

type Rule = fn(&Candidate<'_>, &Wanted, Utc) -> Result<(), Refusal>;

/// The rules, in the order in which they are asked.
const RULES: [Rule; 8] = [
    passphrase_rule,
    hardware_rule,
    version_rule,
    cpu_rule,
    memory_rule,
    expiry_rule,
    hours_rule,
    seat_rule,
];

fn first_failure(candidate: &Candidate<'_>, wanted: &Wanted, judged: Utc) -> Option<Failure> {
    RULES.iter().enumerate().find_map(|(place, rule)| {
        rule(candidate, wanted, judged).err().map(|refusal| (place, refusal))
    })
}

/// A client that names no passphrase, and hardware that only sections with one cover.
fn passphrase_is_needed(candidates: &[Candidate<'_>], wanted: &Wanted) -> bool {
    let covering =
        || candidates.iter().filter(|candidate| candidate.section().covers(&wanted.hardware));
    wanted.passphrase.is_none()
        && covering().next().is_some()
        && covering().all(|candidate| candidate.section().passphrase.is_some())
}

fn passphrase_refusal(wanted: &Wanted) -> Refusal {
    let sentence = if wanted.passphrase.is_some() {
        String::from("no product section has the given passphrase.")
    } else {
        format!("{} needs a passphrase and none was given.", wanted.hardware)
    };
    Refusal::new(ReasonCode::PassphraseInvalid, sentence)
}

fn refuse_unless(
    holds: bool,
    code: ReasonCode,
    sentence: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::new(code, sentence())) }
}

fn passphrase_rule(candidate: &Candidate<'_>, wanted: &Wanted, _: Utc) -> Result<(), Refusal> {
    if candidate.section().passphrase == wanted.passphrase {
        Ok(())
    } else {
        Err(passphrase_refusal(wanted))
    }
}

fn hardware_rule(candidate: &Candidate<'_>, wanted: &Wanted, _: Utc) -> Result<(), Refusal> {
    refuse_unless(
        candidate.section().covers(&wanted.hardware),
        ReasonCode::HardwareNotLicensed,
        || format!("virtual hardware {} is not licensed.", wanted.hardware),
    )
}

fn version_rule(candidate: &Candidate<'_>, wanted: &Wanted, _: Utc) -> Result<(), Refusal> {
    let (section, version) = (candidate.section(), &wanted.version);
    let holds = version.major() == section.major && version.minor() <= section.minor;
    refuse_unless(holds, ReasonCode::VersionNotLicensed, || {
        format!(
            "version {version} is not licensed, {} is licensed for {}.0 to {}.{}.",
            section.code, section.major, section.major, section.minor
        )
    })
}

fn cpu_rule(candidate: &Candidate<'_>, wanted: &Wanted, _: Utc) -> Result<(), Refusal> {
    let section = candidate.section();
    refuse_unless(wanted.cpus <= section.max_cpu, ReasonCode::CpuLimit, || {
        format!(
            "{} virtual CPUs were asked for, {} allows {}.",
            wanted.cpus, section.code, section.max_cpu
        )
    })
}

fn memory_rule(candidate: &Candidate<'_>, wanted: &Wanted, _: Utc) -> Result<(), Refusal> {
    let section = candidate.section();
    refuse_unless(wanted.memory_mb <= section.max_memory_mb, ReasonCode::MemoryLimit, || {
        format!(
            "{} MB of virtual memory were asked for, {} allows {} MB.",
            wanted.memory_mb, section.code, section.max_memory_mb
        )
    })
}

fn expiry_rule(candidate: &Candidate<'_>, _: &Wanted, judged: Utc) -> Result<(), Refusal> {
    let expires = candidate.expires();
    refuse_unless(expires.is_none_or(|end| judged < end), ReasonCode::LicenseExpired, || {
        let end = expires.unwrap_or_default();
        format!(
            "{} of license {} expired on {end} UTC.",
            candidate.section().code,
            candidate.license.id
        )
    })
}

fn hours_rule(candidate: &Candidate<'_>, _: &Wanted, _: Utc) -> Result<(), Refusal> {
    refuse_unless(candidate.hours_left, ReasonCode::HoursExhausted, || {
        hours_exhausted(candidate.license)
    })
}

/// The sentence for a license whose hours are used up.
pub(crate) fn hours_exhausted(license: &License) -> String {
    let hours = license.key_type.licensed_ms().unwrap_or(0) / crate::time::HOUR_MS;
    match hours {
        1 => format!("the only hour of license {} is used up.", license.id),
        _ => format!("all {hours} hours of license {} are used up.", license.id),
    }
}

fn seat_rule(candidate: &Candidate<'_>, _: &Wanted, _: Utc) -> Result<(), Refusal> {
    refuse_unless(candidate.free_seats > 0, ReasonCode::InstanceLimit, || {
        instances_in_use(candidate.section())
    })?;
    let unknown_ms = candidate.holders_unknown_ms;
    refuse_unless(unknown_ms.is_none(), ReasonCode::InstanceLimit, || {
        holders_unknown(candidate.section(), unknown_ms.unwrap_or(0))
    })
}

/// The sentence for a section whose holders the server may have forgotten.
fn holders_unknown(section: &ProductSection, for_ms: u64) -> String {
    let minutes = for_ms.div_ceil(MINUTE_MS);
    format!(
        "the server's ledger was lost or restored, so emulators that it does not know may still \
         use {}; free instances are given out again in {}.",
        section.code,
        spoken_duration(minutes * MINUTE_MS)
    )
}

/// The sentence for a section without a free seat.
pub(crate) fn instances_in_use(section: &ProductSection) -> String {
    match section.instances {
        1 => format!("the only instance of {} is in use.", section.code),
        count => format!("all {count} instances of {} are in use.", section.code),
    }
}
