//! A client's grace period, as the license has it and its own boot clock counts it.

use ve_core::time::Elapsed;

use crate::client::SHUTDOWN_LEAD_MS;

/// What is known of a client's right to run.
#[derive(Debug, Default)]
pub(crate) struct GraceBook {
    grace_ms: u64,
    /// When the last connection that carried a license had its last proof of life, heartbeat
    /// time-out included.
    lost: Option<Elapsed>,
}

impl GraceBook {
    pub(crate) fn granted(&mut self, grace_ms: u64) {
        self.grace_ms = grace_ms;
        self.lost = None;
    }

    pub(crate) fn lost(&mut self, when: Elapsed) {
        self.lost = Some(when);
    }

    /// When the grace period ends; `None` while the client is licensed.
    pub(crate) fn end(&self) -> Option<Elapsed> {
        self.lost.map(|lost| lost.plus_ms(self.grace_ms))
    }

    /// From when on the guest may be asked to shut down.
    pub(crate) fn shutdown_from(&self) -> Option<Elapsed> {
        let lead_ms = SHUTDOWN_LEAD_MS.min(self.grace_ms / 2);
        self.end().map(|end| Elapsed(end.0.saturating_sub(lead_ms)))
    }
}
