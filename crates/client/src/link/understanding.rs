//! What a server's messages mean: each is checked, and nothing is believed that it has not signed for
//! this very question.

use ve_core::{
    id::{Nonce, SessionId},
    text::printable,
};
use ve_documents::keys;
use ve_wire::{
    convert,
    proto::{self, ServerMessage, server_message, statement::Content},
    statement::{self, Believed, Bond},
};

use super::{Heard, Link, Lost, Owed, Step, lost};
use crate::question::Question;

/// The longest parting sentence that is repeated, in characters.
const MAX_PARTING_CHARACTERS: usize = 512;

impl Link {
    /// What a message means, if it means anything to the program.
    pub(super) fn understand(&mut self, message: ServerMessage) -> Result<Option<Step>, Lost> {
        match message.kind {
            Some(server_message::Kind::Answer(answer)) => {
                self.understand_answer(&answer).map(|heard| Some(Step::Heard(heard)))
            }
            Some(server_message::Kind::Revoked(revoked)) => self.understand_revocation(&revoked),
            Some(server_message::Kind::Ping(ping)) => match convert::session(&ping.session) {
                Ok(session) => Ok(Some(Step::Owes(Owed::Pong(session)))),
                Err(refusal) => lost(refusal.to_string()),
            },
            Some(server_message::Kind::Closing(_)) => Ok(Some(Step::Heard(Heard::Closing))),
            Some(server_message::Kind::Goodbye(goodbye)) => lost(parting_words(goodbye)),
            Some(server_message::Kind::Heartbeat(_)) => {
                self.life.beat_was_answered();
                Ok(None)
            }
            // What a later version of the protocol adds.
            Some(server_message::Kind::Hello(_) | server_message::Kind::Peer(_)) | None => Ok(None),
        }
    }

    fn understand_answer(&mut self, answer: &proto::Answer) -> Result<Heard, Lost> {
        let Some((nonce, question, asked_at)) = self.asked.remove(&answer.request_id) else {
            return lost("the server answered what was not asked");
        };
        let Believed { session, content } = self.believe(answer.signed.as_ref(), nonce)?;
        self.life.prove(asked_at);
        match (question, session, content) {
            (Question::Probe, Some(session), Content::Grant(grant)) => {
                self.read_grant(&grant, session)
            }
            (Question::Login(_), Some(session), Content::Grant(grant)) => {
                self.holds = Some(session);
                self.keep_grant(&grant, session, answer)
            }
            (Question::Check(asked), Some(session), Content::Grant(grant)) if session == asked => {
                self.keep_grant(&grant, session, answer)
            }
            (Question::Logout(asked), session, Content::LoggedOut(_)) if session == Some(asked) => {
                self.holds = None;
                Ok(Heard::LoggedOut)
            }
            (_, _, Content::Refusal(refusal)) => Ok(Heard::Refused(convert::refusal(&refusal))),
            (..) => lost("the server's answer does not fit the question"),
        }
    }

    /// A grant of a seat is kept as it came, to be shown at the next login.
    fn keep_grant(
        &self,
        message: &proto::Grant,
        session: SessionId,
        answer: &proto::Answer,
    ) -> Result<Heard, Lost> {
        let heard = self.read_grant(message, session)?;
        if let (Heard::Granted(grant), Some(signed)) = (&heard, &answer.signed) {
            let server_key = self.greeted.bond.server_key;
            self.grants.keep(server_key, &grant.license_id, signed);
            if !answer.receipt.is_empty() {
                self.receipts.take(&answer.receipt, grant, server_key);
            }
        }
        Ok(heard)
    }

    fn read_grant(&self, message: &proto::Grant, session: SessionId) -> Result<Heard, Lost> {
        let grant = convert::grant(message, session)
            .map_err(|refusal| Lost(format!("the server's grant: {}", refusal.sentence)))?;
        if !self.greeted.trusted.customers.contains(&grant.customer) {
            return lost(format!(
                "the server's grant is for {}, its credential is not",
                grant.customer
            ));
        }
        Ok(Heard::Granted(Box::new(grant)))
    }

    fn understand_revocation(&mut self, revoked: &proto::Revoked) -> Result<Option<Step>, Lost> {
        let Believed { session, content } =
            self.believe(revoked.signed.as_ref(), self.greeted.bond.nonce)?;
        let Content::Revoked(refusal) = content else {
            return lost("the server sent a revocation that is none");
        };
        // That of a session which this link doesn't hold means nothing to it.
        if session.is_none() || session != self.holds {
            return Ok(None);
        }
        self.holds = None;
        Ok(Some(Step::Heard(Heard::Revoked(convert::refusal(&refusal)))))
    }

    fn believe(&self, signed: Option<&proto::Signed>, nonce: Nonce) -> Result<Believed, Lost> {
        let bond = Bond { nonce, ..self.greeted.bond };
        let verify = |message: &[u8], signature: &[u8]| {
            keys::verify(&bond.server_key, message, signature).is_ok()
        };
        statement::open(signed, bond, verify).map_err(|error| Lost(error.to_string()))
    }
}

/// What a server says when it hangs up, for a log.
fn parting_words(goodbye: proto::Goodbye) -> String {
    let words = goodbye.refusal.map(|refusal| convert::refusal(&refusal).to_string());
    let words = printable(&words.unwrap_or_default(), MAX_PARTING_CHARACTERS);
    format!("the server ended the connection: {words}")
}
