//! What a cloud provider signs of its machines, what a host shows of it, and whether a server believes
//! that.
//!
//! Everyone on a machine can read its document, so a copied one holds like the original.

use std::sync::OnceLock;

use data_encoding::BASE64;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, SigningKey as _};
use ve_core::{
    fingerprint::Platform,
    license::{Mode, Verified},
    registry::PlatformIdentity,
    time::MINUTE_MS,
};
use ve_documents::identity::{self, Certificate};
use ve_wire::convert::IdentityShown;

use crate::{
    Bug,
    fact::Fact,
    faults::Undo,
    random::{Hash, Random},
    roster::Slot,
    world::{DAY_MS, World},
};

/// The provider's key, one for all runs of a process. RSA keys can't be made from a seed, and nothing
/// that a run does or prints depends on which one this is.
fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate_for(&PKCS_RSA_SHA256).expect("an RSA key can be made"))
}

/// The certificate that the servers' administrators have put into their folders.
fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        let signed = CertificateParams::default().self_signed(key());
        let signed = signed.expect("a key can sign its own certificate");
        Certificate::from_der(signed.der()).expect("it has an RSA key")
    })
}

/// The provider signs a document.
fn sign(document: Vec<u8>) -> IdentityShown {
    let signature = key().sign(&document).expect("any text can be signed");
    let signature = BASE64.encode(&signature).into_bytes();
    IdentityShown { platform: Platform::AmazonAws, document, signature }
}

/// What a host has of its provider.
#[derive(Debug, Clone, Default)]
pub(crate) struct Papers {
    /// Its own document; not every provider signs one.
    own: Option<IdentityShown>,
    /// What it shows in the place of its own.
    other: Option<IdentityShown>,
}

impl Papers {
    /// Those of a new machine.
    pub(crate) fn new(random: &mut Random) -> Self {
        let number = random.number();
        let document = random.percent(50).then(|| {
            format!(r#"{{"accountId":"1","instanceId":"i-{number:016x}","region":"eu-west-1"}}"#)
        });
        Self { own: document.map(|document| sign(document.into_bytes())), other: None }
    }

    /// What is shown.
    pub(crate) fn shown(&self) -> Option<IdentityShown> {
        self.other.as_ref().or(self.own.as_ref()).cloned()
    }

    /// Another one's document with a change that nobody has signed.
    fn forge(document: &IdentityShown) -> IdentityShown {
        let mut forged = document.clone();
        forged.document.push(b'\n');
        forged
    }
}

impl World {
    /// The papers of a new machine; only AutoVE servers are shown any.
    pub(crate) fn new_papers(&mut self) -> Papers {
        match self.plan.mode {
            Mode::General => Papers::default(),
            Mode::AutoVe => Papers::new(&mut self.random),
        }
    }

    /// A server checks a document. The same one is shown again and again; it is checked once.
    pub(crate) fn believe_papers(
        &mut self,
        shown: &IdentityShown,
    ) -> Option<Verified<PlatformIdentity>> {
        let IdentityShown { platform, document, signature } = shown;
        let known = (Hash::of(document), Hash::of(signature));
        let bug = self.plan.bug;
        let check = || {
            let certificates = std::slice::from_ref(certificate());
            match identity::verify(*platform, document, signature, certificates) {
                Err(_) if bug == Some(Bug::ForgeryBelieved) => {
                    let IdentityShown { signature, .. } = sign(document.clone());
                    identity::verify(*platform, document, &signature, certificates).ok()
                }
                outcome => outcome.ok(),
            }
        };
        self.identities.entry(known).or_insert_with(check).clone()
    }

    /// What a host is in truth, as its provider would say it.
    pub(crate) fn true_identity(&mut self, host: usize) -> Option<PlatformIdentity> {
        let own = self.hosts[host].papers.own.clone()?;
        self.believe_papers(&own).map(|identity| (*identity).clone())
    }

    /// A host shows the document of another machine from now on, as it is or changed.
    pub(crate) fn claim_identity(&mut self, host: usize) {
        if self.hosts[host].papers.other.is_some() {
            return;
        }
        let from = self.random.index(self.hosts.len());
        let forged = self.random.percent(50);
        let Some(document) = self.hosts[from].papers.own.clone().filter(|_| from != host) else {
            return;
        };
        let named = self.believe_papers(&document);
        let named = named.as_deref();
        self.checks.see(self.at, &Fact::PapersShown { host, named, forged });
        let shown = if forged { Papers::forge(&document) } else { document };
        self.hosts[host].papers.other = Some(shown);
        self.restart_programs(host);
        self.end_within(MINUTE_MS, DAY_MS, Undo::Papers(host));
    }

    /// A host shows its own document again.
    pub(crate) fn end_claim(&mut self, host: usize) {
        if self.hosts[host].papers.other.take().is_some() {
            self.checks.see(self.at, &Fact::PapersShown { host, named: None, forged: false });
            self.restart_programs(host);
        }
    }

    /// Whoever logs in again shows what there is now.
    fn restart_programs(&mut self, host: usize) {
        if self.hosts[host].slot != Slot::Vacant && self.hosts[host].runs() {
            for client in self.clients_of(host) {
                self.end_program(client, true);
            }
        }
    }
}
