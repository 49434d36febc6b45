//! Speaks the published protocol with a real `licensed`, with neither our client nor our wire code:
//! what is written here comes from docs/protocol.md and the `.proto` alone, so they are complete.

#[path = "protocol/client.rs"]
mod client;
#[path = "protocol/connection.rs"]
mod connection;
#[path = "protocol/credential.rs"]
mod credential;
#[path = "protocol/duplicates.rs"]
mod duplicates;
#[path = "protocol/endings.rs"]
mod endings;
#[path = "protocol/hello.rs"]
mod hello;
#[path = "protocol/messages.rs"]
mod messages;
#[path = "protocol/protobuf.rs"]
mod protobuf;
#[path = "protocol/refusals.rs"]
mod refusals;
#[path = "protocol/server.rs"]
mod server;
#[path = "protocol/sessions.rs"]
mod sessions;
#[path = "protocol/tls.rs"]
mod tls;
#[path = "protocol/witnesses.rs"]
mod witnesses;
