//! Cold logins a second beside bare TLS handshakes a second, in the same run.
//!
//! A cold login is everything that a client starting anew costs the server: TCP, a TLS 1.3 handshake
//! with certificates on both sides, the hellos, a seat made durable, a signed grant, the logout, made
//! durable as well. The yardstick is the handshake alone, by the same library with the same keys,
//! and one byte there and back. Servers run in processes of their own, clients in this one.
//!
//! Machines are noisy, ratios hold: the two are measured in turn, and the ratio is what counts.

#[path = "cold_logins/client.rs"]
mod client;
#[path = "shared/talk.rs"]
mod talk;
#[path = "cold_logins/yardstick.rs"]
mod yardstick;

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How many clients ask at the same time.
const CLIENTS: usize = 32;
/// How often the two are measured in turn.
const ROUNDS: usize = 5;
/// How long each round lasts.
const ROUND: Duration = Duration::from_secs(3);

fn main() {
    if env::var_os(yardstick::SERVE).is_some() {
        return yardstick::serve();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let bare = Arc::new(yardstick::Server::start());
    let licensed = Arc::new(client::Server::start());
    let bare_round = async || {
        let bare = Arc::clone(&bare);
        a_second(move || bare.handshake()).await
    };
    let licensed_round = async || {
        let licensed = Arc::clone(&licensed);
        a_second(move || licensed.login()).await
    };
    // One round each that does not count.
    bare_round().await;
    licensed_round().await;
    let (mut handshakes, mut logins) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let (bare, licensed) = (bare_round().await, licensed_round().await);
        handshakes.push(bare);
        logins.push(licensed);
        println!(
            "round {round}: {bare:7.0} handshakes/s {licensed:7.0} cold logins/s, ratio {:.2}",
            licensed / bare
        );
    }
    let ratios: Vec<f64> =
        logins.iter().zip(&handshakes).map(|(login, handshake)| login / handshake).collect();
    println!(
        "cold logins: {:.0} /s beside {:.0} bare TLS handshakes/s: ratio {:.2} (median of {ROUNDS}, {CLIENTS} clients, {} processors)",
        median(&logins),
        median(&handshakes),
        median(&ratios),
        std::thread::available_parallelism().map_or(0, usize::from),
    );
}

/// How often a second `CLIENTS` tasks together complete what `once` makes.
async fn a_second<F: Future<Output = ()> + Send + 'static>(
    once: impl Fn() -> F + Clone + Send + 'static,
) -> f64 {
    let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let since = Instant::now();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (over, count, once) = (Arc::clone(&over), Arc::clone(&count), once.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    once().await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(ROUND).await;
    over.store(true, Ordering::Relaxed);
    let (done, seconds) = (count.load(Ordering::Relaxed), since.elapsed().as_secs_f64());
    for task in tasks {
        task.await.expect("no task fails");
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^52")]
    let done = done as f64;
    done / seconds
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
