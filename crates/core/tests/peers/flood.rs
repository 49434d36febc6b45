//! A peer that talks too fast is cut off, whatever it says and over however many links.

use ve_core::{
    id::{HostKey, LinkId, SpanId},
    node::peer::{PeerMessage, PeerStatus, Presence},
    reason::ReasonCode,
    registry::{Position, Span},
};

use crate::harness::{AutoVe, HERE, Pair, THERE, WALL_AT_START, entry, host};

fn status(instances: u32) -> PeerMessage {
    PeerMessage::Status(PeerStatus {
        license_id: AutoVe(2).id(),
        instances,
        serves: Ok(()),
        homed: 0,
        guests: 0,
        wall: WALL_AT_START,
    })
}

fn pull() -> PeerMessage {
    let spans = vec![Span { id: SpanId([9; 16]), after: 0 }];
    PeerMessage::Pull { after: None, spans, last: 0 }
}

fn presence() -> PeerMessage {
    let present = Presence {
        host: host(1),
        boot: None,
        since: None,
        beside: None,
        address: "10.0.0.1:4000".parse().unwrap(),
        emulators: 1,
    };
    PeerMessage::Presence { reset: false, present: vec![present], gone: Vec::<HostKey>::new() }
}

fn taken() -> PeerMessage {
    PeerMessage::Taken { upto: Position { span: SpanId([1; 16]), number: 1 } }
}

/// A server with one host, and a link to a peer that is spoken by hand and has said how it stands.
fn server() -> (Pair, LinkId) {
    let mut pair = Pair::new();
    pair.register(HERE, [entry(1, AutoVe(1))]);
    let link = greet(&mut pair);
    (pair, link)
}

fn greet(pair: &mut Pair) -> LinkId {
    let link = pair.connect(THERE);
    say(pair, link, status(5));
    link
}

fn say(pair: &mut Pair, link: LinkId, message: PeerMessage) {
    pair.sides[HERE].hear(pair.now, link, message);
    pair.collect(HERE);
}

/// How many of these the server hears before it has had enough.
fn heard(pair: &mut Pair, link: LinkId, message: impl Fn(u32) -> PeerMessage) -> u32 {
    for count in 0..10_000 {
        say(pair, link, message(count));
        if let Some((_, refusal)) = pair.refusals.pop() {
            assert_eq!(refusal.code, ReasonCode::BadRequest);
            assert!(refusal.sentence.contains("too fast") || refusal.sentence.contains("not sent"));
            return count;
        }
    }
    panic!("it listens for ever");
}

type Message = fn(u32) -> PeerMessage;

#[test]
fn every_message_counts() {
    // The first status is among those that say something new.
    let kinds: [(Message, u32); 5] = [
        (|_| status(5), 99),
        (|count| status(count + 6), 29),
        (|_| pull(), 29),
        (|_| presence(), 2_000),
        (|_| taken(), 0),
    ];
    for (message, most) in kinds {
        let (mut pair, link) = server();
        assert_eq!(heard(&mut pair, link, message), most, "{:?}", message(0));
    }
}

#[test]
fn what_was_sent_may_be_taken_and_no_more() {
    let (mut pair, link) = server();
    // Each pull is answered with one message.
    say(&mut pair, link, pull());
    say(&mut pair, link, pull());
    assert_eq!(heard(&mut pair, link, |_| taken()), 2);
}

#[test]
fn a_new_link_does_not_begin_anew_before_its_time() {
    let (mut pair, link) = server();
    heard(&mut pair, link, |_| presence());
    let again = greet(&mut pair);
    assert_eq!(heard(&mut pair, again, |_| presence()), 0);
    pair.move_clocks(10_000);
    pair.input(HERE, ve_core::node::io::Input::Tick);
    let later = greet(&mut pair);
    say(&mut pair, later, presence());
    assert_eq!(pair.refusals, []);
}

/// Hosts may come and go as fast as they like: the peer hears of many together.
#[test]
fn no_honest_server_talks_too_fast() {
    let mut pair = Pair::in_contact();
    for round in 0..3_000_u16 {
        let number = round % 50;
        pair.login(HERE, number, 1);
        pair.close(HERE, number);
        pair.pass(1);
    }
    pair.pass(200);
    assert_eq!(pair.refusals, []);
    let is_presence = |message: &PeerMessage| matches!(message, PeerMessage::Presence { .. });
    let told = pair.sent.iter().filter(|(_, message)| is_presence(message)).count();
    assert!((30..=100).contains(&told), "{told} messages in three seconds");
}
