//! One event for the log: when, how serious, from which part of the server, and its facts.

use std::fmt::{self, Display};

use jiff::Timestamp;
use ve_core::text::printable;

/// The longest message, in characters; what is longer is cut.
pub const MAX_MESSAGE_CHARACTERS: usize = 2_000;
/// The longest value of a [`Field`], in characters; what is longer is cut.
pub const MAX_VALUE_CHARACTERS: usize = 512;

/// How serious an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Info,
    /// Somebody should look at it.
    Warn,
    /// Something does not work.
    Error,
    /// The server can't go on.
    Fatal,
}

impl Level {
    /// The level as the log writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// The part of the server that an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Module {
    /// The program itself: start, stop, clock, ledger, log.
    Main,
    /// The installed licenses.
    License,
    /// Clients and their sessions.
    Server,
}

impl Module {
    /// The part as the log writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "MAIN",
            Self::License => "License",
            Self::Server => "Server",
        }
    }
}

/// Defines the closed list of facts once, each with the name of its field in the journal.
macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A fact that an entry carries besides its message, for the journal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Field {
            $($(#[$doc])* $variant,)*
        }

        impl Field {
            /// Every field there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The field's name in the journal.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

fields! {
    /// What happened, in one word that never changes, such as `logged-in`.
    Event = "VE_EVENT",
    /// The reason code of a refusal.
    Reason = "VE_REASON",
    /// A session's public number.
    Session = "VE_SESSION",
    /// An emulator's name.
    Emulator = "VE_EMULATOR",
    /// A client's `address:port`.
    Address = "VE_ADDRESS",
    /// The virtual hardware, as its client wrote it.
    Hardware = "VE_HARDWARE",
    /// The version of an emulator product.
    ProductVersion = "VE_PRODUCT_VERSION",
    /// A license ID.
    License = "VE_LICENSE",
    /// The version of a license.
    LicenseVersion = "VE_LICENSE_VERSION",
    /// A number of seconds.
    Seconds = "VE_SECONDS",
    /// A number of lines.
    Lines = "VE_LINES",
    /// An emulator host: the digest of its key, in hexadecimal.
    Host = "VE_HOST",
    /// An emulator host's own name.
    HostName = "VE_HOST_NAME",
    /// The `address:port` of whom else it is about.
    OtherAddress = "VE_OTHER_ADDRESS",
    /// A number of emulator hosts.
    Hosts = "VE_HOSTS",
}

/// One event for the log.
///
/// Making one escapes whatever could end a line or drive a terminal and cuts what is too long, so
/// no entry can be written that reads as two, whoever chose its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    at: Timestamp,
    level: Level,
    module: Module,
    message: String,
    fields: Vec<(Field, String)>,
}

impl Entry {
    /// An event that happened just now.
    pub fn new(level: Level, module: Module, message: impl Display) -> Self {
        Self::at(Timestamp::now(), level, module, message)
    }

    /// An event that happened at `at`.
    pub fn at(at: Timestamp, level: Level, module: Module, message: impl Display) -> Self {
        let message = printable(&message.to_string(), MAX_MESSAGE_CHARACTERS);
        Self { at, level, module, message, fields: Vec::new() }
    }

    /// The same with one more fact.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Display) -> Self {
        self.fields.push((field, printable(&value.to_string(), MAX_VALUE_CHARACTERS)));
        self
    }

    /// When it happened.
    pub const fn time(&self) -> Timestamp {
        self.at
    }

    /// How serious it is.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// From which part of the server it comes.
    pub const fn module(&self) -> Module {
        self.module
    }

    /// One printable line, without its end.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Its facts, printable as well.
    pub fn fields(&self) -> &[(Field, String)] {
        &self.fields
    }
}

impl Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule of journald: capitals, digits and underscores, at most 64, no underscore first.
    #[test]
    fn field_names_are_names_that_a_journal_takes() {
        for field in Field::ALL {
            let name = field.as_str();
            assert!(name.len() <= 64 && name.starts_with("VE_"), "{name}");
            let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            assert!(name.bytes().all(fits), "{name}");
        }
    }

    #[test]
    fn an_entry_is_printable_and_bounded_whatever_it_is_made_of() {
        let long = "x".repeat(1_000_000);
        let entry = Entry::new(Level::Info, Module::Server, format!("a\nb\u{1b}[2J{long}"))
            .with(Field::Emulator, format!("c\u{202e}d{long}"));
        assert!(entry.message().starts_with("a\\u{a}b\\u{1b}[2Jxxx"));
        assert!(entry.message().chars().count() < MAX_MESSAGE_CHARACTERS + 20);
        let (_, value) = &entry.fields()[0];
        assert!(value.starts_with("c\\u{202e}dxxx"));
        assert!(value.chars().count() < MAX_VALUE_CHARACTERS + 20);
    }
}
