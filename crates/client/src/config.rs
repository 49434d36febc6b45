//! Which servers are asked, for what, and by whom.

use std::{fmt, path::Path, sync::Arc};

use rustls::ClientConfig;
use ve_core::{
    client::io::Settings,
    fingerprint::Platform,
    id::{BootId, HostKey, RunId},
    license::ProductVersion,
    text::{Name, Passphrase},
};
use ve_documents::{
    key_files::{self, IdentityError as KeyError},
    keys::VerifyingKey,
};
use ve_wire::{
    random_bytes,
    tls::{self, Identity, IdentityError},
};

use crate::{grants::GrantFolder, receipts::ReceiptFolder};

/// A license server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    /// Its port; 8083 by custom.
    pub port: u16,
    /// The passphrase of the section that is meant there.
    pub passphrase: Option<Passphrase>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

/// What a license is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The emulator product, for the server's lists.
    pub product: Name,
    /// Its version.
    pub version: ProductVersion,
    /// The emulated model.
    pub virtual_hardware: Name,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Virtual memory in MB.
    pub memory_mb: u64,
    /// The emulator's name, unique on this host.
    pub emulator: Name,
}

/// What a host says of itself to servers whose license counts hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Its name, for lists.
    pub name: Name,
    /// The kind of machine, for lists.
    pub platform: Option<Platform>,
    /// This boot of the host: by that a server tells one host from two with a copied key.
    pub boot: BootId,
    /// What its cloud provider has signed, where one does.
    pub identity: Option<HostDocument>,
}

/// A cloud provider's document about one machine, with its signature as the provider gives it. One
/// that is longer than the protocol allows is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDocument {
    /// Whose document it is.
    pub platform: Platform,
    /// The document, 1 to 8192 bytes.
    pub document: Vec<u8>,
    /// The signature, 1 to 4096 bytes.
    pub signature: Vec<u8>,
}

/// Everything that [`crate::Licensing`] needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The servers in the order of preference. Without any, nothing is ever licensed.
    pub servers: Vec<Server>,
    /// What is asked for.
    pub program: Program,
    /// The vendor keys that a server's credential may be signed with.
    pub vendor_keys: Vec<VerifyingKey>,
    /// Who asks.
    pub host: HostIdentity,
    /// The run of this program: new at each start.
    pub run: RunId,
    /// What the host is. Only servers whose license counts hosts (AutoVE) are told; without it they
    /// register nobody.
    pub facts: Option<HostFacts>,
    /// Where the last grants are kept from one start to the next; `None`: nowhere.
    pub grants: Option<GrantFolder>,
    /// Where the host's receipts are kept; `None`: nowhere.
    pub receipts: Option<ReceiptFolder>,
    /// Waiting times, in milliseconds. The number of servers and the home are filled in.
    pub settings: Settings,
}

impl Config {
    /// A new run's name.
    pub fn fresh_run() -> RunId {
        RunId(random_bytes())
    }

    /// A beginning for the random numbers that spread retries.
    pub fn fresh_seed() -> u64 {
        u64::from_le_bytes(random_bytes())
    }
}

/// The key by which license servers know this host.
#[derive(Clone)]
pub struct HostIdentity {
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) key: HostKey,
}

impl fmt::Debug for HostIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostIdentity(..)")
    }
}

/// The host's key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HostIdentityError {
    /// It can't be read or made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// TLS refuses it.
    #[error(transparent)]
    Tls(#[from] IdentityError),
}

impl HostIdentity {
    /// Loads the host's key from `state_dir/identity.key`, and makes one at the first start. All
    /// emulators of a host share it.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, HostIdentityError> {
        let key = key_files::load_or_create(&state_dir.join("identity.key"))?;
        let identity = Identity::from_pkcs8(&key.pkcs8_der())?;
        let key = identity.host_key();
        Ok(Self { tls: Arc::new(tls::client_config(identity)?), key })
    }
}
