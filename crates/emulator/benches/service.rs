//! How long emulators are without a license when a server fails them: a thousand of them on one
//! host, a primary and a backup on two others, in network namespaces joined by cables.
//!
//! Each figure is the time from the fault to the moment in which an emulator is licensed again. The
//! yardstick is the best figure that a commercial license server documents: five seconds until a
//! dead server is noticed. Then the restart: ten thousand emulators whose only server is killed and
//! started again come back to their own seats, while others try to get in.

#[path = "service/crowd.rs"]
mod crowd;
#[path = "service/office.rs"]
mod office;
#[path = "service/orders.rs"]
mod orders;
#[path = "service/times.rs"]
mod times;

use std::env;

fn main() {
    match env::var(orders::CROWD) {
        Ok(orders) => crowd::run(&orders),
        Err(_) => office::run(),
    }
}
