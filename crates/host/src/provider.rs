//! Whose machine this looks like: information for lists, and whether a provider is worth asking.
//!
//! Licenses are bound to [`crate::platform`]'s reading, which takes every virtual machine for any of
//! the virtual platforms. This one is a guess by what firmware says, and nothing depends on it.

use ve_core::fingerprint::Platform;

use crate::{
    Sources,
    detection::{self, Signs},
};

/// What firmware says on the machines of one provider: a file in `/sys/class/dmi/id`, how its text
/// begins, and the provider. The first that fits counts.
const MARKS: [(&str, &str, Platform); 8] = [
    ("sys_vendor", "Amazon EC2", Platform::AmazonAws),
    ("bios_vendor", "Amazon EC2", Platform::AmazonAws),
    ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", Platform::MicrosoftAzure),
    ("product_name", "Google Compute Engine", Platform::GoogleGcp),
    ("chassis_asset_tag", "OracleCloud.com", Platform::OracleOci),
    ("chassis_vendor", "IBM:Cloud", Platform::IbmCloud),
    ("sys_vendor", "VMware", Platform::VmwareEsxi),
    ("product_name", "AHV", Platform::NutanixAhv),
];

/// What the BIOS version of Amazon's older machines, which call themselves Xen, has in it.
const AMAZON_XEN: &str = "amazon";

/// The platform that the machine shows; `None` when nothing tells.
pub(crate) fn platform(sources: &Sources) -> Option<Platform> {
    let dmi = |name: &str| sources.hint(&format!("sys/class/dmi/id/{name}")).unwrap_or_default();
    let marked = MARKS.iter().find(|(file, start, _)| dmi(file).starts_with(start));
    if let Some((_, _, platform)) = marked {
        return Some(*platform);
    }
    if dmi("bios_version").contains(AMAZON_XEN) {
        return Some(Platform::AmazonAws);
    }
    match detection::signs(sources) {
        Signs::Virtual(_) => Some(Platform::Kvm),
        Signs::Physical(_) => Some(Platform::Physical),
        Signs::Unknown(_) => None,
    }
}
