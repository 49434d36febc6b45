//! What tells a virtual machine, what the operator may say, and what people are told.

use crate::fake_machine::{
    FakeMachine,
    Item::{self, File, Folder},
};
use ve_core::fingerprint::{Component, Machine, Platform, Reading};
use ve_host::{Container, PlatformError, advice, container, digest};

const VENDOR: &str = "sys/class/dmi/id/sys_vendor";
const PRODUCT: &str = "sys/class/dmi/id/product_name";
const BARE: Item = File("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse\n");
const GUEST: Item = File("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor\n");

#[test]
fn signs_of_a_hypervisor() {
    let dmi = |vendor, product| vec![BARE, File(VENDOR, vendor), File(PRODUCT, product)];
    let cases: [(Vec<Item>, Option<Platform>); 14] = [
        (dmi("QEMU\n", ""), Some(Platform::Kvm)),
        (dmi("Microsoft Corporation\n", "Virtual Machine\n"), Some(Platform::Kvm)),
        (dmi("Microsoft Corporation\n", "Surface Pro\n"), Some(Platform::Physical)),
        (dmi("Amazon EC2\n", "m5.large\n"), Some(Platform::Kvm)),
        (dmi("Amazon EC2\n", "m5.metal\n"), Some(Platform::Physical)),
        (dmi("Nutanix\n", "NX-3060\n"), Some(Platform::Physical)),
        (dmi("Nutanix\n", "AHV\n"), Some(Platform::Kvm)),
        (vec![BARE, File("sys/class/dmi/id/bios_vendor", "SeaBIOS\n")], Some(Platform::Physical)),
        (vec![GUEST], Some(Platform::Kvm)),
        (vec![BARE, File("sys/hypervisor/type", "xen\n")], Some(Platform::Kvm)),
        (vec![BARE, Folder("sys/firmware/devicetree/base/hypervisor")], Some(Platform::Kvm)),
        (
            vec![File("sys/firmware/devicetree/base/compatible", "linux,dummy-virt\0")],
            Some(Platform::Kvm),
        ),
        (
            vec![BARE, File("sys/firmware/devicetree/base/compatible", "raspberrypi,4\0")],
            Some(Platform::Physical),
        ),
        (vec![File(VENDOR, "LENOVO\n")], None),
    ];
    for (number, (items, expected)) in cases.iter().enumerate() {
        let machine = FakeMachine::new(items);
        let host = ve_host::read(&machine.sources(), None).expect("no platform was named");
        let platform = host.detected.map(|detected| detected.platform);
        assert_eq!(platform, *expected, "case {number}");
    }
}

#[test]
fn a_named_platform_must_not_contradict_the_machine() {
    let (guest, bare) = (FakeMachine::new(&[GUEST]), FakeMachine::new(&[BARE]));
    let silent = FakeMachine::new(&[]);
    let cases = [
        (&guest, Platform::AmazonAws, true),
        (&guest, Platform::Kvm, true),
        (&guest, Platform::Physical, false),
        (&bare, Platform::Physical, true),
        (&bare, Platform::Kvm, false),
        (&bare, Platform::VmwareEsxi, false),
        (&silent, Platform::Physical, true),
        (&silent, Platform::GoogleGcp, true),
    ];
    for (number, (machine, named, fits)) in cases.into_iter().enumerate() {
        let host = ve_host::read(&machine.sources(), Some(named));
        assert_eq!(host.is_ok(), fits, "case {number}");
        let Ok(host) = host else { continue };
        let fingerprint = host.machine.fingerprint();
        assert_eq!(
            fingerprint.0[&Component::Platform],
            digest(Component::Platform, named.as_str())
        );
        assert_eq!(host.detected.map(|detected| detected.platform), Some(named));
    }
}

#[test]
fn refusals_say_what_the_machine_shows_and_what_to_do() {
    let error = |item, named| {
        ve_host::read(&FakeMachine::new(&[item]).sources(), Some(named)).expect_err("refused")
    };
    let virtual_on_bare = error(BARE, Platform::AmazonAws);
    assert!(matches!(virtual_on_bare, PlatformError::NotVirtual { .. }));
    assert_eq!(
        virtual_on_bare.to_string(),
        "the platform amazon.aws is a virtual machine, but this machine shows no hypervisor: \
         nothing in DMI or /proc/cpuinfo shows one. Name no platform, or \"physical\"."
    );
    assert_eq!(
        error(GUEST, Platform::Physical).to_string(),
        "the platform can't be \"physical\": this is a virtual machine (/proc/cpuinfo shows the \
         hypervisor flag). Name no platform, or the one that it runs on."
    );
}

#[test]
fn evidence_can_not_forge_a_line() {
    let machine = FakeMachine::new(&[File(VENDOR, "QEMU\nERROR x\u{1b}[2J"), BARE]);
    let host = ve_host::read(&machine.sources(), None).expect("no platform was named");
    let evidence = host.detected.expect("a guest").evidence;
    assert!(!evidence.contains(char::is_control), "{evidence:?}");
}

#[test]
fn containers() {
    const OVERLAY: Item = File("proc/self/mountinfo", "5 1 0:51 / / rw - overlay overlay rw\n");
    let cases: [(Vec<Item>, Option<&str>); 8] = [
        (vec![File("run/systemd/container", "systemd-nspawn\n"), OVERLAY], Some("systemd-nspawn")),
        (vec![File(".dockerenv", "")], Some("docker")),
        (vec![File("run/.containerenv", "")], Some("podman")),
        (vec![File("proc/1/cgroup", "0::/kubepods.slice/docker-1.scope\n")], Some("kubernetes")),
        (vec![File("proc/1/cgroup", "0::/\n"), OVERLAY], Some("unknown")),
        (vec![File("proc/1/cgroup", "0::/init.scope\n")], None),
        (vec![File("proc/self/mountinfo", "27 1 8:2 / / rw - ext4 /dev/sda2 rw\n")], None),
        (vec![File("run/systemd/container", "a\u{1b}[2J\n")], Some("a\\u{1b}[2J")),
    ];
    for (items, expected) in cases {
        let found = container(&FakeMachine::new(&items).sources());
        assert_eq!(found.map(|Container { runtime, .. }| runtime).as_deref(), expected);
    }
}

#[test]
fn advice_names_what_is_missing_and_what_that_means() {
    let known = |component| Reading::Known(vec![digest(component, "x")]);
    let mut machine = Machine::default();
    for &component in Component::ALL {
        machine.readings.insert(component, known(component));
    }
    assert!(advice(&machine).is_empty());

    let why = "Only root may read it.".to_string();
    machine.readings.insert(Component::ProductUuid, Reading::Unreadable(why));
    assert_eq!(
        advice(&machine),
        ["product-uuid: Only root may read it. A C2V made now leaves it out."]
    );

    machine.readings.insert(Component::RootFilesystem, Reading::Absent);
    machine.readings.insert(Component::MachineId, Reading::Absent);
    let messages = advice(&machine);
    assert_eq!(messages.len(), 4);
    assert_eq!(
        messages[1],
        "root-filesystem: this machine has none, so no license can be bound to it."
    );
    assert!(messages[3].contains("own key alone"), "{}", messages[3]);
}
