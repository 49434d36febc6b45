//! Whatever comes from outside gets a clear refusal or a closed connection, and everyone else's
//! license goes on: attacks in a table, each beside a client that is licensed and stays so.

#[path = "hostile/attacks.rs"]
mod attacks;
#[path = "hostile/bystander.rs"]
mod bystander;
#[path = "protocol/client.rs"]
mod client;
#[path = "protocol/connection.rs"]
mod connection;
#[path = "protocol/credential.rs"]
mod credential;
#[path = "hostile/crowds.rs"]
mod crowds;
#[path = "hostile/fields.rs"]
mod fields;
#[path = "hostile/limits.rs"]
mod limits;
#[path = "hostile/log.rs"]
mod log;
#[path = "protocol/messages.rs"]
mod messages;
#[path = "protocol/protobuf.rs"]
mod protobuf;
#[path = "protocol/server.rs"]
mod server;
#[path = "hostile/socket.rs"]
mod socket;
#[path = "hostile/strangers.rs"]
mod strangers;
#[path = "hostile/waiting.rs"]
mod waiting;
