//! What the server shows before login: who its vendor says it is. And whom it believes.

use std::sync::Arc;

use tokio::sync::watch;
use ve_core::{
    id::LicenseId,
    license::{License, Mode},
};
use ve_documents::keys::VerifyingKey;
use ve_wire::limits::MAX_CREDENTIALS;

/// One license's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Of which license.
    pub license_id: LicenseId,
    /// What that counts.
    pub mode: Mode,
    /// The credential as it is shown.
    pub jws: String,
}

/// The credentials of the installed licenses, and the vendors' keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// At most as many as the protocol allows, in the order of their license IDs.
    pub credentials: Vec<Credential>,
    /// The vendor keys that are trusted here.
    pub vendor_keys: Vec<VerifyingKey>,
}

impl Known {
    /// The credentials of these licenses; more than the protocol allows are left out.
    pub fn new<'a>(
        licenses: impl IntoIterator<Item = (&'a License, String)>,
        vendor_keys: Vec<VerifyingKey>,
    ) -> Self {
        let credential = |(license, jws): (&License, String)| Credential {
            license_id: license.id.clone(),
            mode: license.mode,
            jws,
        };
        let credentials = licenses.into_iter().take(MAX_CREDENTIALS).map(credential).collect();
        Self { credentials, vendor_keys }
    }

    /// What is shown to everyone.
    pub fn shown(&self) -> Vec<String> {
        self.credentials.iter().map(|credential| credential.jws.clone()).collect()
    }

    /// What is shown to a server that comes as a peer: the credential of the license that is served.
    /// Others may be installed beside it, and the peer would take this server for one of those. As long
    /// as none is served, everything: it shows why this server is no peer.
    pub fn shown_to_peer(&self, served: Option<&LicenseId>) -> Vec<String> {
        self.of_served(served).unwrap_or_else(|| self.shown())
    }

    /// What this server shows where it comes as a peer itself.
    pub fn shown_as_peer(&self, served: Option<&LicenseId>) -> Vec<String> {
        self.of_served(served).unwrap_or_else(|| self.of_peers())
    }

    fn of_served(&self, served: Option<&LicenseId>) -> Option<Vec<String>> {
        self.of_license(served?).map(|jws| vec![jws.to_owned()])
    }

    /// The credentials that make this server a peer.
    pub fn of_peers(&self) -> Vec<String> {
        let autove = self.credentials.iter().filter(|credential| credential.mode == Mode::AutoVe);
        autove.map(|credential| credential.jws.clone()).collect()
    }

    /// The credential of one license.
    pub fn of_license(&self, id: &LicenseId) -> Option<&str> {
        let found = self.credentials.iter().find(|credential| credential.license_id == *id)?;
        Some(&found.jws)
    }
}

/// The credentials that hold now; shared by all links, changed when licenses change.
#[derive(Debug, Clone)]
pub struct Credentials(watch::Sender<Arc<Known>>);

impl Default for Credentials {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

impl Credentials {
    /// Shows and believes these from now on.
    pub fn show(&self, known: Known) {
        self.0.send_if_modified(|before| {
            let is_news = **before != known;
            if is_news {
                *before = Arc::new(known);
            }
            is_news
        });
    }

    /// What holds now.
    pub fn current(&self) -> Arc<Known> {
        Arc::clone(&self.0.borrow())
    }

    /// Hears of changes.
    pub fn changes(&self) -> watch::Receiver<Arc<Known>> {
        self.0.subscribe()
    }
}
