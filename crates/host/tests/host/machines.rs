//! What is read of machines of every kind, each played by a folder.

use crate::fake_machine::{
    Expected::{self, Absent, Unreadable, Values},
    FakeMachine,
    Item::{self, Bytes, File, Folder, Link, OwnersFile},
};
use ve_core::fingerprint::{Component, Platform, Reading};
use ve_host::Sources;

const UUID: &str = "4C4C4544-0042-3510-8052-B4C04F564433\n";
const UUID_VALUE: &str = "4c4c4544-0042-3510-8052-b4c04f564433";
const UUID_PATH: &str = "sys/class/dmi/id/product_uuid";
const MACHINE_ID: &str = "3d1219c7c4c5404aaa1f6d2a48adfda4";
const FS_UUID: &str = "0b1a8a34-0f5e-4d2b-9a77-1234567890ab";
const MOUNTINFO: &str = "proc/self/mountinfo";
const XFS: Item =
    File(MOUNTINFO, "1 1 0:2 / / rw - rootfs rootfs rw\n27 1 8:2 / / rw - xfs /dev/sda2 rw\n");
const UDEV: Item =
    File("run/udev/data/b8:2", "S:disk/x\nE:ID_FS_UUID=0b1a8a34-0f5e-4d2b-9a77-1234567890ab\n");
const GUEST: &str =
    "processor\t: 0\nflags\t\t: fpu hypervisor sse\n\nprocessor\t: 1\nflags\t\t: fpu\n";
const BARE: &str = "processor\t: 0\nflags\t\t: fpu sse\n";
const VIRTUAL: &[&str] = &[
    "kvm",
    "amazon.aws",
    "microsoft.azure",
    "google.gcp",
    "oracle.oci",
    "ibm.cloud",
    "vmware.esxi",
    "nutanix.ahv",
];

/// Builds a machine of `items` and compares the readings that the case is about.
fn check(case: &str, items: &[Item], expected: &[(Component, Expected)]) {
    check_as(case, items, |sources| sources, expected);
}

fn check_as(
    case: &str,
    items: &[Item],
    seen: impl Fn(Sources) -> Sources,
    expected: &[(Component, Expected)],
) {
    println!("{case}");
    let machine = FakeMachine::new(items);
    let host = ve_host::read(&seen(machine.sources()), None).expect("no platform was named");
    assert_eq!(host.machine.readings.len(), Component::ALL.len(), "{case}");
    for (component, expected) in expected {
        machine.expect(&host.machine, *component, expected);
    }
}

#[test]
fn whole_machines() {
    check(
        "a KVM guest",
        &[
            File(UUID_PATH, UUID),
            File("sys/class/dmi/id/sys_vendor", "QEMU\n"),
            File("sys/class/dmi/id/product_name", "Standard PC (Q35 + ICH9, 2009)\n"),
            File("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n"),
            File("sys/devices/system/cpu/present", "0-3\n"),
            File("proc/cpuinfo", GUEST),
            XFS,
            UDEV,
        ],
        &[
            (Component::ProductUuid, Values(&[UUID_VALUE])),
            (Component::RootFilesystem, Values(&[FS_UUID])),
            (Component::MachineId, Values(&[MACHINE_ID])),
            (Component::CpuCores, Values(&["4"])),
            (Component::Platform, Values(VIRTUAL)),
        ],
    );
    check(
        "hardware with SeaBIOS and no systemd",
        &[
            File(UUID_PATH, UUID),
            File("sys/class/dmi/id/sys_vendor", "LENOVO\n"),
            File("sys/class/dmi/id/bios_vendor", "SeaBIOS\n"),
            File("var/lib/dbus/machine-id", MACHINE_ID),
            File("sys/devices/system/cpu/present", "0-7,16-23\n"),
            File("proc/cpuinfo", BARE),
            XFS,
            Link("dev/disk/by-uuid/0b1a8a34-0f5e-4d2b-9a77-1234567890ab", "../../sda2"),
            Link("dev/disk/by-uuid/ffffffff-0f5e-4d2b-9a77-1234567890ab", "../../sda1"),
            File("sys/dev/block/8:2/uevent", "MAJOR=8\nDEVNAME=sda2\n"),
        ],
        &[
            (Component::RootFilesystem, Values(&[FS_UUID])),
            (Component::MachineId, Values(&[MACHINE_ID])),
            (Component::CpuCores, Values(&["16"])),
            (Component::Platform, Values(&["physical"])),
        ],
    );
    check(
        "a container",
        &[
            File(MOUNTINFO, "5 1 0:51 / / rw - overlay overlay rw,lowerdir=/a\n"),
            File("etc/machine-id", ""),
            File("proc/cpuinfo", GUEST),
        ],
        &[
            (Component::ProductUuid, Absent),
            (Component::RootFilesystem, Absent),
            (Component::MachineId, Absent),
            (Component::CpuCores, Values(&["2"])),
            (Component::Platform, Values(VIRTUAL)),
        ],
    );
    check(
        "a folder with nothing in it",
        &[],
        &[
            (Component::ProductUuid, Absent),
            (Component::RootFilesystem, Unreadable("names no root filesystem")),
            (Component::MachineId, Absent),
            (Component::CpuCores, Unreadable("neither")),
            (Component::Platform, Unreadable("there is no /proc/cpuinfo")),
        ],
    );
}

#[test]
fn bogus_product_uuids_are_none() {
    for uuid in [
        "",
        "\n",
        "Not Settable\n",
        "00000000-0000-0000-0000-000000000000\n",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n",
        "03000200-0400-0500-0006-000700080009\n",
        "4C4C4544-0042-3510-8052-B4C04F56443\n",
        "4C4C4544-0042-3510-8052-B4C04F564433-0\n",
        "4C4C4544-0042-3510-8052-B4C04F56443G\n",
    ] {
        check(uuid, &[File(UUID_PATH, uuid)], &[(Component::ProductUuid, Absent)]);
    }
}

#[test]
fn a_uuid_that_only_root_may_read_is_handed_in_or_unreadable() {
    const HANDED_IN: &str = "handed-in/product_uuid";
    let root_only = || OwnersFile(UUID_PATH, UUID);
    let other = "11112222-3333-4444-5555-666677778888";
    let cases: [(&str, Vec<Item>, Expected); 7] = [
        ("not handed in", vec![root_only()], Unreadable("Only root may read the product UUID")),
        ("handed in", vec![root_only(), OwnersFile(HANDED_IN, UUID)], Values(&[UUID_VALUE])),
        (
            "readable anyway",
            vec![File(UUID_PATH, UUID), File(HANDED_IN, other)],
            Values(&[UUID_VALUE]),
        ),
        ("a copy of nothing", vec![File(HANDED_IN, UUID)], Absent),
        ("empty copy", vec![root_only(), File(HANDED_IN, "")], Unreadable("holds no UUID")),
        (
            "copy of a bogus one",
            vec![root_only(), File(HANDED_IN, "00000000-0000-0000-0000-000000000000")],
            Absent,
        ),
        (
            "a folder as copy",
            vec![root_only(), Folder("handed-in/product_uuid")],
            Unreadable("is no regular file"),
        ),
    ];
    for (case, items, expected) in cases {
        // As a tool that root started sees it: on behalf of somebody who isn't the file's owner.
        let as_service = |sources: Sources| {
            let folder = sources.root.join("handed-in");
            sources.handed_in_at(folder).as_user(12_345)
        };
        check_as(case, &items, as_service, &[(Component::ProductUuid, expected)]);
    }
}

#[test]
fn the_owner_of_the_home_may_read_what_is_his() {
    let machine = FakeMachine::new(&[OwnersFile(UUID_PATH, UUID)]);
    let sources = machine.sources().as_user(machine.owner());
    let host = ve_host::read(&sources, None).expect("no platform was named");
    machine.expect(&host.machine, Component::ProductUuid, &Values(&[UUID_VALUE]));
}

#[test]
fn root_filesystems() {
    const BTRFS: &str = "27 1 0:31 /@ / rw - btrfs /dev/sda2 rw\n";
    const MAPPED: &str = "27 1 0:31 /@ / rw - btrfs /dev/mapper/root rw\n";
    let uuid: Expected = Values(&[FS_UUID]);
    let cases: [(&str, Vec<Item>, Expected); 11] = [
        (
            "ext4: its own ID first, then the UUID",
            vec![File(MOUNTINFO, "27 1 8:2 / / rw - ext4 /dev/root rw\n"), UDEV],
            Values(&["fsid", FS_UUID]),
        ),
        (
            "ext4 without udev",
            vec![File(MOUNTINFO, "27 1 8:2 / / rw - ext4 /dev/root rw\n")],
            Values(&["fsid"]),
        ),
        ("XFS without udev", vec![XFS], Unreadable("neither /run/udev/data")),
        (
            "udev without a UUID",
            vec![XFS, File("run/udev/data/b8:2", "E:ID_FS_UUID=\n")],
            Unreadable("neither"),
        ),
        (
            "Btrfs by its source",
            vec![File(MOUNTINFO, BTRFS), File("sys/class/block/sda2/dev", "8:2\n"), UDEV],
            uuid,
        ),
        (
            "Btrfs on a mapped device, without udev",
            vec![
                File(MOUNTINFO, MAPPED),
                File("sys/class/block/dm-0/dm/name", "swap\n"),
                File("sys/class/block/dm-1/dm/name", "root\n"),
                File("sys/class/block/dm-1/dev", "253:1\n"),
                Folder("sys/fs/btrfs/features"),
                Folder("sys/fs/btrfs/0b1a8a34-0f5e-4d2b-9a77-1234567890ab/devices/dm-1"),
            ],
            Values(&[FS_UUID]),
        ),
        ("Btrfs on an unknown device", vec![File(MOUNTINFO, BTRFS), UDEV], Unreadable("neither")),
        (
            "a source that leads astray",
            vec![
                File(MOUNTINFO, "27 1 0:31 / / rw - btrfs /dev/../../etc rw\n"),
                File("sys/class/block/x/dev", "8:2\n"),
                UDEV,
            ],
            Unreadable("neither"),
        ),
        (
            "a network filesystem",
            vec![File(MOUNTINFO, "27 1 0:31 / / rw - nfs4 host:/root rw\n")],
            Absent,
        ),
        (
            "mounts of others only",
            vec![File(MOUNTINFO, "27 1 8:2 / /home rw - xfs /dev/sda2 rw\n")],
            Unreadable("names no root"),
        ),
        ("no text", vec![Bytes(MOUNTINFO, vec![0xff; 10])], Unreadable("is not UTF-8")),
    ];
    for (case, items, expected) in cases {
        check(case, &items, &[(Component::RootFilesystem, expected)]);
    }
}

#[test]
fn hostile_and_odd_values() {
    let long = || vec![b'a'; 64 * 1024 + 1];
    check(
        "too long, binary, folders",
        &[
            Bytes(UUID_PATH, long()),
            Bytes("etc/machine-id", vec![0xff, 0xfe]),
            File("sys/devices/system/cpu/present", "0-4294967295\n"),
            Folder("proc/cpuinfo"),
            Bytes("sys/class/dmi/id/sys_vendor", long()),
        ],
        &[
            (Component::ProductUuid, Unreadable("is longer than 65536 bytes")),
            (Component::MachineId, Unreadable("is not UTF-8 text")),
            (Component::CpuCores, Unreadable("neither")),
            (Component::Platform, Unreadable("is no regular file")),
        ],
    );
    for id in [
        "uninitialized\n",
        "00000000000000000000000000000000\n",
        "3d1219c7\n",
        "../../../../etc/passwd-----------",
    ] {
        check(id, &[File("etc/machine-id", id)], &[(Component::MachineId, Absent)]);
    }
    check(
        "a machine of more than 64 KiB of processors",
        &[Bytes("proc/cpuinfo", "processor\t: 0\npower\t: x\n".repeat(5000).into_bytes())],
        &[(Component::CpuCores, Values(&["5000"])), (Component::Platform, Values(&["physical"]))],
    );
}

#[test]
fn nothing_that_was_read_shows_in_messages() {
    let secrets = ["aaaabbbb-cccc-dddd-eeee-ffff00001111", MACHINE_ID, FS_UUID];
    let items = [
        File(UUID_PATH, "aaaabbbb-cccc-dddd-eeee-ffff00001111"),
        File("etc/machine-id", MACHINE_ID),
        XFS,
        UDEV,
    ];
    let machine = FakeMachine::new(&items);
    let host = ve_host::read(&machine.sources(), None).expect("no platform was named");
    let shown = format!("{host:?} {:?}", ve_host::advice(&host.machine));
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn this_very_machine_is_itself() {
    let read = || ve_host::read(&Sources::this_machine(), None).expect("no platform was named");
    let (first, second) = (read(), read());
    assert_eq!(first, second);
    let comparison = first.machine.fingerprint().compare(&second.machine);
    assert!(comparison.deviations.is_empty());
    assert!(matches!(first.machine.readings[&Component::CpuCores], Reading::Known(_)));
    let platform = first.detected.map(|detected| detected.platform);
    assert!(matches!(platform, Some(Platform::Kvm | Platform::Physical)));
}

/// A license that one process's view was made for holds for every other process's view.
#[test]
fn a_hardened_service_finds_the_machine_that_root_saw() {
    let items = [OwnersFile(UUID_PATH, UUID), File("proc/cpuinfo", GUEST), XFS, UDEV];
    let machine = FakeMachine::new(&items);
    let root = ve_host::read(&machine.sources(), Some(Platform::AmazonAws)).expect("a guest");
    // ProcSubset=pid takes /proc/cpuinfo away, a missing udev its data.
    for gone in ["proc/cpuinfo", "run/udev/data/b8:2"] {
        std::fs::remove_file(machine.root().join(gone)).expect("it was there");
    }
    let service = ve_host::read(&machine.sources().as_user(12_345), None).expect("no name");
    let comparison = root.machine.fingerprint().compare(&service.machine);
    assert_eq!(comparison.changed(&std::collections::BTreeSet::new()), []);
}
