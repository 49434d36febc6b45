//! AutoVE with real servers: hosts that register by themselves, and two peers that keep one registry.

mod clones;
mod healing;
mod metadata;
mod moving;
mod peers;
mod registering;
mod spent;
