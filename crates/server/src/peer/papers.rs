//! Whether the server at the other end of a connection is one that a vendor has signed for, and one
//! that can be a peer at all.

use ve_core::{
    id::ServerKey,
    license::{Credential, Mode, Verified},
    reason::Refusal,
};
use ve_documents::{credential, keys::VerifyingKey};
use ve_wire::limits::{MAX_CREDENTIAL_BYTES, MAX_CREDENTIALS};

use super::no_peer;

/// The credential of a server that shows these over a connection whose certificate has this key. Of
/// several that hold, the one with the smallest license ID: that is the one which a server serves.
/// As it was shown, too.
pub(super) fn check<'a>(
    shown: &'a [String],
    key: Option<ServerKey>,
    vendor_keys: &[VerifyingKey],
) -> Result<(Verified<Credential>, &'a str), Refusal> {
    let key = key.ok_or_else(|| {
        no_peer("the key of the other side's certificate is none of a license server (Ed25519).")
    })?;
    let mut best: Option<(Verified<Credential>, &str)> = None;
    let mut why = "it shows no credential at all".to_owned();
    for jws in shown.iter().take(MAX_CREDENTIALS).filter(|jws| jws.len() <= MAX_CREDENTIAL_BYTES) {
        match credential::verify(jws, vendor_keys) {
            Err(error) => why = error.to_string(),
            Ok(found) if found.server_key != key => {
                "the credential that it shows is another server's".clone_into(&mut why);
            }
            Ok(found) if found.mode != Mode::AutoVe => {
                why = format!("its license {} is for {} mode", found.license_id, found.mode);
            }
            Ok(found) => {
                if best.as_ref().is_none_or(|(best, _)| found.license_id < best.license_id) {
                    best = Some((found, jws));
                }
            }
        }
    }
    best.ok_or_else(|| {
        no_peer(format!(
            "a peer needs an AutoVE license of a vendor that is trusted here, bound to its own key: \
             {why}."
        ))
    })
}

#[cfg(test)]
mod tests {
    use ve_documents::keys::SigningKey;

    use super::*;

    fn credential(id: &str, mode: Mode, server_key: ServerKey, vendor: &SigningKey) -> String {
        let credential = Credential {
            customer: "Stromasys".parse().expect("a name"),
            license_id: id.parse().expect("a license ID"),
            mode,
            server_key,
        };
        credential::sign(&credential, vendor)
    }

    #[test]
    fn only_an_autove_credential_for_the_very_key_is_a_peers() {
        let (vendor, stranger) = (SigningKey::generate(), SigningKey::generate());
        let (key, other) = (ServerKey([1; 32]), ServerKey([2; 32]));
        let (first, second) = ("01.00000001.002.001", "01.00000001.002.002");
        let papers = |id, mode, key, vendor| credential(id, mode, key, vendor);
        let good = papers(second, Mode::AutoVe, key, &vendor);
        let better = papers(first, Mode::AutoVe, key, &vendor);
        let general = papers(first, Mode::General, key, &vendor);
        let copied = papers(first, Mode::AutoVe, other, &vendor);
        let forged = papers(first, Mode::AutoVe, key, &stranger);
        let trusted = [vendor.verifying_key()];
        let all = [general.clone(), copied.clone(), forged.clone(), good, better];
        let (found, jws) = check(&all, Some(key), &trusted).expect("a peer");
        assert_eq!(jws, all[4]);
        assert_eq!(found.license_id.to_string(), first);
        for (shown, key, part) in [
            (vec![], Some(key), "no credential at all"),
            (vec![general], Some(key), "is for general mode"),
            (vec![copied], Some(key), "another server's"),
            (vec![forged], Some(key), "not trusted here"),
            (vec!["nonsense".to_owned()], Some(key), "not accepted"),
            (vec![all[3].clone()], None, "Ed25519"),
        ] {
            let refusal = check(&shown, key, &trusted).expect_err(part);
            assert!(refusal.sentence.contains(part), "{refusal}");
        }
    }
}
