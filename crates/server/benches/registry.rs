//! What two peers with a hundred thousand hosts take, each figure beside its yardstick in the same run:
//!
//! - a registration, from the login's first byte until it is durable on both peers, beside two flushes
//!   of the disk and one round trip;
//! - how many hosts a second register, each with a connection and a key of its own;
//! - how long a peer that has lost everything takes to have it again, beside copying the same rows with
//!   SQLite.
//!
//! Both servers are real processes. That a registration is durable at the other peer is seen in its
//! file: in WAL mode with synchronous=FULL a row can be read when it has been flushed.
//!
//! The last part alone, with hosts that were written down before the servers' start:
//! `cargo bench --package ve-server --bench registry -- resync`.

#[path = "registry/hosts.rs"]
mod hosts;
#[path = "registry/pair.rs"]
mod pair;
#[path = "registry/seeds.rs"]
mod seeds;
#[path = "shared/talk.rs"]
mod talk;
#[path = "registry/yardsticks.rs"]
mod yardsticks;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use hosts::Newcomer;
use pair::Pair;

/// How many hosts there are in the end.
const HOSTS: u32 = 100_000;
/// How many of them register one after the other, and are watched.
const WATCHED: usize = 500;
/// How many of those come first and don't count.
const WARM_UP: usize = 50;
/// How many of the others register at the same time.
const CLIENTS: usize = 32;

/// How long between two looks whether a registration is durable at the other peer.
const LOOK_EVERY: Duration = Duration::from_micros(20);
/// How often the peer loses everything.
const LOSSES: usize = 3;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    if std::env::args().any(|argument| argument == "resync") {
        let mut pair = Pair::start_seeded(folder.path(), HOSTS);
        pair.wait_until_in_step(HOSTS);
        return resynchronised(&mut pair);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut pair = Pair::start(folder.path(), HOSTS);
    pair.wait_until_in_step(0);
    let (flush, round_trip) = (
        yardsticks::flush(folder.path()),
        runtime.block_on(yardsticks::round_trip(pair.address())),
    );
    runtime.block_on(watched(&pair, flush, round_trip));
    runtime.block_on(sustained(&pair));
    resynchronised(&mut pair);
}

/// One registration after the other, each until it is durable on both peers.
async fn watched(pair: &Pair, flush: Duration, round_trip: Duration) {
    let (mut answered, mut durable) = (Vec::new(), Vec::new());
    let mut other = pair.other_registry();
    for number in 0..WATCHED {
        let newcomer = Newcomer::connect(pair.address()).await;
        let host = newcomer.key();
        let since = Instant::now();
        // The answer doesn't wait for the peer, so both are watched at the same time.
        let watcher = tokio::task::spawn_blocking(move || {
            while !other.has(host) {
                // Not without a pause: the servers need the processors.
                std::thread::sleep(LOOK_EVERY);
            }
            (since.elapsed(), other)
        });
        let (newcomer, answer) = newcomer.register().await;
        answered.push(answer);
        let (seen, registry) = watcher.await.expect("it watches");
        other = registry;
        durable.push(seen);
        if number + 1 == WARM_UP {
            answered.clear();
            durable.clear();
        }
        newcomer.leave().await;
    }
    let yardstick = 2 * flush + round_trip;
    let (answered, durable) = (median(&mut answered), median(&mut durable));
    println!(
        "registration: answered after {}, durable on both peers after {}; two flushes ({}) and one round trip ({}): {}; ratio {:.2} (medians)",
        ms(answered),
        ms(durable),
        ms(flush),
        ms(round_trip),
        ms(yardstick),
        durable.as_secs_f64() / yardstick.as_secs_f64(),
    );
}

/// The others, as fast as they get in.
async fn sustained(pair: &Pair) {
    let first = u32::try_from(WATCHED).expect("it fits");
    let next = Arc::new(AtomicU32::new(first));
    let (since, address) = (Instant::now(), pair.address());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let next = Arc::clone(&next);
            tokio::spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < HOSTS {
                    let newcomer = Newcomer::connect(address).await;
                    newcomer.register().await.0.leave().await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no client fails");
    }
    let (registered, done) = (since.elapsed(), Instant::now());
    pair.wait_until_in_step(HOSTS);
    println!(
        "{HOSTS} hosts: {:.0} registrations/s over {:.0} s, each with its own handshake, key and logout; the peer had all of them {} later",
        f64::from(HOSTS - first) / registered.as_secs_f64(),
        registered.as_secs_f64(),
        ms(done.elapsed()),
    );
}

/// The peer loses its registry and its snapshots, and gets all of it again: from the moment in which
/// it is ready to serve, before it has dialed, until the last host is durable there.
fn resynchronised(pair: &mut Pair) {
    let (mut again, mut copied) = (Vec::new(), Vec::new());
    for _ in 0..LOSSES {
        pair.lose_the_other();
        let since = pair.restart_the_other();
        pair.wait_until_in_step(HOSTS);
        again.push(since.elapsed());
        for _ in 0..2 {
            copied.push(yardsticks::copy_rows(pair));
        }
    }
    let (again, copied) = (median(&mut again), median(&mut copied));
    println!(
        "an empty peer has {HOSTS} hosts again {} after its start; SQLite copies the same rows in {}; {:.2} of its speed (medians)",
        ms(again),
        ms(copied),
        copied.as_secs_f64() / again.as_secs_f64(),
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}
