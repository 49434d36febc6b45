//! Guests that really run: QEMU's machines, an operating system, any command, on a terminal, and
//! under a runner that is killed.

mod command;
mod common;
mod leash;
mod machines;
mod power_button;
mod runner;
mod terminal;
