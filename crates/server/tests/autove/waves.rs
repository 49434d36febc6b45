//! Thousands of new hosts come from one address at once: a few of them get in, the rest hears when to
//! come again, and those who are registered notice nothing.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use tokio::{sync::Semaphore, task::JoinSet};
use ve_core::reason::Refusal;

use super::{
    hosts::Machine,
    pair::{FIRST, Site, address, rows},
};

/// How many newcomers there are, and how many of them talk at a time.
const NEWCOMERS: usize = 10_000;
const AT_A_TIME: usize = 32;

/// What a configuration without any rules allows: at once, and in a minute.
const BURST: u64 = 200;
const A_MINUTE: u64 = 60;

/// Lets newcomers register, all of one address; what became of each.
fn wave(at: SocketAddr) -> JoinSet<Result<(), Refusal>> {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut wave = JoinSet::new();
    for number in 0..NEWCOMERS {
        let places = Arc::clone(&places);
        wave.spawn(async move {
            let _place = places.acquire().await.expect("never closed");
            let mut newcomer = Machine::new(&format!("newcomer-{number}"));
            newcomer.run(at, "ss5").await.map(drop)
        });
    }
    wave
}

/// In how many seconds a refused newcomer may try again.
fn try_again_in(refusal: &Refusal) -> u64 {
    assert_eq!(refusal.code.as_str(), "server-busy", "{refusal}");
    let rest = refusal.sentence.split_once("try again in ").map(|(_, rest)| rest);
    let seconds = rest.and_then(|rest| rest.split(' ').next()).and_then(|text| text.parse().ok());
    seconds.unwrap_or_else(|| panic!("no seconds: {refusal}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_one_address_are_paced_and_known_hosts_go_on() {
    let site = Site::new();
    let server = site.server("busy", "", |license| license.id(FIRST).autove(100_000));
    let at = address(&server);
    let since = Instant::now();
    let mut known = Machine::new("known");
    let running = known.runs(at).await;
    let mut wave = wave(at);
    let (mut registered, mut refused, mut checks) = (0, Vec::new(), 0);
    while let Some(ended) = wave.join_next().await {
        match ended.expect("no panic") {
            Ok(()) => registered += 1,
            Err(refusal) => refused.push(refusal),
        }
        // Every so often somebody who is served asks something in between.
        if (registered + refused.len() as u64).is_multiple_of(100) {
            running.link.check(running.grant.session).await.expect("a license as before");
            drop(known.run(at, "second").await.expect("another emulator of a known host"));
            checks += 1;
        }
    }
    assert_eq!(checks, NEWCOMERS / 100);
    let more = A_MINUTE * (since.elapsed().as_secs() + 1) / 60;
    let (least, most) = (BURST - 1, BURST - 1 + more + 1);
    assert!((least..=most).contains(&registered), "{registered} of {least} to {most}");
    assert_eq!(rows(&server).len() as u64, registered + 1, "nobody else is in the registry");
    let longest = refused.iter().map(try_again_in).max().expect("many are refused");
    assert!((1..=60).contains(&longest), "{longest} s");
    assert_eq!(server.log().matches("come too fast").count(), 1, "it is said once");

    // Who comes again until it is let in has its instance.
    let mut patient = Machine::new("patient");
    let again = async {
        while let Err(refusal) = patient.run(at, "ss5").await {
            let pause = std::time::Duration::from_secs(try_again_in(&refusal));
            tokio::time::sleep(pause).await;
        }
    };
    super::awaited("an instance", Box::pin(again)).await;
}
