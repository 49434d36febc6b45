//! Reads machines of every kind, each played by a folder, and the one that the tests run on.

mod facts;
mod fake_machine;
mod machines;
mod platforms;
