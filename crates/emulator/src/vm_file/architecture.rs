//! The architectures that are emulated, by the names that log folders carry.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// What kind of machine is emulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// 32-bit SPARC workstations and servers: `sun-4m`.
    Sun4m,
    /// 64-bit `UltraSPARC`: `sun-4u`.
    Sun4u,
    /// 64-bit SPARC with a hypervisor: `sun-4v`.
    Sun4v,
    /// HP Precision Architecture: `hppa`.
    Hppa,
    /// DEC Alpha: `alpha`.
    Alpha,
    /// 64-bit PC: `x86_64`.
    X86_64,
    /// Anything else, for the engine `command`: `other`.
    Other,
}

impl Architecture {
    /// Every architecture, in the order in which messages list them.
    pub const ALL: &[Self] = &[
        Self::Sun4m,
        Self::Sun4u,
        Self::Sun4v,
        Self::Hppa,
        Self::Alpha,
        Self::X86_64,
        Self::Other,
    ];

    /// The name as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sun4m => "sun-4m",
            Self::Sun4u => "sun-4u",
            Self::Sun4v => "sun-4v",
            Self::Hppa => "hppa",
            Self::Alpha => "alpha",
            Self::X86_64 => "x86_64",
            Self::Other => "other",
        }
    }
}

/// The text names no architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be one of sun-4m, sun-4u, sun-4v, hppa, alpha, x86_64, other")]
pub struct UnknownArchitecture;

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or(UnknownArchitecture)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_reads_back_and_is_listed() {
        for &architecture in Architecture::ALL {
            assert_eq!(architecture.as_str().parse(), Ok(architecture));
            assert!(UnknownArchitecture.to_string().contains(architecture.as_str()));
        }
        assert_eq!("vax".parse::<Architecture>(), Err(UnknownArchitecture));
    }
}
