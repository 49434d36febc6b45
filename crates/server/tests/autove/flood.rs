//! A recognized peer that floods, and a server that serves its clients all the while.

use std::fs;

use ve_core::{
    id::HostKey,
    node::peer::{MAX_PRESENCES, PeerMessage, Presence},
};
use ve_testbed::{Server, wait};

use super::{
    by_hand::{Rogue, Talk, status},
    hosts::Machine,
    pair::{Site, address},
};

/// How many messages are on their way at the same time at least, as far as the network takes them.
const ROUND: usize = 50;

/// So many rounds are far more than any server may listen to.
const MANY: usize = 10_000;

/// How much more memory a server may use at most, in kilobytes: a fraction of what is sent.
const MAX_GROWTH_KB: u64 = 48 << 10;

fn presence(number: u64) -> PeerMessage {
    let present = |index: u64| {
        let mut host = [0xbb; 32];
        host[..8].copy_from_slice(&(number * MAX_PRESENCES as u64 + index).to_be_bytes());
        Presence {
            host: HostKey(host),
            boot: None,
            beside: None,
            since: None,
            address: "192.0.2.1:1".parse().expect("a name"),
            emulators: 1,
        }
    };
    // The same hosts again and again: it is the number of messages that tells a flood.
    let hosts = (0..MAX_PRESENCES as u64).map(present).collect();
    PeerMessage::Presence { reset: true, present: hosts, gone: Vec::new() }
}

/// The most memory that a server has ever used.
fn peak_kb(server: &Server) -> u64 {
    let status = format!("/proc/{}/status", server.process_id());
    let status = fs::read_to_string(status).expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Floods until the server has had enough, and lets a client check in between each round.
async fn flood(talk: &mut Talk, client: &super::client::Running) -> (String, String) {
    for round in 0..MANY {
        for _ in 0..ROUND {
            talk.say(&presence(round as u64 % 2)).await;
        }
        let checked = client.link.check(client.grant.session).await;
        assert!(checked.is_ok(), "{checked:?}");
        if let Some(words) = talk.last_words_so_far().await {
            return words;
        }
    }
    panic!("the server listens for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_floods_is_cut_off_while_clients_are_served() {
    let site = Site::new();
    let server = site.autove(5);
    let mut host = Machine::new("client");
    let client = host.runs(address(&server)).await;
    let mut talk = Rogue::new().dial(address(&server), &site.vendor).await;
    talk.say(&status()).await;
    assert!(talk.is_talked_with().await);
    let before_kb = peak_kb(&server);
    let (code, sentence) = flood(&mut talk, &client).await;
    assert_eq!(code, "bad-request");
    assert!(sentence.contains("presences come too fast"), "{sentence}");
    wait::for_text(&server.log_file(), &sentence);
    let growth_kb = peak_kb(&server).saturating_sub(before_kb);
    assert!(growth_kb <= MAX_GROWTH_KB, "{growth_kb} kB more");
    assert!(client.link.check(client.grant.session).await.is_ok());
}
