//! What the server shows before login: who its vendor says it is.

use std::sync::{Arc, PoisonError, RwLock};

use ve_wire::limits::MAX_CREDENTIALS;

/// The credentials of the installed licenses; shared by all links, changed when licenses change.
#[derive(Debug, Clone, Default)]
pub struct Credentials(Arc<RwLock<Arc<[String]>>>);

impl Credentials {
    /// Shows these from now on; more than the protocol allows are left out.
    pub fn show(&self, credentials: Vec<String>) {
        let shown = credentials.into_iter().take(MAX_CREDENTIALS).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// What is shown now.
    pub fn current(&self) -> Arc<[String]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
