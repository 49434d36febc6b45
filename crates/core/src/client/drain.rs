//! A server that is about to stop: leave it for another one while the license still hangs on it.

use super::{Client, License, io::ServerIndex, telling::Voice};
use crate::time::Now;

impl Client {
    /// The server says that it is about to stop. Once for each connection: nobody is sent back and
    /// forth.
    pub(super) fn closing(&mut self, now: Now, server: ServerIndex) {
        if !matches!(self.license, License::Valid { server: holder, .. } if holder == server) {
            return;
        }
        let again = core::mem::replace(&mut self.lines[server].closing, true);
        // Without another server it is a loss when the link is gone, and not before.
        if !again && self.lines.len() > 1 {
            let resting = self.lost_lately(now);
            self.begin_round(now, Voice::Quiet, &resting);
        }
    }
}
