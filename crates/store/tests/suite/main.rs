//! What every engine must do, and what must be true of the file, the writer and the readers whatever
//! happens to the process and the disk.

mod broken_disk;
mod engines;
mod events;
mod files;
mod full_disk;
mod hosts;
mod killed;
mod leftovers;
mod lost;
mod lost_hosts;
mod reading;
mod removed;
mod reserve;
mod restored;
mod sequences;
mod under_load;
mod writing;
