//! The wire holds against whatever comes over it, and is what its published pages say.

mod certificates;
mod conversions;
mod facts;
mod frames;
mod peers;
mod published;
mod server;
mod statements;
mod witnesses;
