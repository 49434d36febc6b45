//! What every engine of the registry does: it keeps `instances.db`.

use ve_core::registry::{Batch, RememberedHosts};

use crate::store::{AppendFailure, CloseError, LoadError};

/// Keeps the registry.
///
/// A batch is what one `Enroll` effect carries: all of it is remembered, or nothing. A failed call
/// leaves the store as it was, and the next one may succeed.
pub trait HostStore: Send {
    /// What all the batches so far add up to, with the span of this start.
    fn remember(&mut self) -> Result<RememberedHosts, LoadError>;

    /// Makes all `batches` durable in one commit, or none of them.
    fn write(&mut self, batches: &[&Batch]) -> Result<(), AppendFailure>;

    /// Puts everything in its place and lets go. What was written is durable without it.
    fn close(self) -> Result<(), CloseError>
    where
        Self: Sized;
}
