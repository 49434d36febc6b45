//! A cloud provider: a key, the certificate for it, and documents about machines.

use std::{fs, path::Path};

use data_encoding::BASE64_MIME;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, SigningKey as _};

/// A cloud provider with a key of its own, which signs as Amazon's does.
#[derive(Debug)]
pub struct Provider {
    key: KeyPair,
}

/// What a provider has signed of a machine.
#[derive(Debug, Clone)]
pub struct MachineDocument {
    /// The document, as its metadata service says it.
    pub document: String,
    /// The signature, likewise: base64 in lines.
    pub signature: String,
}

impl Provider {
    /// Another provider than any before.
    #[allow(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        Self { key: KeyPair::generate_for(&PKCS_RSA_SHA256).expect("an RSA key") }
    }

    /// Puts its certificate, which it has signed itself, where a server with this home looks for it
    /// when it reads its files the next time.
    pub fn trust_in(&self, home: &Path) {
        let certificate = CertificateParams::default().self_signed(&self.key);
        let folder = home.join("providers");
        fs::create_dir_all(&folder).expect("a folder");
        let pem = certificate.expect("a certificate").pem();
        fs::write(folder.join("provider.pem"), pem).expect("a certificate's file");
    }

    /// What it says of the machine with this ID. In lists that machine is called
    /// `123456789012/eu-central-1/` and the ID.
    pub fn document(&self, machine: &str) -> MachineDocument {
        let document = format!(
            "{{\n  \"accountId\" : \"123456789012\",\n  \"imageId\" : null,\n  \
             \"instanceId\" : \"{machine}\",\n  \"region\" : \"eu-central-1\"\n}}"
        );
        let signature = self.key.sign(document.as_bytes()).expect("a signature");
        MachineDocument { document, signature: BASE64_MIME.encode(&signature) }
    }
}
