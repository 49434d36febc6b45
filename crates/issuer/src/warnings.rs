//! What a vendor should look at twice before a license goes out. Nothing here refuses anything.

use std::collections::BTreeSet;

use ve_core::{
    fingerprint::Component,
    license::{KeyType, License},
    time::Utc,
};
use ve_documents::{c2v::C2v, keys::KeyId};

/// A server clock that is further ahead than this makes a license wait (`not-yet-valid`), in seconds.
const TOLERATED_CLOCK_SECONDS: i64 = 24 * 3600;

/// The components that tell one machine from another of the same kind.
const IDENTIFYING: [Component; 3] =
    [Component::ProductUuid, Component::RootFilesystem, Component::MachineId];

/// All warnings about `license`, made for the server that `c2v` describes and signed with `kid`; one
/// sentence each.
pub fn warnings(license: &License, c2v: &C2v, kid: &KeyId) -> Vec<String> {
    [version(license, c2v), trust(c2v, kid), binding(license), unreadable(c2v), clock(license, c2v)]
        .into_iter()
        .flatten()
        .chain(expiry(license))
        .collect()
}

fn version(license: &License, c2v: &C2v) -> Option<String> {
    let installed = c2v.licenses.iter().find(|installed| installed.id == license.id)?;
    (license.version <= installed.version).then(|| {
        format!(
            "version {} is not above version {} of license {}, which the server reports as \
             installed; the server will refuse to go back",
            license.version, installed.version, license.id
        )
    })
}

fn trust(c2v: &C2v, kid: &KeyId) -> Option<String> {
    (!c2v.trusted_vendor_keys.contains(kid)).then(|| {
        format!(
            "the server does not trust vendor key {kid} yet; send your vendor.pub along, or the \
             license will not be accepted"
        )
    })
}

fn binding(license: &License) -> Option<String> {
    let fixed: BTreeSet<Component> = license
        .binding
        .0
        .keys()
        .copied()
        .filter(|name| !license.tolerance.contains(name))
        .collect();
    if fixed.is_empty() {
        return Some(
            "the license is bound to no component of the machine, only to the server's key, which \
             can be copied"
                .to_string(),
        );
    }
    (!IDENTIFYING.iter().any(|name| fixed.contains(name))).then(|| {
        format!(
            "the license is bound to {} only, which other machines share; a copy of the server's \
             folder would run there",
            names(fixed.iter())
        )
    })
}

fn unreadable(c2v: &C2v) -> Option<String> {
    (!c2v.unreadable.is_empty()).then(|| {
        format!(
            "the server could not read {}, so the license is not bound to it",
            names(c2v.unreadable.iter())
        )
    })
}

fn clock(license: &License, c2v: &C2v) -> Option<String> {
    let difference = license.released.0.saturating_sub(c2v.created.0);
    (difference < -TOLERATED_CLOCK_SECONDS).then(|| {
        format!(
            "the fingerprint file is from {}, which lies ahead of this computer's clock ({}); one \
             of the two clocks is wrong",
            c2v.created, license.released
        )
    })
}

fn expiry(license: &License) -> Vec<String> {
    let over = |expires: Utc| expires <= license.released;
    let mut sentences = Vec::new();
    if let KeyType::Normal { expires: Some(expires) } = license.key_type
        && over(expires)
    {
        sentences.push(format!("the license has expired already ({expires} UTC)"));
    }
    for section in &license.sections {
        if let Some(expires) = section.expires.filter(|&expires| over(expires)) {
            sentences.push(format!("product {} has expired already ({expires} UTC)", section.code));
        }
    }
    sentences
}

fn names<'a>(components: impl Iterator<Item = &'a Component>) -> String {
    components.map(|component| component.as_str()).collect::<Vec<_>>().join(", ")
}
