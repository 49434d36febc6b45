//! The whole chain with real processes: the vendor's and the administrator's tools, `licensed`,
//! `ve-emulator`, QEMU, and guests that are started, limited, warned and stopped under a license.

mod autove;
mod chain;
mod check;
mod command;
mod crash;
mod emulator;
mod exit_codes;
mod failback;
mod failover;
mod hooks;
mod host;
mod limits;
mod loss;
mod network;
mod page;
mod pair;
mod power_button;
mod processes;
mod release;
mod resolver;
mod secrets;
mod site;
mod stand_ins;
mod start;
mod styles;
mod vm;
mod witnesses;
