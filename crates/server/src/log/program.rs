//! What the program says of itself: its start, its addresses, its end.

use std::{fmt::Display, path::Path};

use jiff::Timestamp;

use super::{Entry, Field, Level, Module};

/// Seconds since 1970 in UTC; `build.rs` finds it out.
const BUILD_EPOCH_SECONDS: &str = env!("VE_BUILD_EPOCH_SECONDS");

/// The first line of every log: when this program was built.
pub fn build_time() -> Entry {
    let epoch_seconds = BUILD_EPOCH_SECONDS.parse().expect("build.rs writes a number");
    build_time_of(Timestamp::from_second(epoch_seconds).expect("build.rs checks the range"))
}

/// `Build time: Jan 16 2020 10:54:15`, in UTC; the day has two digits always.
pub fn build_time_of(built: Timestamp) -> Entry {
    let built = built.strftime("%b %d %Y %H:%M:%S");
    main(format!("Build time: {built}")).with(Field::Event, "started")
}

/// The home that is served.
pub fn home(home: &Path) -> Entry {
    main(format!("Home: {}", home.display())).with(Field::Event, "home")
}

/// An address that clients can connect to.
pub fn listening(address: impl Display) -> Entry {
    main(format!("Listening on {address}.")).with(Field::Event, "listening")
}

/// Clients are served from now on.
pub fn ready() -> Entry {
    main("License server is ready to serve.").with(Field::Event, "ready")
}

/// The server begins to stop, and so many connected clients are told.
pub fn stopping(clients: usize) -> Entry {
    let message = match clients {
        0 => "The server is stopping; no client is connected.".to_string(),
        1 => "The server is stopping; 1 client is told to go elsewhere.".to_string(),
        some => format!("The server is stopping; {some} clients are told to go elsewhere."),
    };
    main(message).with(Field::Event, "stopping")
}

/// The last line of every log.
pub(super) fn terminated() -> Entry {
    main("The program is terminated.").with(Field::Event, "terminated")
}

fn main(message: impl Display) -> Entry {
    Entry::new(Level::Info, Module::Main, message)
}
