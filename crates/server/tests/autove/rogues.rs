//! Servers that lie, flood, or speak a version that this one doesn't know.

use std::fs;

use ve_core::{
    id::HostKey,
    license::Mode,
    node::peer::{MAX_CHANGES, PeerMessage, WINDOW},
    registry::{HostEntry, HostState, Seen},
    time::Utc,
};
use ve_testbed::{vendor, wait};
use ve_wire::proto::{self, client_message::Kind};

use super::{
    by_hand::{Rogue, position, pull, status},
    hosts::Machine,
    pair::{SECOND, Site, address, peer, reload, rows},
};

fn entry(number: u64) -> HostEntry {
    let mut host = [0xaa; 32];
    host[..8].copy_from_slice(&number.to_be_bytes());
    HostEntry {
        host: HostKey(host),
        home: SECOND.parse().expect("a license ID"),
        revision: 1,
        state: HostState::Active,
        registered: Utc(1_790_000_000),
        identity: None,
        seen: Seen {
            at: Utc(1_790_000_000),
            name: "rogue".parse().expect("a name"),
            platform: None,
            address: "192.0.2.1:1".parse().expect("a name"),
        },
    }
}

fn changes(from: u64, count: usize) -> PeerMessage {
    let entries: Vec<HostEntry> = (from..).take(count).map(entry).collect();
    let last = from + count as u64 - 1;
    PeerMessage::Changes { entries, upto: position(last), last }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn papers_that_prove_nothing_are_refused_and_logged() {
    let site = Site::new();
    let server = site.autove(5);
    let at = address(&server);
    let stranger = vendor(&site.path("stranger"));
    let sign = |rogue: &Rogue| ve_documents::credential::sign(&rogue.credential, site.vendor.key());
    let rogue = Rogue::new();
    let mut general = Rogue::new();
    general.credential.mode = Mode::General;
    let mut foreign = Rogue::new();
    foreign.credential.customer = "Somebody".parse().expect("a name");
    let mut namesake = Rogue::new();
    namesake.credential.license_id = super::pair::FIRST.parse().expect("a license ID");
    let forged = ve_documents::credential::sign(&rogue.credential, stranger.key());
    for (who, papers, part) in [
        (&rogue, sign(&Rogue::new()), "another server's"),
        (&rogue, forged, "not trusted here"),
        (&rogue, "nonsense".to_owned(), "not accepted"),
        (&general, sign(&general), "general mode"),
        (&foreign, sign(&foreign), "another customer"),
        (&namesake, sign(&namesake), "a license of its own"),
    ] {
        let talk = who.dial_with(at, vec![papers]).await;
        let (code, sentence) = talk.ends().await.expect("a goodbye");
        assert_eq!(code, "license-not-available");
        assert!(sentence.contains(part), "{sentence}");
        wait::for_text(&server.log_file(), &sentence);
    }
    assert_eq!(peer(&server), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_breaks_the_rules_is_cut_off_and_the_server_serves_on() {
    let site = Site::new();
    let server = site.autove(5);
    let at = address(&server);
    let mut host = Machine::new("host");
    let _running = host.runs(at).await;
    let rogue = Rogue::new();
    let wrong = |message: proto::PeerMessage| vec![Kind::Peer(message)];
    let written = |message: &PeerMessage| ve_wire::peer::write(message);
    let unspecific = proto::Position { span: vec![1; 3], number: 1 };
    let cases: Vec<(&str, bool, Vec<Kind>)> = vec![
        ("no status first", false, wrong(written(&pull()))),
        ("a second hello", true, vec![Kind::Hello(proto::ClientHello::default())]),
        ("a login", true, vec![Kind::Login(proto::Login::default())]),
        ("changes that nobody asked for", true, {
            // More than were asked for, without waiting for a word.
            let flood = |number: usize| changes(1 + (number * MAX_CHANGES) as u64, MAX_CHANGES);
            (0..WINDOW * 3).map(|number| Kind::Peer(written(&flood(number)))).collect()
        }),
        ("a position that is none", true, {
            let taken = proto::PeerTaken { upto: Some(unspecific) };
            wrong(proto::PeerMessage { kind: Some(proto::peer_message::Kind::Taken(taken)) })
        }),
        ("too many changes in one", true, wrong(written(&changes(1, MAX_CHANGES + 1)))),
    ];
    for (what, with_status, kinds) in cases {
        let mut talk = rogue.dial(at, &site.vendor).await;
        if with_status {
            talk.say(&status()).await;
        }
        for kind in kinds {
            talk.say_kind(kind).await;
        }
        let words = super::awaited(what, talk.ends()).await;
        // A flood may end before its words have arrived.
        if let Some((code, _)) = words {
            assert_eq!(code, "bad-request", "{what}");
        }
        wait::until(format!("the end of a peer after {what}"), || {
            peer(&server).is_none_or(|peer| peer["links"] == 0).then_some(())
        });
    }
    assert!(rows(&server).iter().any(|(key, _, _)| *key == host.key()));
    let _second = host.run(at, "ss10").await.expect("a host as before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_peer_is_understood_as_far_as_this_version_goes() {
    let site = Site::new();
    let server = site.autove(5);
    let mut host = Machine::new("host");
    let _running = host.runs(address(&server)).await;
    let mut talk = Rogue::new().dial(address(&server), &site.vendor).await;
    talk.say(&status()).await;
    // A message of a kind that is not known, and a peer's message of such a kind: fields 99.
    talk.say_bytes(&[0x9a, 0x06, 0x00]).await;
    talk.say_bytes(&[0x3a, 0x03, 0x9a, 0x06, 0x00]).await;
    talk.say(&pull()).await;
    let mut pulled = false;
    let entries = loop {
        match talk.hear_peer().await {
            PeerMessage::Pull { .. } => pulled = true,
            PeerMessage::Changes { entries, upto, .. } if !entries.is_empty() => {
                talk.say(&PeerMessage::Taken { upto }).await;
                break entries;
            }
            _ => {}
        }
    };
    assert_eq!(entries[0].host.to_string(), host.key());
    while !pulled {
        pulled = matches!(talk.hear_peer().await, PeerMessage::Pull { .. });
    }
    talk.say(&changes(1, 2)).await;
    loop {
        if matches!(talk.hear_peer().await, PeerMessage::Taken { upto } if upto == position(2)) {
            break;
        }
    }
    assert_eq!(rows(&server).len(), 3, "what was acknowledged is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_vendor_is_trusted_no_more_is_cut_off() {
    let site = Site::new();
    let server = site.autove(5);
    let keys = server.home().join("vendor.pub");
    let ours = fs::read(&keys).expect("the vendor's key");
    let leaked = vendor(&site.path("leaked"));
    let both = [ours.clone(), fs::read(leaked.public_file()).expect("its key")].concat();
    fs::write(&keys, both).expect("a file");
    reload(&server);
    let rogue = Rogue::new();
    // Until the reload has had its effect, the rogue is refused.
    let talk = loop {
        let mut talk = rogue.dial(address(&server), &leaked).await;
        talk.say(&status()).await;
        if talk.is_talked_with().await {
            break talk;
        }
    };
    fs::write(&keys, &ours).expect("a file");
    reload(&server);
    let (code, sentence) = super::awaited("the end", talk.ends()).await.expect("a goodbye");
    assert_eq!(code, "license-not-available");
    assert!(sentence.contains("not trusted here"), "{sentence}");
    wait::for_text(&server.log_file(), &sentence);
    let mut talk = Rogue::new().dial(address(&server), &site.vendor).await;
    talk.say(&status()).await;
    assert!(talk.is_talked_with().await, "the server serves on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_silent_is_lost_and_one_that_beats_is_not() {
    let site = Site::new();
    let server = site.autove(5);
    let rogue = Rogue::new();
    let mut talk = rogue.dial(address(&server), &site.vendor).await;
    talk.say(&status()).await;
    wait::until("contact", || peer(&server));
    talk.say_kind(Kind::Heartbeat(proto::Heartbeat {})).await;
    let heartbeat = |kind: &proto::server_message::Kind| {
        matches!(kind, proto::server_message::Kind::Heartbeat(_))
    };
    while !heartbeat(&talk.hear().await.expect("an open connection")) {}
    assert_eq!(talk.ends().await, None, "silence needs no words");
    let log = wait::for_text(&server.log_file(), "is gone. Its hosts are served here");
    assert!(log.contains("The peer with license"), "{log}");
}
