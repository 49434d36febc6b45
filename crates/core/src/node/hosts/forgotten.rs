//! Forgotten hosts: a ledger that was lost or put back does not name every guest. With
//! `lease = "grace"` one that it forgot may run on with the instance that looks free. So until the
//! last of them must have ended, nobody gets an instance that is not its own already.

use alloc::format;

use super::{Node, admission::Verdict};
use crate::{
    id::HostKey,
    node::io::Login,
    reason::{ReasonCode, Refusal},
    time::{MINUTE_MS, Now, spoken_duration},
};

impl Node {
    /// Why a host gets no free instance now although there seems to be one. A host that has a
    /// session here, or proves to have had one, runs already.
    pub(super) fn must_outwait(&self, now: Now, host: HostKey, login: &Login) -> Option<Refusal> {
        let own = self.own_autove()?;
        let for_ms = self.must_wait_ms(now, login, own, None)?;
        if self.has_sessions(host) {
            return None;
        }
        let wait = spoken_duration(for_ms.div_ceil(MINUTE_MS) * MINUTE_MS);
        let sentence = format!(
            "the server's ledger was lost or restored, so hosts that it does not know may still be \
             served; free instances are given out again in {wait}."
        );
        Some(Refusal::new(ReasonCode::InstanceLimit, sentence))
    }

    pub(super) fn needs_no_wait(&self, now: Now, host: HostKey, login: &Login) -> bool {
        self.must_outwait(now, host, login).is_none()
    }

    /// The verdict on a login: nobody becomes a guest on an instance that may be another's.
    pub(super) fn outwait(
        &self,
        now: Now,
        host: HostKey,
        login: &Login,
        verdict: Verdict,
    ) -> Verdict {
        match verdict {
            Verdict::Guest => match self.must_outwait(now, host, login) {
                Some(Refusal { sentence, .. }) => {
                    Refusal { code: ReasonCode::NoFreeInstanceOnPeer, sentence }.into()
                }
                None => Verdict::Guest,
            },
            verdict => verdict,
        }
    }
}
