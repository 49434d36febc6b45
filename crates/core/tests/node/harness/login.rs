//! Logins in a few words.

use ve_core::{
    grant::{Grant, Witness},
    id::{RunId, SessionId},
    license::{ProductVersion, Verified},
    node::io::Login,
    select::Wanted,
};

use super::{FactsBuilder, name, server::witness};

/// A login that is being written.
#[derive(Debug, Clone)]
pub(crate) struct LoginBuilder(Login);

/// A first login of the emulator of this name: a `Charon-SSP/4M` 5.1 with 1 CPU and 64 MB, run 1.
pub(crate) fn emulator(emulator: &str) -> LoginBuilder {
    LoginBuilder(Login {
        facts: None,
        product: name("Charon-SSP"),
        wanted: Wanted {
            hardware: name("Charon-SSP/4M"),
            version: ProductVersion::try_from(name("5.1.32")).unwrap(),
            cpus: 1,
            memory_mb: 64,
            passphrase: None,
        },
        emulator: name(emulator),
        session: None,
        run: RunId([1; 16]),
        witnesses: Vec::new(),
    })
}

/// The secret name that the server of a story gives to its session of this number.
pub(crate) fn session_id(fresh: u64) -> SessionId {
    let mut bytes = [0xf5; 16];
    bytes[8..].copy_from_slice(&fresh.to_be_bytes());
    SessionId(bytes)
}

impl LoginBuilder {
    pub(crate) fn hardware(mut self, hardware: &str) -> Self {
        self.0.wanted.hardware = name(hardware);
        self
    }

    pub(crate) fn version(mut self, version: &str) -> Self {
        self.0.wanted.version = ProductVersion::try_from(name(version)).unwrap();
        self
    }

    pub(crate) fn cpus(mut self, cpus: u32) -> Self {
        self.0.wanted.cpus = cpus;
        self
    }

    pub(crate) fn memory_mb(mut self, memory_mb: u64) -> Self {
        self.0.wanted.memory_mb = memory_mb;
        self
    }

    pub(crate) fn passphrase(mut self, passphrase: &str) -> Self {
        self.0.wanted.passphrase = Some(passphrase.parse().unwrap());
        self
    }

    /// Another run of the program than run 1.
    pub(crate) fn run(mut self, run: u8) -> Self {
        self.0.run = RunId([run; 16]);
        self
    }

    /// The login of a client that comes back with its session.
    pub(crate) fn session(mut self, session: SessionId) -> Self {
        self.0.session = Some(session);
        self
    }

    /// Shows what a grant of earlier proves.
    pub(crate) fn showing(self, grant: &Grant) -> Self {
        self.showing_witness(witness(grant))
    }

    pub(crate) fn showing_witness(mut self, witness: Witness) -> Self {
        self.0.witnesses.push(Verified::vouch(witness));
        self
    }

    /// The login of the same run that `grant` was for, as a client makes it after a loss.
    pub(crate) fn back_with(self, grant: &Grant) -> Self {
        self.session(grant.session).showing(grant)
    }

    /// The login of a host that says this of itself.
    pub(crate) fn on(mut self, facts: FactsBuilder) -> Self {
        self.0.facts = Some(facts.0);
        self
    }

    pub(crate) fn build(self) -> Login {
        self.0
    }
}
