//! AutoVE servers as their administrator sees them: real processes, real TLS, real licenses; hosts
//! that register, and pairs of servers that keep one registry.
//!
//! - `pair`: two servers, or one, with licenses of one customer; `hosts`: emulator hosts; `by_hand`: a
//!   server that a test plays itself; `between`: what makes each of two servers newer to the other.
//! - The other modules are the stories.

mod between;
mod by_hand;
#[allow(dead_code, reason = "it is made for the stories of a server's life as well")]
#[path = "../lifecycle/client.rs"]
mod client;
mod fleet;
mod flood;
mod healing;
mod hosts;
mod licenses;
mod pair;
mod peers;
mod providers;
mod registration;
mod restored;
mod rogues;
mod snapshots;
#[allow(dead_code, reason = "see client")]
#[path = "../lifecycle/talk.rs"]
mod talk;
mod tools;
mod versions;
mod waves;

use std::{future::Future, time::Duration};

/// Far longer than anything here takes; only a failure ever waits for it.
const LONG: Duration = Duration::from_mins(2);

/// Waits for something that must come, and says what didn't.
async fn awaited<T>(what: &str, event: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(LONG, event).await;
    in_time.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
