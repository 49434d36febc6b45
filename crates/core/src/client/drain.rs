//! A server that is about to stop: leave it for another one while the license still hangs on it.

use super::{Client, License, io::ServerIndex, telling::Voice};
use crate::time::Now;

impl Client {
    /// The server says that it is about to stop. Once for each connection: nobody is sent back and
    /// forth.
    pub(super) fn closing(&mut self, now: Now, server: ServerIndex) {
        if !core::mem::replace(&mut self.lines[server].closing, true) {
            self.leave_if_closing(now, server);
        }
    }

    /// Looks for another server, if the license hangs on one that is about to stop. It may have said
    /// so while the login was still out.
    pub(super) fn leave_if_closing(&mut self, now: Now, server: ServerIndex) {
        let holds =
            matches!(self.license, License::Valid { server: holder, .. } if holder == server);
        // Without another server it is a loss when the link is gone, and not before.
        if holds && self.lines[server].closing && self.lines.len() > 1 {
            let resting = self.lost_lately(now);
            self.begin_round(now, Voice::Quiet, &resting);
        }
    }
}
