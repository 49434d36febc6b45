//! Signs that a machine is virtual.
//!
//! The BIOS vendor is none: the same free firmware runs in every cloud, and on some boards too.

use ve_core::text::printable;

use crate::Sources;

/// What the machine shows of a hypervisor.
pub(crate) enum Signs {
    /// A sign of a hypervisor; names it, as part of a sentence.
    Virtual(String),
    /// The processors were looked at and nothing speaks of a hypervisor; says so likewise.
    Physical(String),
    /// What would tell can't be read; says so likewise.
    Unknown(String),
}

/// How much of a text from the machine a message shows, in characters.
const SHOWN_CHARACTERS: usize = 64;

/// System vendors whose machines are all virtual, by the start of the DMI text.
const VIRTUAL_VENDORS: [&str; 12] = [
    "QEMU",
    "VMware",
    "innotek GmbH",
    "Xen",
    "Bochs",
    "Parallels",
    "BHYVE",
    "KubeVirt",
    "OpenStack",
    "Amazon EC2",
    "DigitalOcean",
    "Alibaba Cloud",
];

/// Products that are virtual machines, by the start of the DMI text, for vendors that build
/// hardware as well (Microsoft, Google, Nutanix, Red Hat, Oracle, Apple).
const VIRTUAL_PRODUCTS: [&str; 13] = [
    "Virtual Machine",
    "Google Compute Engine",
    "AHV",
    "KVM",
    "KubeVirt",
    "OpenStack",
    "RHEV Hypervisor",
    "oVirt",
    "VirtualBox",
    "VMware",
    "HVM domU",
    "Apple Virtualization",
    "Standard PC (",
];

/// Looks for a sign of a hypervisor, the most telling first.
///
/// Without one the machine counts as physical only if `/proc/cpuinfo` could be read: a hardened
/// service may lack it (systemd's `ProcSubset`), and must not take a virtual machine for hardware.
pub(crate) fn signs(sources: &Sources) -> Signs {
    if let Some(sign) = dmi(sources).or_else(|| other_signs(sources)) {
        return Signs::Virtual(sign);
    }
    match sources.long_text("proc/cpuinfo") {
        Ok(Some(processors)) if has_hypervisor_flag(&processors) => {
            Signs::Virtual("/proc/cpuinfo shows the hypervisor flag".to_string())
        }
        Ok(Some(_)) => Signs::Physical("nothing in DMI or /proc/cpuinfo shows one".to_string()),
        Ok(None) => Signs::Unknown("there is no /proc/cpuinfo".to_string()),
        Err(why) => Signs::Unknown(why.to_string()),
    }
}

/// The system vendor and product name in DMI; both are readable for all.
fn dmi(sources: &Sources) -> Option<String> {
    let field = |name: &str| sources.hint(&format!("sys/class/dmi/id/{name}")).unwrap_or_default();
    let (vendor, product) = (field("sys_vendor"), field("product_name"));
    let starts_with_any = |text: &str, starts: &[&str]| starts.iter().any(|s| text.starts_with(s));
    // Amazon's bare metal instances are named like m5.metal.
    let virtual_vendor = starts_with_any(&vendor, &VIRTUAL_VENDORS) && !product.contains("metal");
    (virtual_vendor || starts_with_any(&product, &VIRTUAL_PRODUCTS)).then(|| {
        let shown = |text: &str| printable(text, SHOWN_CHARACTERS);
        format!("DMI names the system \"{}\" by \"{}\"", shown(&product), shown(&vendor))
    })
}

/// Machines without DMI: Xen's own folder, and the device tree of ARM and POWER guests.
fn other_signs(sources: &Sources) -> Option<String> {
    let device_tree = "sys/firmware/devicetree/base";
    if let Some(kind) = sources.hint("sys/hypervisor/type") {
        let kind = printable(&kind, SHOWN_CHARACTERS);
        return Some(format!("/sys/hypervisor/type says \"{kind}\""));
    }
    if sources.has(&format!("{device_tree}/hypervisor")) {
        return Some("the device tree has a hypervisor".to_string());
    }
    let board = sources.hint(&format!("{device_tree}/compatible"))?;
    let is_virtual = board.contains("dummy-virt") || board.contains("qemu");
    is_virtual.then(|| "the device tree describes a virtual board".to_string())
}

/// x86 processors show a guest that it is one, unless the hypervisor hides itself.
fn has_hypervisor_flag(processors: &str) -> bool {
    let mut fields = processors.lines().filter_map(|line| line.split_once(':'));
    let flags = fields.find(|(key, _)| key.trim() == "flags");
    flags.is_some_and(|(_, flags)| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}
