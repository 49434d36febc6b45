//! How a component's value becomes a digest.

use aws_lc_rs::digest::{Context, SHA256};
use ve_core::{fingerprint::Component, id::Digest};

/// Sets these digests apart from every other use of SHA-256; the number is the form's version.
const DOMAIN: &str = "ve-fingerprint/1";

/// The SHA-256 of `ve-fingerprint/1`, the component's name and its value, with a zero byte between
/// them. The value counts without the white space around it and without regard to case.
///
/// UUIDs and machine IDs can't be guessed from their digests. A core count and a platform can, and
/// may: the one is no secret, the other stands in the C2V anyway.
pub fn digest(component: Component, value: &str) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in [DOMAIN, "\0", component.as_str(), "\0", &normalised(value)] {
        context.update(part.as_bytes());
    }
    let bytes = context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes");
    Digest(bytes)
}

/// The one way to write a value: kernels and tools differ in case and line ends only.
pub(crate) fn normalised(value: &str) -> String {
    value.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Installed licenses hold such digests: this value must never change.
    #[test]
    fn the_form_of_a_digest_is_fixed() {
        assert_eq!(
            digest(Component::CpuCores, "4").to_string(),
            "c780a35f75c4434920d45454e5779c1aae0bba7f27fd89557a691c3ba37b6ec0"
        );
    }

    #[test]
    fn case_and_surrounding_space_do_not_count_but_the_component_does() {
        let plain = digest(Component::MachineId, "ab");
        assert_eq!(plain, digest(Component::MachineId, " AB\n"));
        assert_ne!(plain, digest(Component::ProductUuid, "ab"));
    }
}
