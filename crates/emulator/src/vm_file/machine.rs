//! The machines that QEMU emulates for each architecture, and how large they can be.

use thiserror::Error;

use super::{Architecture, Hardware};

/// A machine of QEMU that can be as large as was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// QEMU's name of the machine, such as `SS-5`.
    pub name: String,
    /// The QEMU program, such as `qemu-system-sparc`.
    pub program: &'static str,
    /// The Debian package with that program.
    pub package: &'static str,
}

/// Why an architecture can't be emulated as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MachineError {
    /// QEMU has no machine with firmware for it.
    #[error("QEMU has no machine with firmware for {0}; use engine.kind = \"command\"")]
    NoMachine(Architecture),
    /// No machine of this name is known.
    #[error("QEMU's machines for {architecture} are {known}")]
    UnknownMachine {
        /// What is emulated.
        architecture: Architecture,
        /// The names that are known.
        known: String,
    },
    /// More CPUs than the machine has.
    #[error("the machine {machine} has at most {most} CPU(s); lower cpus{}", suggestion(*.larger))]
    TooManyCpus {
        /// The machine.
        machine: String,
        /// Its limit.
        most: u32,
        /// A larger machine of the architecture.
        larger: Option<&'static str>,
    },
    /// More memory than the machine has.
    #[error("the machine {machine} has at most {most_mb} MB of memory; lower memory_mb{}", suggestion(*.larger))]
    TooMuchMemory {
        /// The machine.
        machine: String,
        /// Its limit in MB.
        most_mb: u64,
        /// A larger machine of the architecture.
        larger: Option<&'static str>,
    },
}

fn suggestion(larger: Option<&'static str>) -> String {
    larger.map_or_else(String::new, |machine| format!(", or set engine.machine = \"{machine}\""))
}

/// A known machine's name and limits; `None`: QEMU's own, which it reports at the start.
type Model = (&'static str, u32, Option<u64>);

/// What QEMU has for one architecture, smallest machine first.
struct Family {
    program: &'static str,
    package: &'static str,
    models: &'static [Model],
    /// Whether other names than those in `models` are passed on to QEMU.
    open: bool,
}

const SPARC32: Family = Family {
    program: "qemu-system-sparc",
    package: "qemu-system-sparc",
    models: &[("SS-5", 1, Some(256)), ("SS-20", 4, Some(512))],
    open: false,
};
const SPARC64: Family = Family {
    program: "qemu-system-sparc64",
    package: "qemu-system-sparc",
    models: &[("sun4u", 1, None)],
    open: false,
};
const HPPA: Family = Family {
    program: "qemu-system-hppa",
    package: "qemu-system-misc",
    models: &[("B160L", 16, None), ("C3700", 16, None)],
    open: false,
};
const ALPHA: Family = Family {
    program: "qemu-system-alpha",
    package: "qemu-system-misc",
    models: &[("clipper", 4, None)],
    open: false,
};
const PC: Family = Family {
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
    models: &[("pc", 255, None), ("q35", 4_096, None)],
    open: true,
};

impl Machine {
    /// The machine `name` of `architecture`, or its smallest that has room for `hardware`.
    pub fn choose(
        architecture: Architecture,
        name: Option<&str>,
        hardware: Hardware,
    ) -> Result<Self, MachineError> {
        let family = match architecture {
            Architecture::Sun4m => &SPARC32,
            Architecture::Sun4u => &SPARC64,
            Architecture::Hppa => &HPPA,
            Architecture::Alpha => &ALPHA,
            Architecture::X86_64 => &PC,
            Architecture::Sun4v | Architecture::Other => {
                return Err(MachineError::NoMachine(architecture));
            }
        };
        let machine = |name: &str| Self {
            name: name.to_owned(),
            program: family.program,
            package: family.package,
        };
        let Some(name) = name else {
            let (smallest, largest) = (family.models[0], family.models[family.models.len() - 1]);
            let model =
                if limits_hold(family, smallest, hardware).is_ok() { smallest } else { largest };
            return limits_hold(family, model, hardware).map(|()| machine(model.0));
        };
        match family.models.iter().find(|(known, ..)| *known == name) {
            Some(&model) => limits_hold(family, model, hardware).map(|()| machine(name)),
            None if family.open && is_machine_name(name) => Ok(machine(name)),
            None => Err(MachineError::UnknownMachine {
                architecture,
                known: family
                    .models
                    .iter()
                    .map(|(known, ..)| *known)
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }
}

/// A comma would add properties of the machine, such as its CPUs and memory.
fn is_machine_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

fn limits_hold(family: &Family, model: Model, hardware: Hardware) -> Result<(), MachineError> {
    let (machine, most_cpus, most_mb) = model;
    let larger = family
        .models
        .last()
        .filter(|(_, cpus, memory_mb)| {
            *cpus >= hardware.cpus && memory_mb.is_none_or(|most| most >= hardware.memory_mb)
        })
        .map(|(name, ..)| *name);
    let machine = machine.to_owned();
    if hardware.cpus > most_cpus {
        return Err(MachineError::TooManyCpus { machine, most: most_cpus, larger });
    }
    match most_mb {
        Some(most_mb) if hardware.memory_mb > most_mb => {
            Err(MachineError::TooMuchMemory { machine, most_mb, larger })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(architecture: Architecture, name: Option<&str>, cpus: u32, memory_mb: u64) -> String {
        match Machine::choose(architecture, name, Hardware { cpus, memory_mb }) {
            Ok(machine) => format!("{} -M {}", machine.program, machine.name),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_machine_follows_from_architecture_and_size() {
        use Architecture::{Alpha, Hppa, Other, Sun4m, Sun4u, Sun4v, X86_64};
        for (architecture, name, cpus, memory_mb, expected) in [
            (Sun4m, None, 1, 64, "qemu-system-sparc -M SS-5"),
            (Sun4m, None, 1, 257, "qemu-system-sparc -M SS-20"),
            (Sun4m, None, 2, 64, "qemu-system-sparc -M SS-20"),
            (Sun4m, Some("SS-20"), 1, 64, "qemu-system-sparc -M SS-20"),
            (Sun4u, None, 1, 4096, "qemu-system-sparc64 -M sun4u"),
            (Hppa, None, 4, 512, "qemu-system-hppa -M B160L"),
            (Hppa, Some("C3700"), 1, 512, "qemu-system-hppa -M C3700"),
            (Alpha, None, 4, 512, "qemu-system-alpha -M clipper"),
            (X86_64, None, 1, 256, "qemu-system-x86_64 -M pc"),
            (X86_64, Some("pc-q35-7.2"), 1, 256, "qemu-system-x86_64 -M pc-q35-7.2"),
            (Sun4m, None, 5, 64, "the machine SS-20 has at most 4 CPU(s); lower cpus"),
            (
                Sun4m,
                None,
                1,
                513,
                "the machine SS-20 has at most 512 MB of memory; lower memory_mb",
            ),
            (
                Sun4m,
                Some("SS-5"),
                2,
                64,
                "the machine SS-5 has at most 1 CPU(s); lower cpus, or set engine.machine = \"SS-20\"",
            ),
            (
                Sun4m,
                Some("SS-5"),
                1,
                512,
                "the machine SS-5 has at most 256 MB of memory; lower memory_mb, or set engine.machine = \"SS-20\"",
            ),
            (Sun4m, Some("SS-6"), 1, 64, "QEMU's machines for sun-4m are SS-5, SS-20"),
            (Sun4u, None, 2, 64, "the machine sun4u has at most 1 CPU(s); lower cpus"),
            (X86_64, Some("pc,smp.cpus=4"), 1, 64, "QEMU's machines for x86_64 are pc, q35"),
            (
                Sun4v,
                None,
                1,
                64,
                "QEMU has no machine with firmware for sun-4v; use engine.kind = \"command\"",
            ),
            (
                Other,
                None,
                1,
                64,
                "QEMU has no machine with firmware for other; use engine.kind = \"command\"",
            ),
        ] {
            assert_eq!(choose(architecture, name, cpus, memory_mb), expected);
        }
    }
}
