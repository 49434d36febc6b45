//! What never becomes a client: no TLS 1.3, no proper hello, no proper frame.

use std::{
    io::Write,
    net::{Ipv4Addr, Shutdown, TcpStream},
    process::{Command, Stdio},
};

use super::{
    attacks::{Attack, survive},
    client::Client,
    connection::{Connection, Host, Offer},
    messages::{self, Login, Said, random},
    protobuf::Message,
    server::Server,
    socket::{connect_from, read_to_end, send},
};

const NO_TLS: Option<&str> = Some("bad-request: no TLS 1.3 connection came about: ");

#[test]
fn what_is_not_tls_1_3() {
    survive(&[
        Attack { name: "random bytes", run: random_bytes, logged: NO_TLS },
        Attack { name: "plain HTTP", run: plain_http, logged: NO_TLS },
        Attack { name: "TLS 1.2", run: tls_1_2, logged: NO_TLS },
        Attack { name: "nothing but a close", run: nothing, logged: NO_TLS },
        Attack { name: "a handshake that breaks off", run: half_a_handshake, logged: NO_TLS },
        Attack { name: "a record of 16 MB", run: giant_record, logged: NO_TLS },
        Attack { name: "a giant certificate", run: giant_certificate, logged: NO_TLS },
    ]);
}

#[test]
fn what_is_no_first_message() {
    survive(&[
        Attack {
            name: "a frame that claims 4 GB",
            run: |server| before_hello(server, &[0xff; 4]),
            logged: Some("bad-request: a frame of 4294967295 bytes was announced"),
        },
        Attack {
            name: "an empty frame",
            run: |server| before_hello(server, &[0; 4]),
            logged: Some("bad-request: a frame of 0 bytes was announced"),
        },
        Attack {
            name: "a frame one byte too long",
            run: |server| before_hello(server, &[&32_769_u32.to_be_bytes()[..], &[0; 99]].concat()),
            logged: Some("bad-request: a frame of 32769 bytes was announced"),
        },
        Attack {
            name: "garbage in a frame",
            run: |server| before_hello(server, &framed(&[0xff; 100])),
            logged: Some("bad-request: a frame holds no message of the protocol"),
        },
        Attack {
            name: "HTTP inside TLS",
            run: |server| before_hello(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            logged: Some("bad-request: a frame of 1195725856 bytes was announced"),
        },
        Attack {
            name: "a login without a hello",
            run: |server| before_hello(server, &framed(&Login::of("vm").message(1, &[1; 32]))),
            logged: Some("bad-request: the first message must be a hello."),
        },
        Attack {
            name: "a heartbeat without a hello",
            run: |server| before_hello(server, &framed(&messages::heartbeat())),
            logged: Some("bad-request: the first message must be a hello."),
        },
        Attack {
            name: "a message of no known kind",
            run: |server| before_hello(server, &framed(&Message::default().message(99, b"x").0)),
            logged: Some("bad-request: the first message must be a hello."),
        },
    ]);
}

#[test]
fn what_is_no_hello() {
    survive(&[
        Attack {
            name: "no version",
            run: |server| hello(server, &[], &[1; 32], "x"),
            logged: Some("bad-request: a hello names 1 to 16 protocol versions."),
        },
        Attack {
            name: "17 versions",
            run: |server| hello(server, &[1; 17], &[1; 32], "x"),
            logged: Some("bad-request: a hello names 1 to 16 protocol versions."),
        },
        Attack {
            name: "5,000 versions",
            run: |server| hello(server, &vec![9; 5_000], &[1; 32], "x"),
            logged: Some("bad-request: a hello names 1 to 16 protocol versions."),
        },
        Attack {
            name: "a short nonce",
            run: |server| hello(server, &[1], &[1; 31], "x"),
            logged: Some("bad-request: the field nonce has 31 bytes instead of 32."),
        },
        Attack {
            name: "no nonce",
            run: |server| hello(server, &[1], &[], "x"),
            logged: Some("bad-request: the field nonce has 0 bytes instead of 32."),
        },
        Attack {
            name: "a long name of the software",
            run: |server| hello(server, &[1], &[1; 32], &"x".repeat(10_000)),
            logged: Some("bad-request: the field software is longer than 128 bytes."),
        },
        Attack {
            name: "a name of the software that ends a line",
            run: |server| hello(server, &[1], &[1; 32], "x\n2026-01-01 00:00:00 INFO MAIN FORGED"),
            logged: Some("bad-request: the field software contains a control character."),
        },
    ]);
}

fn stranger(server: &Server) -> (TcpStream, String) {
    let stream = connect_from(Ipv4Addr::LOCALHOST, server.address);
    let address = stream.local_addr().expect("an open socket").to_string();
    (stream, address)
}

/// Sends plain bytes and waits for the end.
fn say(server: &Server, bytes: &[u8]) -> String {
    let (stream, address) = stranger(server);
    send(&stream, bytes);
    read_to_end(&stream);
    address
}

fn random_bytes(server: &Server) -> String {
    let mut last = String::new();
    for _ in 0..100 {
        // 0x16 0x03 would begin a handshake and wait for more of it.
        let mut bytes = random::<1_024>();
        bytes[0] |= 0x80;
        last = say(server, &bytes);
    }
    last
}

fn plain_http(server: &Server) -> String {
    say(server, b"GET /admin HTTP/1.1\r\nHost: license\r\n\r\n")
}

fn tls_1_2(server: &Server) -> String {
    let client = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &server.address.to_string()])
        .stdin(Stdio::null())
        .output();
    let client = client.expect("openssl runs; `make test` installs it");
    let said = String::from_utf8_lossy(&client.stderr);
    assert!(!client.status.success(), "TLS 1.2 was spoken: {said}");
    assert!(said.contains("alert"), "not refused by the server: {said}");
    String::new()
}

fn nothing(server: &Server) -> String {
    let (stream, address) = stranger(server);
    stream.shutdown(Shutdown::Write).expect("an open socket");
    assert!(read_to_end(&stream).is_empty());
    address
}

fn half_a_handshake(server: &Server) -> String {
    let (mut stream, address) = stranger(server);
    // A handshake record of 512 bytes with a ClientHello that would have 508, and 64 of them.
    let mut record = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    record.extend(random::<64>());
    stream.write_all(&record).expect("an open socket");
    stream.shutdown(Shutdown::Write).expect("an open socket");
    read_to_end(&stream);
    address
}

fn giant_record(server: &Server) -> String {
    // A ClientHello that claims 16 MB, in records of 16 kB, as many as the server takes.
    let (mut stream, address) = stranger(server);
    let mut record = vec![0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    for _ in 0..1_024 {
        if stream.write_all(&record).is_err() {
            break;
        }
        record[5..9].fill(0);
    }
    read_to_end(&stream);
    address
}

fn giant_certificate(server: &Server) -> String {
    let host = Host::named(&rcgen::PKCS_ED25519, &"x".repeat(10_000));
    let (stream, address) = stranger(server);
    let connection = Connection::over(stream, &Offer::of(&host));
    let said = connection.map(|mut connection| connection.receive());
    assert!(matches!(said, Ok(None) | Err(_)), "{said:?}");
    address
}

fn framed(message: &[u8]) -> Vec<u8> {
    super::connection::frame(message)
}

/// Sends bytes inside TLS, and expects to be told what is wrong with them.
fn before_hello(server: &Server, bytes: &[u8]) -> String {
    let host = Host::new();
    let mut connection = Connection::open(server.address, &Offer::of(&host)).expect("TLS");
    connection.send_bytes(bytes).expect("an open connection");
    let said = connection.receive();
    assert!(matches!(&said, Some(Said::Goodbye(why)) if why.code == "bad-request"), "{said:?}");
    assert_eq!(connection.receive(), None, "a goodbye is the last message");
    connection.local_address().to_string()
}

fn hello(server: &Server, versions: &[u32], nonce: &[u8], software: &str) -> String {
    before_hello(server, &framed(&messages::hello(versions, nonce, software)))
}

/// A server that was attacked takes new clients like any other.
#[test]
fn a_newcomer_after_all_of_it() {
    super::attacks::beside_bystander(|server, _| {
        random_bytes(server);
        let mut client = Client::connect(server, &Host::new());
        let session = client.log_in(&Login::of("newcomer"));
        client.logout(&session);
    });
}
