//! What a license is bound to: digests of a machine's components, and what counts as a change.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{id::Digest, names::closed_names};

closed_names! {
    /// One component of a machine that a license may be bound to.
    Component {
        /// The identity that the hypervisor or the board gives (DMI product UUID).
        ProductUuid = "product-uuid",
        /// The UUID of the root filesystem.
        RootFilesystem = "root-filesystem",
        /// The machine ID of the installed system.
        MachineId = "machine-id",
        /// How many CPU cores the machine has (not: how many this process may use).
        CpuCores = "cpu-cores",
        /// The kind of machine or cloud.
        Platform = "platform",
    }
}

closed_names! {
    /// The kind of machine or cloud that a server runs on.
    Platform {
        /// Amazon Web Services.
        AmazonAws = "amazon.aws",
        /// Microsoft Azure.
        MicrosoftAzure = "microsoft.azure",
        /// Google Cloud Platform.
        GoogleGcp = "google.gcp",
        /// Oracle Cloud Infrastructure.
        OracleOci = "oracle.oci",
        /// IBM Cloud.
        IbmCloud = "ibm.cloud",
        /// `VMware ESXi`.
        VmwareEsxi = "vmware.esxi",
        /// Nutanix AHV.
        NutanixAhv = "nutanix.ahv",
        /// Any other virtual machine.
        Kvm = "kvm",
        /// No virtual machine.
        Physical = "physical",
    }
}

/// What could be learned of one component, now, on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The digests of the component's value. A value that several sources name in different forms
    /// has one digest for each form, the preferred one first; never empty.
    Known(Vec<Digest>),
    /// The machine has the component, but this process may not read it; says why, in a sentence.
    Unreadable(String),
    /// The machine has no such component (a container without DMI, say).
    Absent,
}

/// A machine as it is read now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// One reading for every component that was looked at.
    pub readings: BTreeMap<Component, Reading>,
}

impl Machine {
    /// The fingerprint to put into a C2V: the preferred digest of every component that is known.
    pub fn fingerprint(&self) -> Fingerprint {
        let known = self.readings.iter().filter_map(|(&component, reading)| match reading {
            Reading::Known(digests) => digests.first().map(|&digest| (component, digest)),
            Reading::Unreadable(_) | Reading::Absent => None,
        });
        Fingerprint(known.collect())
    }
}

/// The digests that a license is bound to, by component.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub BTreeMap<Component, Digest>);

/// What became of one component that a license is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deviation {
    /// It has another value, or is gone.
    Changed,
    /// It can't be read, so nothing is known; the reason, in a sentence.
    Unreadable(String),
}

/// How a machine compares with a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// The components that are not as licensed; empty when all are.
    pub deviations: BTreeMap<Component, Deviation>,
}

impl Comparison {
    /// The components that have changed and are not tolerated: each of them invalidates a license.
    /// An unreadable component is never among them.
    pub fn changed(&self, tolerance: &BTreeSet<Component>) -> Vec<Component> {
        let changed =
            self.deviations.iter().filter(|(_, deviation)| **deviation == Deviation::Changed);
        changed
            .map(|(&component, _)| component)
            .filter(|component| !tolerance.contains(component))
            .collect()
    }
}

impl Fingerprint {
    /// Compares this fingerprint with the machine as it is read now. Components that the
    /// fingerprint does not name play no part.
    pub fn compare(&self, machine: &Machine) -> Comparison {
        let deviations = self.0.iter().filter_map(|(&component, digest)| {
            let deviation = match machine.readings.get(&component) {
                Some(Reading::Known(digests)) if digests.contains(digest) => return None,
                Some(Reading::Unreadable(why)) => Deviation::Unreadable(why.clone()),
                Some(Reading::Known(_) | Reading::Absent) | None => Deviation::Changed,
            };
            Some((component, deviation))
        });
        Comparison { deviations: deviations.collect() }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, string::ToString, vec};

    use super::*;

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);

    fn machine(reading: Reading) -> Machine {
        Machine { readings: BTreeMap::from([(Component::CpuCores, reading)]) }
    }

    #[test]
    fn any_form_of_a_value_will_do_and_unreadable_is_not_changed() {
        let licensed = Fingerprint(BTreeMap::from([(Component::CpuCores, A)]));
        let changed = |reading| licensed.compare(&machine(reading)).changed(&BTreeSet::new());
        assert!(changed(Reading::Known(vec![B, A])).is_empty());
        assert!(changed(Reading::Unreadable("root only".to_string())).is_empty());
        assert_eq!(changed(Reading::Known(vec![B])), [Component::CpuCores]);
        assert_eq!(changed(Reading::Absent), [Component::CpuCores]);
    }

    #[test]
    fn a_tolerated_component_may_change() {
        let licensed = Fingerprint(BTreeMap::from([(Component::CpuCores, A)]));
        let comparison = licensed.compare(&machine(Reading::Known(vec![B])));
        assert!(comparison.changed(&BTreeSet::from([Component::CpuCores])).is_empty());
        assert!(!comparison.deviations.is_empty());
    }
}
