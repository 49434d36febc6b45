//! What a host says of itself, in a few words.

use ve_core::{
    fingerprint::Platform,
    id::BootId,
    license::Verified,
    registry::{HostFacts, PlatformIdentity, Receipt},
};

use super::name;

/// What a host says of itself that is being written.
#[derive(Debug, Clone)]
pub(crate) struct FactsBuilder(pub(crate) HostFacts);

/// A host in its first boot, without anything to show.
pub(crate) fn facts() -> FactsBuilder {
    FactsBuilder(HostFacts {
        name: name("emu-host"),
        platform: Some(Platform::Kvm),
        boot: BootId([1; 16]),
        identity: None,
        receipts: Vec::new(),
    })
}

impl FactsBuilder {
    pub(crate) fn named(mut self, text: &str) -> Self {
        self.0.name = name(text);
        self
    }

    pub(crate) fn boot(mut self, boot: u8) -> Self {
        self.0.boot = BootId([boot; 16]);
        self
    }

    /// The machine, as its provider names it.
    pub(crate) fn machine(mut self, id: &str) -> Self {
        let identity = PlatformIdentity { platform: Platform::AmazonAws, id: name(id) };
        self.0.identity = Some(Verified::vouch(identity));
        self
    }

    pub(crate) fn showing(mut self, receipt: &Receipt) -> Self {
        self.0.receipts.push(Verified::vouch(receipt.clone()));
        self
    }
}
