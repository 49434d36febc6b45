//! Emulator hosts: a key, a boot, receipts, and emulators on links of their own.

use std::net::SocketAddr;

use ve_core::{reason::Refusal, registry::HostState};
use ve_testbed::MachineDocument;
use ve_wire::{proto, random_bytes};

use super::client::{Emulator, Host, Running};

/// A host that may register.
#[derive(Clone)]
pub(crate) struct Machine {
    host: Host,
    name: String,
    boot: [u8; 16],
    /// What its provider has signed of it.
    pub(crate) identity: Option<proto::IdentityDocument>,
    /// What it was given, the newest last.
    pub(crate) receipts: Vec<String>,
}

impl Machine {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            host: Host::new(),
            name: name.to_owned(),
            boot: random_bytes(),
            identity: None,
            receipts: Vec::new(),
        }
    }

    /// One of which a cloud provider has signed this.
    pub(crate) fn of_cloud(name: &str, signed: MachineDocument) -> Self {
        let identity = proto::IdentityDocument {
            platform: "amazon.aws".to_owned(),
            document: signed.document.into_bytes(),
            signature: signed.signature.into_bytes(),
        };
        Self { identity: Some(identity), ..Self::new(name) }
    }

    /// Its key as lists show it.
    pub(crate) fn key(&self) -> String {
        self.host.key().to_string()
    }

    /// A copy of its disk that runs on another machine.
    pub(crate) fn cloned(&self) -> Self {
        Self { boot: random_bytes(), ..self.clone() }
    }

    /// The same machine, set up anew: another key, and no receipts.
    pub(crate) fn set_up_anew(&self) -> Self {
        Self { host: Host::new(), boot: random_bytes(), receipts: Vec::new(), ..self.clone() }
    }

    fn emulator(&self, name: &str) -> Emulator {
        let receipts = self.receipts.iter().rev().take(2).cloned().collect();
        let (name_of_host, boot) = (self.name.clone(), self.boot.to_vec());
        let facts = proto::HostFacts {
            name: name_of_host,
            platform: "kvm".to_owned(),
            boot,
            identity: self.identity.clone(),
            receipts,
        };
        Emulator { facts: Some(facts), ..Emulator::new(name) }
    }

    /// Starts an emulator, which keeps the receipt that it is given.
    pub(crate) async fn run(&mut self, at: SocketAddr, name: &str) -> Result<Running, Refusal> {
        let running = self.host.run_at(at, &self.emulator(name)).await?;
        if !running.receipt.is_empty() {
            self.receipts.push(running.receipt.clone());
        }
        Ok(running)
    }

    /// The same for one that must be let in.
    #[track_caller]
    pub(crate) fn runs(&mut self, at: SocketAddr) -> impl Future<Output = Running> + '_ {
        let caller = std::panic::Location::caller();
        async move { self.run(at, "ss5").await.unwrap_or_else(|refusal| panic!("{caller}: {refusal}")) }
    }

    /// The reason code of a login that must be refused, and the sentence.
    #[track_caller]
    pub(crate) fn is_refused(
        &mut self,
        at: SocketAddr,
    ) -> impl Future<Output = (String, String)> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            match self.run(at, "ss5").await {
                Err(refusal) => (refusal.code.to_string(), refusal.sentence),
                Ok(_) => panic!("{caller}: it was let in"),
            }
        }
    }
}

/// What a list says of one host: home and state.
pub(crate) type Row = (String, String, HostState);
