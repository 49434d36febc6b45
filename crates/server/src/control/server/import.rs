//! The hosts of an import: a line of JSON each, after the request.

use std::time::Duration;

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt},
    time::timeout,
};
use ve_core::registry::{HostEntry, MAX_HOSTS};

use super::failure;
use crate::control::protocol::{Failure, MAX_ENTRY_BYTES};

/// How long a tool may take for all of them.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many entries get room at once before they have come.
const ROOM: usize = 1_024;

/// Reads so many entries.
pub(super) async fn read(
    reader: &mut (impl AsyncBufRead + Unpin),
    hosts: usize,
) -> Result<Vec<HostEntry>, Failure> {
    if hosts > MAX_HOSTS {
        return Err(failure(
            65,
            format!("at most {MAX_HOSTS} hosts can be imported, not {hosts}."),
        ));
    }
    let all = async {
        let mut entries = Vec::with_capacity(hosts.min(ROOM));
        let mut line = Vec::new();
        for number in 1..=hosts {
            line.clear();
            let limit = MAX_ENTRY_BYTES as u64 + 1;
            let read = (&mut *reader).take(limit).read_until(b'\n', &mut line).await;
            let wrong = |why: String| failure(64, format!("entry {number} of the import {why}."));
            match read {
                Err(error) => return Err(wrong(format!("can't be read: {error}"))),
                Ok(_) if line.len() > MAX_ENTRY_BYTES => return Err(wrong("is too long".into())),
                Ok(_) if line.last() != Some(&b'\n') => return Err(wrong("is cut off".into())),
                Ok(_) => entries.push(
                    serde_json::from_slice(&line)
                        .map_err(|error| wrong(format!("can't be understood: {error}")))?,
                ),
            }
        }
        Ok(entries)
    };
    let too_slow = || failure(75, "the import came too slowly; try again.");
    timeout(PATIENCE, all).await.unwrap_or_else(|_| Err(too_slow()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn code(text: &[u8], hosts: usize) -> u8 {
        let mut reader = text;
        read(&mut reader, hosts).await.map_or_else(|failure| failure.exit_code, |_| 0)
    }

    #[tokio::test]
    async fn what_is_no_entry_is_refused() {
        let long = vec![b'x'; MAX_ENTRY_BYTES + 1];
        assert_eq!(code(b"", 0).await, 0);
        for (text, hosts) in
            [(&b""[..], 1), (b"{}\n", 1), (b"{\"host\":1}", 1), (&long, 1), (b"\n", 1)]
        {
            assert_eq!(code(text, hosts).await, 64, "{text:?}");
        }
        assert_eq!(code(b"", MAX_HOSTS + 1).await, 65);
    }
}
