//! Frames: arbitrary bytes in arbitrary pieces.

use std::{
    cell::Cell,
    collections::VecDeque,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use proptest::{collection::vec, prelude::*};
use prost::Message;
use tokio::io::{AsyncRead, ReadBuf};
use ve_wire::{
    frame::{FrameError, FrameReader, encode},
    proto::{Check, ClientMessage, Heartbeat, client_message::Kind},
};

/// The longest message that these readers take.
const LIMIT: usize = 64;

/// A connection on which the bytes come piece by piece, with a pause before each.
struct Pieces {
    left: VecDeque<Vec<u8>>,
    pause: bool,
    /// How many bytes were taken.
    taken: Rc<Cell<usize>>,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.pause = !self.pause;
        if self.pause {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(mut piece) = self.left.pop_front() {
            let count = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..count]);
            self.taken.set(self.taken.get() + count);
            if count < piece.len() {
                self.left.push_front(piece.split_off(count));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Cuts bytes into pieces of these lengths; the rest is one piece.
fn cut(bytes: &[u8], lengths: &[usize]) -> VecDeque<Vec<u8>> {
    let mut rest = bytes;
    let mut pieces = VecDeque::new();
    for length in lengths {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        // An empty read would be the end of the connection.
        if !piece.is_empty() {
            pieces.push_back(piece.to_vec());
        }
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push_back(rest.to_vec());
    }
    pieces
}

/// How reading ended.
#[derive(Debug, PartialEq)]
enum End {
    Clean,
    Cut,
    Length(u32),
    Message,
}

/// What a reader makes of the pieces. Every wait is given up and begun again, as a server does when
/// it has something to say in between. Fails when the reader takes more than it may.
fn read(bytes: &[u8], lengths: &[usize]) -> (Vec<ClientMessage>, End) {
    let taken = Rc::new(Cell::new(0));
    let stream = Pieces { left: cut(bytes, lengths), pause: false, taken: Rc::clone(&taken) };
    let mut reader = FrameReader::new(stream, LIMIT);
    let mut messages = Vec::new();
    let mut understood = 0;
    loop {
        let outcome = loop {
            let waiting = pin!(reader.next::<ClientMessage>());
            if let Poll::Ready(outcome) = waiting.poll(&mut Context::from_waker(Waker::noop())) {
                break outcome;
            }
        };
        let ahead = taken.get() - understood;
        assert!(ahead <= 4 + LIMIT + 2_048, "{ahead} bytes were taken for one message");
        match outcome {
            Ok(Some(message)) => {
                understood += 4 + announced(&bytes[understood..]);
                messages.push(message);
            }
            Ok(None) => return (messages, End::Clean),
            Err(FrameError::Cut) => return (messages, End::Cut),
            Err(FrameError::Length { claimed, limit }) => {
                assert_eq!(limit, LIMIT);
                return (messages, End::Length(claimed));
            }
            Err(FrameError::Message(_)) => return (messages, End::Message),
            Err(FrameError::Connection(error)) => panic!("no connection fails here: {error}"),
        }
    }
}

fn announced(frame: &[u8]) -> usize {
    u32::from_be_bytes(*frame.first_chunk().expect("a length")) as usize
}

/// The same by the book: all bytes at once, frame by frame.
fn by_the_book(mut bytes: &[u8]) -> (Vec<ClientMessage>, End) {
    let mut messages = Vec::new();
    loop {
        if bytes.is_empty() {
            return (messages, End::Clean);
        }
        if bytes.len() < 4 {
            return (messages, End::Cut);
        }
        let length = announced(bytes);
        if !(1..=LIMIT).contains(&length) {
            return (messages, End::Length(u32::try_from(length).expect("four bytes")));
        }
        let Some(message) = bytes.get(4..4 + length) else { return (messages, End::Cut) };
        let Ok(message) = ClientMessage::decode(message) else { return (messages, End::Message) };
        messages.push(message);
        bytes = &bytes[4 + length..];
    }
}

/// A message that fits, and one that is nearly as long as one may be.
fn messages() -> impl Strategy<Value = ClientMessage> {
    let check = |(request_id, nonce)| Kind::Check(Check { request_id, nonce, session: Vec::new() });
    prop_oneof![
        Just(Kind::Heartbeat(Heartbeat {})),
        (any::<u64>(), vec(any::<u8>(), 0..48)).prop_map(check),
    ]
    .prop_map(|kind| ClientMessage { kind: Some(kind) })
}

/// Bytes that are frames now and then, so that more than the first is looked at.
fn almost_frames() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        4 => messages().prop_map(|message| encode(&message)),
        1 => vec(any::<u8>(), 0..100),
        1 => (0..80_u32, vec(any::<u8>(), 0..80))
            .prop_map(|(length, rest)| [&length.to_be_bytes()[..], &rest].concat()),
    ];
    vec(frame, 0..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_read_by_the_book(
        bytes in almost_frames(),
        lengths in vec(0..40_usize, 0..40),
    ) {
        prop_assert_eq!(read(&bytes, &lengths), by_the_book(&bytes));
    }

    #[test]
    fn messages_come_back_in_order_however_they_are_cut(
        sent in vec(messages(), 0..50),
        lengths in vec(0..300_usize, 0..60),
    ) {
        let bytes: Vec<u8> = sent.iter().flat_map(encode).collect();
        prop_assert_eq!(read(&bytes, &lengths), (sent, End::Clean));
    }
}

#[test]
fn a_flood_behind_a_wrong_length_is_not_taken() {
    let flood = vec![0xff; 10_000_000];
    // `read` itself fails when more is taken than one message may have.
    assert_eq!(read(&flood, &[]), (Vec::new(), End::Length(u32::MAX)));
}
