//! What an emulator host says of itself to an AutoVE server: name, kind, boot, and its provider's word.
//!
//! All but the signed document is information. No license depends on it, and nothing here fails: what
//! can't be learned is left out.

use std::{net::SocketAddr, time::Duration};

use ve_core::{fingerprint::Platform, id::BootId, text::Name};

use crate::{
    Sources, clock,
    metadata::{self, MetadataError},
    provider,
};

/// Where a cloud's machines ask for what their provider says of them; link-local, never routed.
pub const METADATA_SERVICE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254)), 80);

/// How long the metadata service may take in all.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// The name of a host that has none, or none that can be shown.
const UNNAMED: &str = "unnamed";

/// What a host says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSelf {
    /// Its host name, as the kernel knows it.
    pub name: Name,
    /// The kind of machine or cloud; `None` when nothing tells.
    pub platform: Option<Platform>,
    /// This boot.
    pub boot: BootId,
    /// What the provider has signed of this machine; `None` where it signs nothing, or doesn't answer.
    pub identity: Option<IdentityDocument>,
    /// Why there is no identity document, where the provider should have given one.
    pub trouble: Option<MetadataError>,
}

/// A provider's document about this machine, as it came, with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityDocument {
    /// Whose document it is.
    pub platform: Platform,
    /// The document, byte for byte as it was signed; at most 8192 bytes.
    pub document: Vec<u8>,
    /// The signature as the provider gives it, at most 4096 bytes.
    pub signature: Vec<u8>,
}

/// What this machine says of itself. `named` is the platform that the operator named, if any.
///
/// On a cloud that signs identity documents this waits for its metadata service, for one second at
/// most; elsewhere nothing is sent.
pub fn read(named: Option<Platform>) -> HostSelf {
    read_from(&Sources::this_machine(), named, METADATA_SERVICE)
}

/// The same, with everything that tells at another place: for tests.
pub fn read_from(
    sources: &Sources,
    named: Option<Platform>,
    metadata_service: SocketAddr,
) -> HostSelf {
    let platform = named.or_else(|| provider::platform(sources));
    let asked = (platform == Some(Platform::AmazonAws))
        .then(|| metadata::identity_of_ec2(metadata_service, METADATA_TIMEOUT));
    let (identity, trouble) = match asked {
        None => (None, None),
        Some(Ok((document, signature))) => {
            (Some(IdentityDocument { platform: Platform::AmazonAws, document, signature }), None)
        }
        Some(Err(trouble)) => (None, Some(trouble)),
    };
    let name = printable_name(rustix::system::uname().nodename().to_string_lossy().trim());
    HostSelf { name, platform, boot: clock::boot(), identity, trouble }
}

fn printable_name(text: &str) -> Name {
    text.parse().unwrap_or_else(|_| UNNAMED.parse().expect("a valid name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_always_has_a_name() {
        let long = "x".repeat(200);
        for (given, name) in [
            ("emu-17.example.com", "emu-17.example.com"),
            ("(none)", "(none)"),
            ("", UNNAMED),
            ("a\u{1b}[2J", UNNAMED),
            (&long, UNNAMED),
        ] {
            assert_eq!(printable_name(given).as_str(), name, "{given:?}");
        }
    }
}
