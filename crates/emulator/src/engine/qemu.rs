//! QEMU's command line: what was licensed, and then what the operator added.

use std::{fs::OpenOptions, path::PathBuf};

use super::{StartError, program};
use crate::vm_file::{Accelerator, Hardware, Machine, QemuSettings, VmName};

/// The KVM device.
const KVM: &str = "/dev/kvm";

/// The QEMU program of the settings.
pub(super) fn program(qemu: &QemuSettings) -> Result<PathBuf, StartError> {
    let Machine { program: standard, package, .. } = &qemu.machine;
    match &qemu.program {
        Some(own) => program::find(own, "check engine.program"),
        None => program::find(standard.as_ref(), &format!("install the package {package}")),
    }
}

/// The accelerators to try, in this order.
///
/// `auto` is careful: KVM only for an `x86_64` guest on an `x86_64` host whose KVM we may use, and
/// TCG when it fails all the same.
pub(super) fn accelerators(qemu: &QemuSettings) -> Result<&'static [&'static str], StartError> {
    match (qemu.accelerator, kvm_fits(qemu)) {
        (Accelerator::Tcg, _) | (Accelerator::Auto, Err(_)) => Ok(&["tcg"]),
        (Accelerator::Auto, Ok(())) => Ok(&["kvm", "tcg"]),
        (Accelerator::Kvm, Ok(())) => Ok(&["kvm"]),
        (Accelerator::Kvm, Err(reason)) => Err(StartError::NoKvm(reason)),
    }
}

fn kvm_fits(qemu: &QemuSettings) -> Result<(), String> {
    if qemu.machine.program != "qemu-system-x86_64" || !cfg!(target_arch = "x86_64") {
        return Err("this host's processor can't run that guest's instructions".to_owned());
    }
    match OpenOptions::new().read(true).write(true).open(KVM) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{KVM} can't be opened ({error})")),
    }
}

/// The arguments of QEMU; `control` is the socket that it connects to, as its options write it.
///
/// `maxcpus` equals the CPUs and there are no memory slots, so nothing can be plugged in later.
/// Configuration files of the system are not read, for they could set more.
pub(super) fn arguments(
    qemu: &QemuSettings,
    name: &VmName,
    licensed: Hardware,
    control: &str,
) -> Result<Vec<String>, StartError> {
    let Hardware { cpus, memory_mb } = licensed;
    let mut arguments = vec!["-no-user-config".to_owned()];
    let mut option = |name: &str, value: String| arguments.extend([format!("-{name}"), value]);
    option("name", format!("guest={}", escaped(name.as_str())));
    option("machine", qemu.machine.name.clone());
    for accelerator in accelerators(qemu)? {
        option("accel", (*accelerator).to_owned());
    }
    option("smp", format!("{cpus},maxcpus={cpus}"));
    option("m", format!("{memory_mb}M"));
    option("qmp", format!("unix:{control}"));
    if wants_console(&qemu.args) {
        option("serial", "mon:stdio".to_owned());
    }
    arguments.extend(qemu.args.iter().cloned());
    Ok(arguments)
}

/// Whether the terminal must be given to the guest in so many words.
///
/// Any control socket takes from `-nographic` that it puts serial line and monitor on the terminal
/// together, and with that, that Ctrl-C goes to the guest. We give it back, unless the operator
/// arranges these devices themselves.
fn wants_console(args: &[String]) -> bool {
    // With one dash or two.
    let has = |option: &str| {
        args.iter()
            .any(|arg| arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) == Some(option))
    };
    has("nographic") && !["serial", "monitor", "nodefaults"].into_iter().any(has)
}

/// QEMU separates the parts of an option's value by commas; a doubled comma is one.
pub(super) fn escaped(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm_file::Architecture;

    fn line(architecture: Architecture, cpus: u32, memory_mb: u64, args: &[&str]) -> String {
        let hardware = Hardware { cpus, memory_mb };
        let qemu = QemuSettings {
            machine: Machine::choose(architecture, None, hardware).expect("a machine"),
            program: None,
            accelerator: Accelerator::Tcg,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        };
        let name = "a,b".parse().expect("a name");
        arguments(&qemu, &name, hardware, "/run/ve-1/qmp").expect("arguments").join(" ")
    }

    #[test]
    fn what_was_licensed_comes_first_and_nothing_can_be_plugged_in() {
        insta::assert_snapshot!(line(Architecture::Sun4m, 1, 64, &["-nographic"]), @"-no-user-config -name guest=a,,b -machine SS-5 -accel tcg -smp 1,maxcpus=1 -m 64M -qmp unix:/run/ve-1/qmp -serial mon:stdio -nographic");
        insta::assert_snapshot!(line(Architecture::Sun4m, 4, 512, &[]), @"-no-user-config -name guest=a,,b -machine SS-20 -accel tcg -smp 4,maxcpus=4 -m 512M -qmp unix:/run/ve-1/qmp");
        insta::assert_snapshot!(line(Architecture::X86_64, 2, 1024, &["-nodefaults"]), @"-no-user-config -name guest=a,,b -machine pc -accel tcg -smp 2,maxcpus=2 -m 1024M -qmp unix:/run/ve-1/qmp -nodefaults");
    }

    #[test]
    fn kvm_is_refused_for_a_foreign_processor() {
        let hardware = Hardware { cpus: 1, memory_mb: 64 };
        let machine = Machine::choose(Architecture::Sun4u, None, hardware).expect("a machine");
        let qemu = QemuSettings {
            machine,
            program: None,
            accelerator: Accelerator::Kvm,
            args: Vec::new(),
        };
        assert!(matches!(accelerators(&qemu), Err(StartError::NoKvm(_))));
        let auto = QemuSettings { accelerator: Accelerator::Auto, ..qemu };
        assert_eq!(accelerators(&auto).expect("accelerators"), ["tcg"]);
    }
}
