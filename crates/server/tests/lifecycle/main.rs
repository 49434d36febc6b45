//! A license server's life as its administrator sees it: real processes, real TLS, real licenses.
//!
//! - `site`: a home with a vendor; `server`: a running `licensed`; `client`: an emulator host
//!   (and `talk`, the task behind each of its links); `strace`: faults of the system.
//! - The other modules are the stories.

mod client;
mod control;
mod countdown;
mod crash;
mod disk;
mod ending;
mod installing;
mod killed;
mod licenses;
mod notify;
mod reload;
mod removed;
mod returning;
mod server;
mod site;
mod starting;
mod status;
mod strace;
mod talk;

use std::{future::Future, time::Duration};

/// Far longer than anything here takes; only a failure ever waits for it.
const LONG: Duration = Duration::from_mins(2);

/// Waits for something that must come, and says what didn't.
async fn awaited<T>(what: &str, event: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(LONG, event).await;
    in_time.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Looks again and again until there is something to see: for what announces itself to no one.
async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    awaited(what, seen).await
}
