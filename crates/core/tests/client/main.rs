//! The emulator's side, told in stories: servers, guest, operator and clock are values here, so that
//! a grace period of two hours passes between two lines.

mod check;
mod drain;
mod ending;
mod failback;
mod failover;
mod grace;
mod home;
mod loss;
mod no_backup;
mod oracle;
mod property;
mod retries;
mod start;
mod story;
mod two_servers;
mod world;
mod written;
