//! Clients that keep the server waiting: each is cut off, by the clock and not by its good will.

use std::{
    io::{ErrorKind, Write},
    net::{Ipv4Addr, TcpStream},
    thread::sleep,
    time::Duration,
};

use super::{
    attacks::{Attack, survive_together},
    client::Client,
    connection::{Connection, Host, Offer, frame},
    messages::{self, Login, Said, random},
    server::Server,
    socket::{connect_from, read_to_end, send},
};

const NO_HELLO: Option<&str> = Some("bad-request: no hello came within 5 seconds.");

const ATTACKS: &[Attack] = &[
    Attack { name: "nothing is sent", run: |server| plain(server, &[]), logged: NO_HELLO },
    Attack { name: "one byte is sent", run: |server| plain(server, &[0x16]), logged: NO_HELLO },
    Attack {
        name: "half a ClientHello is sent",
        run: |server| plain(server, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0]),
        logged: NO_HELLO,
    },
    Attack { name: "bytes come one by one", run: dribble, logged: NO_HELLO },
    Attack { name: "no hello is said", run: |server| in_tls(server, &[]), logged: NO_HELLO },
    Attack {
        name: "half a hello is said",
        run: |server| in_tls(server, &frame(&messages::hello(&[1], &random::<32>(), "x"))[..20]),
        logged: NO_HELLO,
    },
    Attack {
        name: "half a frame after the hello",
        run: |server| after_hello(server, &frame(&Login::of("vm").message(1, &[1; 32]))[..50]),
        logged: None,
    },
    Attack {
        name: "nothing after the hello",
        run: |server| after_hello(server, &[]),
        logged: None,
    },
    Attack {
        name: "nothing is read",
        run: never_reads,
        logged: Some("bad-request: the client does not read what it is sent."),
    },
];

#[test]
fn clients_that_keep_the_server_waiting() {
    survive_together(ATTACKS);
}

fn plain(server: &Server, bytes: &[u8]) -> String {
    let stream = connect_from(Ipv4Addr::LOCALHOST, server.address);
    send(&stream, bytes);
    read_to_end(&stream);
    stream.local_addr().expect("a socket").to_string()
}

/// One byte of a handshake every now and then: each alone would be in time.
fn dribble(server: &Server) -> String {
    let mut stream: TcpStream = connect_from(Ipv4Addr::LOCALHOST, server.address);
    let address = stream.local_addr().expect("a socket").to_string();
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 500]].concat();
    for byte in hello {
        if stream.write_all(&[byte]).is_err() {
            return address;
        }
        sleep(Duration::from_millis(250));
    }
    panic!("the server waits for ever");
}

fn in_tls(server: &Server, bytes: &[u8]) -> String {
    let host = Host::new();
    let mut connection = Connection::open(server.address, &Offer::of(&host)).expect("TLS");
    connection.send_bytes(bytes).expect("an open connection");
    let said = connection.receive();
    assert!(matches!(&said, Some(Said::Goodbye(why)) if why.code == "bad-request"), "{said:?}");
    assert_eq!(connection.receive(), None);
    connection.local_address().to_string()
}

fn after_hello(server: &Server, bytes: &[u8]) -> String {
    let mut client = Client::connect(server, &Host::new());
    client.connection.send_bytes(bytes).expect("an open connection");
    assert_eq!(client.wait_for_end(), []);
    client.connection.local_address().to_string()
}

/// Asks on and on, and takes no answer.
fn never_reads(server: &Server) -> String {
    let mut client = Client::connect(server, &Host::new());
    let address = client.connection.local_address().to_string();
    for first in (0..).step_by(1_000) {
        let questions: Vec<u8> = (first..first + 1_000)
            .flat_map(|request| frame(&messages::check(request, &[1; 32], &[1; 16])))
            .collect();
        if let Err(error) = client.connection.send_bytes(&questions) {
            let timed_out = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
            assert!(!timed_out, "the server neither reads nor closes");
            return address;
        }
    }
    unreachable!("the server takes no more at some time")
}
