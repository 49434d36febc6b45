//! One digest over all that a license is bound to, for the eye.

use aws_lc_rs::digest;
use ve_core::{
    fingerprint::Fingerprint,
    id::{Digest, ServerKey},
};

/// The license fingerprint: SHA-256 over the lines `component=digest`, sorted by component, and a
/// last line `server-key=key`; every line ends with a line feed, digests and key are lower-case
/// hexadecimal.
pub fn license_fingerprint(binding: &Fingerprint, server_key: &ServerKey) -> Digest {
    let mut lines: Vec<String> =
        binding.0.iter().map(|(component, digest)| format!("{component}={digest}\n")).collect();
    lines.sort();
    lines.push(format!("server-key={server_key}\n"));
    let digest = digest::digest(&digest::SHA256, lines.concat().as_bytes());
    Digest(digest.as_ref().try_into().expect("a SHA-256 digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ve_core::fingerprint::Component;

    use super::*;

    #[test]
    fn the_fingerprint_is_what_sha256sum_says() {
        // printf 'cpu-cores=%s\nproduct-uuid=%s\nserver-key=%s\n' 0101… 0202… 0303… | sha256sum
        let binding = Fingerprint(BTreeMap::from([
            (Component::ProductUuid, Digest([2; 32])),
            (Component::CpuCores, Digest([1; 32])),
        ]));
        let expected = "aa8adeda5bc4089d07ec88f41a24b07a7442b1ad04817342eccd8b40097c44c7";
        assert_eq!(license_fingerprint(&binding, &ServerKey([3; 32])).to_string(), expected);
    }
}
