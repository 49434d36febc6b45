//! How long anything may be, as `proto/ve_license.proto` states it.

pub use ve_core::registry::entry::MAX_REVISION;

/// The protocol versions that this code speaks, best first.
pub const VERSIONS: &[u32] = &[1];

/// The longest message of a client, in bytes.
pub const MAX_CLIENT_MESSAGE_BYTES: usize = 32 * 1024;

/// The longest message of a server, in bytes: a hello with all its credentials.
pub const MAX_SERVER_MESSAGE_BYTES: usize = 160 * 1024;

/// The most credentials of a server's hello.
pub const MAX_CREDENTIALS: usize = 32;

/// The longest credential, in bytes.
pub const MAX_CREDENTIAL_BYTES: usize = 4_096;

/// The most versions of a hello.
pub const MAX_VERSIONS: usize = 16;

/// The longest signed statement, in bytes.
pub const MAX_STATEMENT_BYTES: usize = 8_192;

/// The most earlier grants that a login shows.
pub const MAX_WITNESSES: usize = 4;

/// The longest statement of an earlier grant that a login shows, in bytes. No grant is that long, and
/// a login with all of them fits into one message.
pub const MAX_WITNESS_BYTES: usize = 2_048;

/// The most receipts that a login shows.
pub const MAX_RECEIPTS: usize = 2;

/// The longest receipt, in bytes.
pub const MAX_RECEIPT_BYTES: usize = 2_048;

/// The longest identity document of a cloud provider, in bytes.
pub const MAX_IDENTITY_DOCUMENT_BYTES: usize = 8_192;

/// The longest signature of an identity document, in bytes.
pub const MAX_IDENTITY_SIGNATURE_BYTES: usize = 4_096;

/// The longest message of either side between peers, in bytes.
pub const MAX_PEER_MESSAGE_BYTES: usize = 160 * 1024;

/// The highest number of a change of a registry.
pub const MAX_CHANGE_NUMBER: u64 = 1 << 62;

/// The latest moment that a peer may name, in seconds since 1970: the end of the year 9999.
pub const MAX_UTC_SECONDS: i64 = ve_core::time::Utc::LAST.0;

/// The longest sentence of a refusal, in bytes.
pub const MAX_SENTENCE_BYTES: usize = 1_024;

/// The longest chain of certificates that either side shows in its handshake, in bytes.
pub const MAX_CERTIFICATES_BYTES: usize = 16 * 1024;

/// How long handshake and hello may take together, in milliseconds.
pub const HELLO_TIMEOUT_MS: u64 = 5_000;

/// How often a side that has nothing to say sends a heartbeat, in milliseconds.
pub const HEARTBEAT_INTERVAL_MS: u32 = 1_500;

/// How long a link may be silent before it is dead, in milliseconds.
pub const HEARTBEAT_TIMEOUT_MS: u32 = 5_000;

/// The name of the protocol inside TLS (ALPN).
pub const ALPN: &[u8] = b"ve-license";
