//! The wire holds against whatever comes over it, and is what its published pages say.

mod certificates;
mod conversions;
mod frames;
mod published;
mod server;
mod statements;
mod witnesses;
