//! What a host shows of itself, checked: receipts of this customer's servers, and the identity
//! documents that cloud providers sign. What doesn't hold is as good as not shown.
//!
//! A fleet logs in again and again with the same few documents. So what was found to hold is
//! remembered by its digest, and a login of a known host costs no signature.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use aws_lc_rs::digest::{self, SHA256};
use ve_core::{
    license::Verified,
    registry::{HostFacts, PlatformIdentity, Receipt},
};
use ve_documents::{
    identity::{self, Certificate},
    keys::VerifyingKey,
    receipt,
};
use ve_wire::convert::{FactsShown, IdentityShown};

/// How many documents are remembered, and once more as many of those that were used before.
const MAX_REMEMBERED: usize = 50_000;

type Digest = [u8; 32];

/// What one link has shown that did not hold. A document is tried against every certificate there is, so
/// one that fails is enough: no other is looked at over this link.
#[derive(Debug, Default)]
pub struct Doubts {
    identity: bool,
}

/// Checks what hosts show, for all links of a server.
#[derive(Debug, Clone, Default)]
pub struct Vouching(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    providers: RwLock<Arc<[Certificate]>>,
    receipts: Mutex<Remembered<Verified<Receipt>>>,
    identities: Mutex<Remembered<Verified<PlatformIdentity>>>,
}

impl Vouching {
    /// The providers' certificates from now on.
    pub fn trust_providers(&self, certificates: Vec<Certificate>) {
        let mut providers = self.0.providers.write().unwrap_or_else(PoisonError::into_inner);
        *providers = certificates.into();
        lock(&self.0.identities).forget_all();
    }

    /// What a host says of itself, as far as it holds.
    pub fn check(
        &self,
        shown: FactsShown,
        vendor_keys: &[VerifyingKey],
        doubts: &mut Doubts,
    ) -> HostFacts {
        let FactsShown { name, platform, boot, identity, receipts } = shown;
        HostFacts {
            name,
            platform,
            boot,
            identity: identity.and_then(|shown| self.identity(&shown, doubts)),
            receipts: receipts.iter().filter_map(|jws| self.receipt(jws, vendor_keys)).collect(),
        }
    }

    fn receipt(&self, jws: &str, vendor_keys: &[VerifyingKey]) -> Option<Verified<Receipt>> {
        let keys = vendor_keys.iter().map(|key| key.public().0);
        let digest = digest_of([jws.as_bytes()].into_iter(), keys);
        recall(&self.0.receipts, digest, || receipt::verify(jws, vendor_keys).ok())
    }

    fn identity(
        &self,
        shown: &IdentityShown,
        doubts: &mut Doubts,
    ) -> Option<Verified<PlatformIdentity>> {
        // Held until what was checked with these is remembered.
        let providers = self.0.providers.read().unwrap_or_else(PoisonError::into_inner);
        if providers.is_empty() || doubts.identity {
            return None;
        }
        let IdentityShown { platform, document, signature } = shown;
        let parts = [platform.as_str().as_bytes(), document, signature];
        let digest = digest_of(parts.into_iter(), [].into_iter());
        let found = recall(&self.0.identities, digest, || {
            identity::verify(*platform, document, signature, &providers).ok()
        });
        doubts.identity = found.is_none();
        found
    }
}

/// What was found to hold is looked up, everything else is checked.
fn recall<T: Clone>(
    remembered: &Mutex<Remembered<T>>,
    digest: Digest,
    check: impl FnOnce() -> Option<T>,
) -> Option<T> {
    if let Some(known) = lock(remembered).find(&digest) {
        return Some(known);
    }
    let found = check()?;
    lock(remembered).keep(digest, found.clone());
    Some(found)
}

/// No one panics while holding the lock, so what a poisoned one guards is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One name for all that a check depends on; the parts can't run into each other.
fn digest_of<'a>(
    parts: impl Iterator<Item = &'a [u8]>,
    keys: impl Iterator<Item = [u8; 32]>,
) -> Digest {
    let mut context = digest::Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    keys.for_each(|key| context.update(&key));
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// What was used lately, in two generations: when the young one is full, it becomes the old one, and
/// what was in that is forgotten.
#[derive(Debug)]
struct Remembered<T> {
    young: HashMap<Digest, T>,
    old: HashMap<Digest, T>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T: Clone> Remembered<T> {
    fn find(&mut self, digest: &Digest) -> Option<T> {
        if let Some(known) = self.young.get(digest) {
            return Some(known.clone());
        }
        let known = self.old.remove(digest)?;
        self.keep(*digest, known.clone());
        Some(known)
    }

    fn keep(&mut self, digest: Digest, known: T) {
        if self.young.len() >= MAX_REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, known);
    }

    fn forget_all(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use ve_core::{
        id::{BootId, HostKey},
        license::{Credential, Mode},
        time::Utc,
    };
    use ve_documents::{credential, identity::load_certificates, keys::SigningKey};

    use super::*;

    fn signed(vendor: &SigningKey, server: &SigningKey) -> String {
        let (customer, license) = ("Stromasys", "01.00000001.002.044");
        let credential = Credential {
            customer: customer.parse().expect("a name"),
            license_id: license.parse().expect("a license ID"),
            mode: Mode::AutoVe,
            server_key: server.public(),
        };
        let receipt = Receipt {
            host: HostKey([7; 32]),
            customer: credential.customer.clone(),
            issuer: credential.license_id.clone(),
            home: credential.license_id.clone(),
            revision: 1,
            registered: Utc(1_800_000_000),
        };
        receipt::sign(&receipt, &credential::sign(&credential, vendor), server)
    }

    fn shown(receipts: Vec<String>) -> FactsShown {
        FactsShown {
            name: "host".parse().expect("a name"),
            platform: None,
            boot: BootId([1; 16]),
            identity: None,
            receipts,
        }
    }

    #[test]
    fn a_receipt_holds_under_the_keys_that_are_trusted_and_no_others() {
        let (vendor, server, stranger) =
            (SigningKey::generate(), SigningKey::generate(), SigningKey::generate());
        let good = signed(&vendor, &server);
        let mut tampered = good.clone();
        tampered.replace_range(good.len() - 2.., "AA");
        let receipts = vec![good, tampered, "nonsense".to_owned()];
        let vouching = Vouching::default();
        let trusted = [vendor.verifying_key()];
        for _ in 0..2 {
            let facts = vouching.check(shown(receipts.clone()), &trusted, &mut Doubts::default());
            assert_eq!(facts.receipts.len(), 1);
            assert_eq!(facts.receipts[0].host, HostKey([7; 32]));
        }
        // What one vendor's key has vouched for, another's does not, whatever is remembered.
        let facts =
            vouching.check(shown(receipts), &[stranger.verifying_key()], &mut Doubts::default());
        assert!(facts.receipts.is_empty());
    }

    #[test]
    fn after_one_document_that_fails_no_other_is_believed_over_that_link() {
        let home = tempfile::tempdir().expect("a folder");
        let (provider, stranger) = (ve_testbed::Provider::new(), ve_testbed::Provider::new());
        provider.trust_in(home.path());
        let vouching = Vouching::default();
        let folder = home.path().join("providers");
        vouching.trust_providers(load_certificates(&folder).expect("a certificate"));
        let facts = |document: ve_testbed::MachineDocument| FactsShown {
            identity: Some(IdentityShown {
                platform: ve_core::fingerprint::Platform::AmazonAws,
                document: document.document.into_bytes(),
                signature: document.signature.into_bytes(),
            }),
            ..shown(Vec::new())
        };
        let is_believed = |doubts: &mut Doubts, provider: &ve_testbed::Provider| {
            vouching.check(facts(provider.document("i-1")), &[], doubts).identity.is_some()
        };
        let mut doubts = Doubts::default();
        assert!(is_believed(&mut doubts, &provider));
        assert!(!is_believed(&mut doubts, &stranger));
        assert!(!is_believed(&mut doubts, &provider), "one was enough");
        assert!(is_believed(&mut Doubts::default(), &provider), "another link has its own");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_used_stays() {
        let mut remembered = Remembered::default();
        let digest = |number: u32| {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&number.to_be_bytes());
            digest
        };
        let count = u32::try_from(3 * MAX_REMEMBERED).expect("a small number");
        for number in 0..count {
            remembered.keep(digest(number), number);
            assert_eq!(remembered.find(&digest(0)), Some(0));
        }
        assert!(remembered.young.len() + remembered.old.len() <= 2 * MAX_REMEMBERED);
        assert_eq!(remembered.find(&digest(1)), None);
    }
}
