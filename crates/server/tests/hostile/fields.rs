//! What a client says wrong after its hello: every field, every message, every name.

use std::net::SocketAddr;

use super::{
    attacks::{Attack, survive},
    client::Client,
    connection::{Host, frame},
    messages::{self, Login, Said, random},
    protobuf::Message,
    server::Server,
};

/// Names that no log and no list may ever show.
const NAMES: [&str; 12] = [
    "",
    " ",
    "\u{0}",
    "a\u{1b}[2Jb",
    "a\r\nb",
    "vm\n2026-01-01 00:00:00 INFO Server FORGED v1.0 has logged in from 10.0.0.1:1.",
    "a\u{202e}gol.esnecil",
    "a\u{2066}b",
    "a\u{200b}b",
    "a\u{2028}b",
    "a\u{feff}b",
    "a\u{85}b",
];

#[test]
fn names_that_would_forge_a_line() {
    survive(&[Attack {
        name: "names",
        run: |server| {
            let mut client = Client::connect(server, &Host::new());
            let long = "x".repeat(10_000);
            for name in NAMES.iter().copied().chain([long.as_str()]) {
                for field in 0..5 {
                    let login = Login::of("vm").with(|login| {
                        let fields = [
                            &mut login.product,
                            &mut login.version,
                            &mut login.hardware,
                            &mut login.emulator,
                            &mut login.passphrase,
                        ];
                        *fields.into_iter().nth(field).expect("five") = name.to_owned();
                    });
                    // No passphrase is a fine passphrase.
                    if name.is_empty() && field == 4 {
                        continue;
                    }
                    let refusal = client.login(&login).expect_err("no seat");
                    assert_eq!(refusal.code, "bad-request", "{login:?}");
                    assert!(!refusal.sentence.contains("FORGED"), "{refusal:?}");
                }
            }
            client.beat();
            client.connection.local_address().to_string()
        },
        logged: Some("bad-request: the field passphrase is longer than 128 bytes."),
    }]);
}

#[test]
fn numbers_out_of_range() {
    let changes: [fn(&mut Login); 8] = [
        |login| login.cpus = 0,
        |login| login.cpus = 65_537,
        |login| login.cpus = u64::from(u32::MAX),
        |login| login.memory_mb = 0,
        |login| login.memory_mb = (1 << 40) + 1,
        |login| login.memory_mb = u64::MAX,
        |login| login.version = "99999999999.1".into(),
        |login| login.version = "-5.1".into(),
    ];
    super::attacks::beside_bystander(|server, bystander| {
        let mut client = Client::connect(server, &Host::new());
        for change in changes {
            let login = Login::of("vm").with(change);
            assert_eq!(client.refused(&login), "bad-request", "{login:?}");
            bystander.prove("a number");
        }
    });
}

#[test]
fn messages_that_end_the_connection() {
    let unknown_kind = || Message::default().message(99, b"x").0;
    let invalid_utf8 = || {
        let login = Message::default().number(1, 1).bytes(2, &[1; 32]).bytes(3, &[0xff, 0xfe]);
        Message::default().message(2, &login.0).0
    };
    let frames: [(&str, Vec<u8>); 16] = [
        ("a frame of 4294967295 bytes", vec![0xff; 4]),
        ("a frame of 0 bytes", vec![0; 4]),
        ("a frame of 32769 bytes", 32_769_u32.to_be_bytes().to_vec()),
        ("a frame holds no message", frame(&[0xff; 200])),
        ("a frame holds no message", frame(&invalid_utf8())),
        ("the message is of no known kind.", frame(&unknown_kind())),
        ("a hello is said once.", frame(&messages::hello(&[1], &random::<32>(), "x"))),
        ("the field nonce has 31 bytes", frame(&Login::of("vm").message(1, &[1; 31]))),
        ("the field nonce has 0 bytes", frame(&messages::check(1, &[], &[1; 16]))),
        ("the field nonce has 33 bytes", frame(&messages::logout(1, &[1; 33], &[1; 16]))),
        ("the field session has 15 bytes", frame(&messages::check(1, &[1; 32], &[1; 15]))),
        ("the field session has 0 bytes", frame(&messages::logout(1, &[1; 32], &[]))),
        ("the field session has 17 bytes", frame(&messages::pong(&[1; 17], true))),
        ("the field session has 0 bytes", frame(&messages::pong(&[], false))),
        ("a frame holds no message", frame(&Message::default().number(1, 7).0)),
        // Deeper than any message is.
        ("a frame holds no message", frame(&[0x0b; 4_000])),
    ];
    super::attacks::beside_bystander(|server, bystander| {
        for (expected, bytes) in frames {
            let address = is_fatal(server, &bytes, expected);
            server.wait_for_line(&format!("{address} was refused: bad-request: {expected}"));
            bystander.prove(expected);
        }
    });
}

/// Sends bytes after a login, and expects to be told what is wrong and to be cut off. The session's
/// seat stays reserved, as after any lost connection.
fn is_fatal(server: &Server, bytes: &[u8], expected: &str) -> SocketAddr {
    let host = Host::new();
    let mut client = Client::connect(server, &host);
    let login = Login::of("attacker");
    let session = client.log_in(&login);
    client.connection.send_bytes(bytes).expect("an open connection");
    let said = client.wait_for_end();
    let [Said::Goodbye(why)] = said.as_slice() else { panic!("{expected}: {said:?}") };
    assert_eq!(why.code, "bad-request");
    assert!(why.sentence.starts_with(expected), "{expected}: {why:?}");
    let address = client.connection.local_address();
    let mut client = Client::connect(server, &host);
    assert_eq!(client.log_in(&login.resume(&session)), session);
    client.logout(&session);
    address
}

#[test]
fn what_a_client_may_not_say_twice() {
    survive(&[
        Attack {
            name: "the request_id of an open request",
            run: request_id_twice,
            logged: Some("bad-request: the request_id of an open request was used again."),
        },
        Attack {
            name: "the same emulator",
            run: emulator_twice,
            logged: Some("duplicate-instance: vm already runs on this host"),
        },
    ]);
}

fn request_id_twice(server: &Server) -> String {
    let host = Host::new();
    let mut first = Client::connect(server, &host);
    let session = first.log_in(&Login::of("vm"));
    let mut second = Client::connect(server, &host);
    let login = Login::of("vm");
    second.send(&login.message(u64::MAX, &random::<32>()));
    // Now the first request waits for a pong.
    first.wait_for_ping(&session);
    second.send(&login.message(u64::MAX, &random::<32>()));
    let said = second.wait_for_end();
    assert!(matches!(said[..], [Said::Goodbye(_)]), "{said:?}");
    first.check(&session).expect("it goes on");
    first.logout(&session);
    second.connection.local_address().to_string()
}

fn emulator_twice(server: &Server) -> String {
    let mut client = Client::connect(server, &Host::new());
    let session = client.log_in(&Login::of("vm"));
    assert_eq!(client.refused(&Login::of("vm")), "duplicate-instance");
    client.check(&session).expect("it goes on");
    client.logout(&session);
    client.connection.local_address().to_string()
}

#[test]
fn what_is_about_nobody() {
    super::attacks::beside_bystander(|server, bystander| {
        let mut client = Client::connect(server, &Host::new());
        for _ in 0..100 {
            let session = random::<16>();
            assert_eq!(client.check(&session).expect_err("nobody's").code, "bad-request");
            client.logout(&session);
            client.send(&messages::pong(&session, true));
            client.send(&messages::pong(&session, false));
        }
        client.beat();
        bystander.prove("guesses");
        assert_eq!(server.sessions().len(), 1, "the bystander's");
    });
}
