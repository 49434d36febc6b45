//! The registry: what both engines must do, and what must be true of `instances.db` whatever happens to
//! the process and the disk.

mod disk;
mod engines;
mod entries;
mod killed;
mod lost;
mod merging;
mod reading;
mod sequences;
mod snapshots;
mod torn;
mod writing;
