//! The reports that tools show, made from what the node sees.

mod hosts;

use ve_core::{
    license::{KeyType, License, Mode},
    node::{Capacity, LicenseView, Node, io::UnusableLicense},
    time::Now,
};

use super::protocol::{
    DenialReport, Denials, LicenseReport, Licenses, ProductReport, SessionReport, Sessions,
};

pub use hosts::{capacity, entry, hosts_kept, instances, one_host, peers};

/// How many digits of a host's key tell hosts apart in a list.
const HOST_DIGITS: usize = 12;

/// The installed licenses, as `node` judges them. Without a running server nobody holds a seat, and
/// `serving` is false.
pub fn licenses(node: &Node, now: Now, serving: bool) -> Licenses {
    let capacity = node.capacity();
    let readable = node.licenses(now).map(|view| license(&view, capacity.as_ref(), serving));
    let unreadable = node.unusable_licenses().iter().map(unusable);
    Licenses { licenses: readable.chain(unreadable).collect() }
}

fn license(view: &LicenseView<'_>, capacity: Option<&Capacity>, serving: bool) -> LicenseReport {
    let license = view.license;
    let counts = view.remaining_ms.is_some();
    LicenseReport {
        id: license.id.to_string(),
        version: license.version,
        status: match view.standing {
            Ok(()) => "valid".to_owned(),
            Err(refusal) => refusal.to_string(),
        },
        reason: view.standing.as_ref().err().map(|refusal| refusal.code),
        remaining_seconds: view.remaining_ms.map(|left_ms| left_ms / 1_000),
        used_seconds: counts.then_some(view.used_ms / 1_000),
        mode: Some(license.mode.as_str().to_owned()),
        customer: Some(license.customer.to_string()),
        key_type: Some(license.key_type.as_str().to_owned()),
        expires: match license.key_type {
            KeyType::Normal { expires } => expires,
            KeyType::Countdown { .. } => None,
        },
        products: products(view, capacity, serving),
    }
}

fn products(
    view: &LicenseView<'_>,
    capacity: Option<&Capacity>,
    serving: bool,
) -> Vec<ProductReport> {
    let hosts = hosts_served(view.license, capacity);
    let sections = view.license.sections.iter().zip(&view.sections);
    let report =
        |(section, seats): (&ve_core::license::ProductSection, &ve_core::node::SectionView)| {
            ProductReport {
                code: section.code.to_string(),
                virtual_hardware: section
                    .virtual_hardware
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                instances: section.instances,
                in_use: serving.then_some(hosts.unwrap_or(seats.seats_held)),
                emulators: serving.then_some(seats.seats_held),
                expires: section.expires,
            }
        };
    sections.map(report).collect()
}

/// How many hosts have an instance of a license that counts hosts.
fn hosts_served(license: &License, capacity: Option<&Capacity>) -> Option<usize> {
    let served = |capacity: &Capacity| capacity.homed + capacity.guests - capacity.unserved();
    let own = capacity.filter(|capacity| capacity.license_id == license.id);
    (license.mode == Mode::AutoVe)
        .then(|| own.map_or(0, |own| usize::try_from(served(own)).unwrap_or(usize::MAX)))
}

fn unusable(license: &UnusableLicense) -> LicenseReport {
    LicenseReport {
        id: license.id.as_ref().map_or_else(|| "(unreadable)".to_owned(), ToString::to_string),
        version: 0,
        status: license.refusal.to_string(),
        reason: Some(license.refusal.code),
        remaining_seconds: None,
        used_seconds: None,
        mode: None,
        customer: None,
        key_type: None,
        expires: None,
        products: Vec::new(),
    }
}

/// Who holds a seat.
pub fn sessions(node: &Node, now: Now) -> Sessions {
    let sessions = node.sessions(now).map(|view| {
        let record = view.record;
        let mut host = record.host.to_string();
        host.truncate(HOST_DIGITS);
        SessionReport {
            id: record.number,
            product: record.product_code.to_string(),
            version: record.version.to_string(),
            virtual_hardware: record.hardware.to_string(),
            emulator: record.emulator.to_string(),
            address: record.address.to_string(),
            since: record.since,
            state: view.state.to_owned(),
            reserved_seconds: view.reserved_ms.map(|reserved_ms| reserved_ms / 1_000),
            cpus: record.cpus,
            memory_mb: record.memory_mb,
            license_id: record.license_id.to_string(),
            host,
            host_key: Some(record.host),
        }
    });
    Sessions { sessions: sessions.collect() }
}

/// Who was refused since the server's start.
pub fn denials(node: &Node) -> Denials {
    let denials = node.denials().map(|(at, denial)| DenialReport {
        at: *at,
        reason: denial.refusal.code,
        message: denial.refusal.sentence.clone(),
        version: denial.version.to_string(),
        virtual_hardware: denial.hardware.to_string(),
        emulator: denial.emulator.to_string(),
        address: denial.address.to_string(),
    });
    Denials { denials: denials.collect() }
}
