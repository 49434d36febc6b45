//! A server that is far away: a proxy that holds back every byte for a while, each way.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How many bytes travel together at most.
const CHUNK_BYTES: usize = 16 * 1024;

/// The way to a server at the other end of the world. It is open as long as this process runs.
#[derive(Debug)]
pub struct Far {
    address: SocketAddr,
}

impl Far {
    /// A way to `server` (`address:port`) on which everything takes `delay` each way.
    pub fn away(server: &str, delay: Duration) -> Self {
        let server: SocketAddr = server.parse().expect("address:port");
        let listener = TcpListener::bind((server.ip(), 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // Nobody listens there: what has connected is closed again.
                let Ok(far) = TcpStream::connect(server) else { continue };
                join(near, far, delay);
            }
        });
        Self { address }
    }

    /// Where the way begins, `address:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

fn join(near: TcpStream, far: TcpStream, delay: Duration) {
    let twin = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    for stream in [&near, &far] {
        stream.set_nodelay(true).expect("a socket");
    }
    carry(twin(&near), twin(&far), delay);
    carry(far, near, delay);
}

/// Carries what comes out of `from` into `to`, and at last the news of its end.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (depart, arrive) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if depart.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
        // The end takes its time as well: an empty chunk.
        drop(depart.send((Instant::now() + delay, Vec::new())));
    });
    thread::spawn(move || {
        for (at, bytes) in arrive {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if bytes.is_empty() || to.write_all(&bytes).is_err() {
                break;
            }
        }
        // Whoever is still there hears it; it may have gone.
        drop(to.shutdown(Shutdown::Both));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_in_order_and_late() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = listener.local_addr().expect("bound").to_string();
        let delay = Duration::from_millis(60);
        let far = Far::away(&server, delay);
        let echo = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut heard = [0; 6];
            stream.read_exact(&mut heard).expect("six bytes");
            stream.write_all(&heard).expect("an echo");
        });
        let mut stream = TcpStream::connect(far.address()).expect("a way");
        let since = Instant::now();
        stream.write_all(b"abc").expect("said");
        stream.write_all(b"def").expect("said");
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("the end");
        assert_eq!(heard, b"abcdef");
        assert!(since.elapsed() >= delay * 2, "{:?}", since.elapsed());
        echo.join().expect("it has heard");
    }
}
