//! What a host says of itself, with a metadata service that answers well, badly, slowly or for ever.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use ve_core::fingerprint::Platform;
use ve_host::{
    MetadataError,
    facts::{self, HostSelf},
};

use crate::fake_machine::{FakeMachine, Item, Item::File};

const TOKEN: &str = "AQAEAHR0ZXN0dG9rZW4tMDEyMzQ1Njc4OQ==";
const DOCUMENT: &str = "{\n  \"instanceId\" : \"i-1234567890abcdef0\"\n}";
const SIGNATURE: &str = "dExamplesignature\nsecondline==";
const EC2: Item = File("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");

/// What the service does once it has read a request.
#[derive(Clone)]
enum Reply {
    /// Says this and closes.
    Say(Vec<u8>),
    /// Says this, and keeps the connection open.
    Hold(Vec<u8>),
    /// A byte of good sense now and then, for ever.
    Drip,
    /// The same bytes without end.
    Flood,
}

fn ok(content: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{content}", content.len()).into_bytes()
}

/// The right answer to a request.
fn answer(request: &[String]) -> Vec<u8> {
    let has = |line: &str| request.iter().any(|given| given == line);
    let proven = has(&format!("X-aws-ec2-metadata-token: {TOKEN}"));
    match request[0].as_str() {
        "PUT /latest/api/token HTTP/1.1" if has("X-aws-ec2-metadata-token-ttl-seconds: 60") => {
            ok(TOKEN)
        }
        "GET /latest/dynamic/instance-identity/document HTTP/1.1" if proven => ok(DOCUMENT),
        "GET /latest/dynamic/instance-identity/signature HTTP/1.1" if proven => ok(SIGNATURE),
        _ => b"HTTP/1.1 401 Unauthorized\r\n\r\n".to_vec(),
    }
}

/// A service that answers rightly, but requests for a path that ends with `at` with `reply`. It tells
/// of every request.
fn service(at: &'static str, reply: Reply) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let address = listener.local_addr().expect("its address");
    let (tell, heard) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let request = read_request(&stream);
            let path = request[0].split(' ').nth(1).expect("a path").to_string();
            let reply =
                if path.ends_with(at) { reply.clone() } else { Reply::Say(answer(&request)) };
            if tell.send(path).is_err() {
                return;
            }
            // The client may hang up whenever it likes.
            let _ = carry_out(&mut stream, &reply);
        }
    });
    (address, heard)
}

fn read_request(stream: &TcpStream) -> Vec<String> {
    let lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
    lines.take_while(|line| !line.is_empty()).collect()
}

fn carry_out(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    match reply {
        Reply::Say(bytes) => stream.write_all(bytes),
        Reply::Hold(bytes) => {
            stream.write_all(bytes)?;
            stream.read(&mut [0]).map(drop)
        }
        Reply::Drip => {
            stream.set_nodelay(true)?;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(b"A")?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        Reply::Flood => loop {
            stream.write_all(&[b'A'; 4_096])?;
        },
    }
}

fn ask(machine: &FakeMachine, service: SocketAddr) -> HostSelf {
    facts::read_from(&machine.sources(), None, service)
}

#[test]
fn an_ec2_instance_shows_its_document() {
    let machine = FakeMachine::new(&[EC2]);
    let (address, heard) = service("nowhere", Reply::Flood);
    let host = ask(&machine, address);
    assert_eq!(host.trouble, None);
    let identity = host.identity.expect("an identity");
    assert_eq!(identity.platform, Platform::AmazonAws);
    assert_eq!(identity.document, DOCUMENT.as_bytes(), "byte for byte");
    assert_eq!(identity.signature, SIGNATURE.as_bytes());
    assert_eq!(host.platform, Some(Platform::AmazonAws));
    assert_eq!(host.boot, ve_host::clock::boot());
    assert_eq!(heard.try_iter().count(), 3, "one request each");
}

#[test]
fn a_connection_that_stays_open_is_not_waited_for() {
    let machine = FakeMachine::new(&[EC2]);
    let (address, _heard) = service("document", Reply::Hold(ok(DOCUMENT)));
    let identity = ask(&machine, address).identity.expect("an identity");
    assert_eq!(identity.document, DOCUMENT.as_bytes());
}

#[test]
fn an_answer_that_ends_with_its_connection_is_one() {
    let machine = FakeMachine::new(&[EC2]);
    let until_closed = format!("HTTP/1.0 200 OK\r\nServer: EC2ws\r\n\r\n{DOCUMENT}");
    let (address, _heard) = service("document", Reply::Say(until_closed.into_bytes()));
    let identity = ask(&machine, address).identity.expect("an identity");
    assert_eq!(identity.document, DOCUMENT.as_bytes());
}

#[test]
fn only_a_machine_of_amazon_s_asks() {
    let (address, heard) = service("nowhere", Reply::Flood);
    for (item, platform) in [
        (File("sys/class/dmi/id/sys_vendor", "QEMU\n"), Some(Platform::Kvm)),
        (
            File("sys/class/dmi/id/product_name", "Google Compute Engine\n"),
            Some(Platform::GoogleGcp),
        ),
        (File("sys/class/dmi/id/sys_vendor", "VMware, Inc.\n"), Some(Platform::VmwareEsxi)),
        (File("sys/class/dmi/id/product_name", "AHV\n"), Some(Platform::NutanixAhv)),
        (
            File("sys/class/dmi/id/chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n"),
            Some(Platform::MicrosoftAzure),
        ),
        (
            File("sys/class/dmi/id/chassis_asset_tag", "OracleCloud.com\n"),
            Some(Platform::OracleOci),
        ),
        (File("proc/cpuinfo", "flags\t: fpu\n"), Some(Platform::Physical)),
        (File("etc/hostname", "x\n"), None),
    ] {
        let host = ask(&FakeMachine::new(&[item]), address);
        assert_eq!((host.platform, host.identity, host.trouble), (platform, None, None));
    }
    let named = FakeMachine::new(&[EC2]);
    let host = facts::read_from(&named.sources(), Some(Platform::Kvm), address);
    assert_eq!((host.platform, host.identity), (Some(Platform::Kvm), None));
    assert_eq!(heard.try_iter().count(), 0);
}

#[test]
fn old_machines_of_amazon_s_are_known_by_their_firmware() {
    let (address, _heard) = service("nowhere", Reply::Flood);
    let xen = FakeMachine::new(&[
        File("sys/class/dmi/id/sys_vendor", "Xen\n"),
        File("sys/class/dmi/id/bios_version", "4.11.amazon\n"),
    ]);
    assert!(ask(&xen, address).identity.is_some());
}

#[test]
fn a_service_that_fails_is_no_reason_to_fail() {
    let too_long = |limit_bytes| MetadataError::TooLong { limit_bytes };
    let text = |text: &str| Reply::Say(text.as_bytes().to_vec());
    let malformed = || MetadataError::Malformed;
    for (at, reply, expected) in [
        ("token", text("HTTP/1.1 403 Forbidden\r\n\r\n"), MetadataError::Status(403)),
        ("document", text("HTTP/1.1 404 Not Found\r\n\r\nx"), MetadataError::Status(404)),
        (
            "signature",
            text("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n"),
            MetadataError::Status(301),
        ),
        ("token", text("SSH-2.0-OpenSSH\r\n\r\n"), malformed()),
        ("token", text(""), malformed()),
        ("document", text("HTTP/1.1 200 OK\r\n\r\n"), malformed()),
        ("document", text("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"), malformed()),
        ("document", text("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), malformed()),
        (
            "document",
            text("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nContent-Length: 2\r\n\r\nab"),
            malformed(),
        ),
        (
            "document",
            text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
            malformed(),
        ),
        ("token", Reply::Say(ok("a\r\nX-Forged: 1")), malformed()),
        ("token", Reply::Say(ok(&"t".repeat(1_025))), too_long(1_024)),
        ("document", Reply::Say(ok(&"d".repeat(8_193))), too_long(8_192)),
        (
            "signature",
            text("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"),
            too_long(4_096),
        ),
        ("document", Reply::Flood, too_long(16_384)),
    ] {
        let (address, _heard) = service(at, reply);
        let host = ask(&FakeMachine::new(&[EC2]), address);
        assert_eq!((host.identity, host.trouble), (None, Some(expected)), "{at}");
    }
}

#[test]
fn nobody_waits_longer_than_a_second_in_all() {
    let silence = || Reply::Hold(Vec::new());
    for (at, reply) in [
        ("token", silence()),
        ("signature", silence()),
        ("token", Reply::Drip),
        ("document", Reply::Drip),
        ("signature", Reply::Hold(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort".to_vec())),
    ] {
        let (address, _heard) = service(at, reply);
        let start = Instant::now();
        let host = ask(&FakeMachine::new(&[EC2]), address);
        assert_eq!((host.identity, host.trouble), (None, Some(MetadataError::Late)), "{at}");
        // A busy machine may be late; one that waits for the drip to end would be much later.
        assert!(start.elapsed() < Duration::from_secs(10), "{at}: {:?}", start.elapsed());
    }
}

#[test]
fn nobody_there_is_told_at_once() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let address = listener.local_addr().expect("its address");
    drop(listener);
    let host = ask(&FakeMachine::new(&[EC2]), address);
    let refused = MetadataError::Connection(std::io::ErrorKind::ConnectionRefused);
    assert_eq!((host.identity, host.trouble), (None, Some(refused)));
}
