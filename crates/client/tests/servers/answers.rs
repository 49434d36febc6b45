//! Answers: each is believed only when it is signed by the server's key for this very question.

use std::pin::Pin;

use ve_client::probe::{ProbeError, probe};
use ve_core::{
    grant::Grant,
    id::{HostKey, Nonce},
    reason::ReasonCode,
    time::MAX_DURATION_MS,
};
use ve_documents::keys::SigningKey;
use ve_wire::{
    convert,
    proto::{self, server_message::Kind as Said, statement::Content},
    statement::{self, Bond},
};

use crate::{
    program::config,
    server::{LONG_MS, Server, Talk, goodbye, grant, refusal},
};

type Script = fn(Talk, proto::Login) -> Pin<Box<dyn Future<Output = Option<()>> + Send>>;

fn granted(grant: &Grant) -> Content {
    Content::Grant(convert::grant_message(grant))
}

/// How a server answers a login, and a part of what the client makes of it.
const ANSWERS: &[(&str, Script)] = &[
    ("the statement answers another question", |mut talk, login| {
        Box::pin(async move {
            talk.answer(login.request_id, &[7; 32], Some(1), granted(&grant(1))).await?;
            talk.listen().await
        })
    }),
    ("the statement's signature does not hold", |mut talk, login| {
        Box::pin(async move {
            let stranger = SigningKey::generate();
            let nonce = convert::nonce(&login.nonce).unwrap();
            let session = Some(grant(1).session);
            let bond = talk.bond(nonce);
            let content = granted(&grant(1));
            let signed = statement::seal(bond, session, content, |message| stranger.sign(message));
            let answer = proto::Answer {
                receipt: String::new(),
                request_id: login.request_id,
                signed: Some(signed),
            };
            talk.say(Said::Answer(answer)).await?;
            talk.listen().await
        })
    }),
    ("the statement names another server key", |mut talk, login| {
        Box::pin(async move {
            let stranger = SigningKey::generate().public();
            let nonce = convert::nonce(&login.nonce).unwrap();
            let key = talk.server.key.clone();
            let content = granted(&grant(1));
            let bond = Bond { server_key: stranger, ..talk.bond(nonce) };
            let signed = statement::seal(bond, None, content, |message| key.sign(message));
            let answer = proto::Answer {
                receipt: String::new(),
                request_id: login.request_id,
                signed: Some(signed),
            };
            talk.say(Said::Answer(answer)).await?;
            talk.listen().await
        })
    }),
    ("the statement is meant for another host", |mut talk, login| {
        Box::pin(async move {
            let nonce = convert::nonce(&login.nonce).unwrap();
            let key = talk.server.key.clone();
            let bond = Bond { host: HostKey([1; 32]), ..talk.bond(nonce) };
            let session = Some(grant(1).session);
            let content = granted(&grant(1));
            let signed = statement::seal(bond, session, content, |message| key.sign(message));
            let answer = proto::Answer {
                receipt: String::new(),
                request_id: login.request_id,
                signed: Some(signed),
            };
            talk.say(Said::Answer(answer)).await?;
            talk.listen().await
        })
    }),
    ("the server sent no statement", |mut talk, login| {
        Box::pin(async move {
            let answer = proto::Answer {
                receipt: String::new(),
                request_id: login.request_id,
                signed: None,
            };
            talk.say(Said::Answer(answer)).await?;
            talk.listen().await
        })
    }),
    ("the server answered what was not asked", |mut talk, login| {
        Box::pin(async move {
            talk.answer(login.request_id + 1, &login.nonce, Some(1), granted(&grant(1))).await?;
            talk.listen().await
        })
    }),
    ("does not fit the question", |mut talk, login| {
        Box::pin(async move {
            let content = Content::LoggedOut(proto::LoggedOut {});
            talk.answer(login.request_id, &login.nonce, Some(1), content).await?;
            talk.listen().await
        })
    }),
    ("does not fit the question", |mut talk, login| {
        Box::pin(async move {
            // A seat for nobody.
            talk.answer(login.request_id, &login.nonce, None, granted(&grant(1))).await?;
            talk.listen().await
        })
    }),
    ("grace_ms is out of range", |mut talk, login| {
        Box::pin(async move {
            let content = granted(&Grant { grace_ms: 0, ..grant(1) });
            talk.answer(login.request_id, &login.nonce, Some(1), content).await?;
            talk.listen().await
        })
    }),
    ("check_interval_ms is out of range", |mut talk, login| {
        Box::pin(async move {
            let check_interval_ms = 2 * MAX_DURATION_MS + 1;
            let content = granted(&Grant { check_interval_ms, ..grant(1) });
            talk.answer(login.request_id, &login.nonce, Some(1), content).await?;
            talk.listen().await
        })
    }),
    ("the server's grant is for Another, its credential is not", |mut talk, login| {
        Box::pin(async move {
            let content = granted(&Grant { customer: "Another".parse().unwrap(), ..grant(1) });
            talk.answer(login.request_id, &login.nonce, Some(1), content).await?;
            talk.listen().await
        })
    }),
    ("the server is about to stop", |mut talk, _| {
        Box::pin(async move {
            talk.say(Said::Closing(proto::Closing {})).await?;
            talk.listen().await
        })
    }),
    ("the server ended the connection: instance-limit: all 4 instances", |mut talk, _| {
        Box::pin(async move {
            talk.say(goodbye(&refusal())).await?;
            talk.listen().await
        })
    }),
    ("a revocation that is none", |mut talk, _| {
        Box::pin(async move {
            let signed = Some(talk.seal(talk.nonce, Some(1), granted(&grant(1))));
            talk.say(Said::Revoked(proto::Revoked { signed })).await?;
            talk.listen().await
        })
    }),
    ("the statement answers another question", |mut talk, _| {
        Box::pin(async move {
            let content = Content::Revoked(convert::refusal_message(&refusal()));
            let signed = Some(talk.seal(Nonce([9; 32]), Some(1), content));
            talk.say(Said::Revoked(proto::Revoked { signed })).await?;
            talk.listen().await
        })
    }),
    ("the field session has 3 bytes", |mut talk, _| {
        Box::pin(async move {
            talk.say(Said::Ping(proto::Ping { session: vec![1; 3] })).await?;
            talk.listen().await
        })
    }),
    ("a frame of 4294967295 bytes", |mut talk, _| {
        Box::pin(async move {
            talk.say_bytes(&[0xff; 4]).await?;
            talk.listen().await
        })
    }),
    ("the server is silent", |mut talk, _| Box::pin(async move { talk.listen().await })),
    ("the server is silent", |mut talk, _| {
        Box::pin(async move {
            // Half a message is none.
            talk.say_bytes(&[0, 0, 0, 9, 1]).await?;
            talk.listen().await
        })
    }),
    ("the connection was lost: ", |talk, _| {
        Box::pin(async move {
            drop(talk);
            None
        })
    }),
];

#[tokio::test]
async fn an_answer_that_is_none_is_not_believed() {
    for (expected, script) in ANSWERS {
        let server = Server::new();
        let port = server
            .serve(move |mut talk: Talk| async move {
                let credential = talk.server.credential();
                // So short that silence ends the test soon; so long that a slow machine is no silence.
                let timeout_ms = if expected.contains("silent") { 200 } else { LONG_MS };
                talk.greet_with(vec![credential], timeout_ms).await?;
                let login = talk.hear_login().await?;
                assert!(login.probe, "a probe takes no seat");
                script(talk, login).await
            })
            .await;
        let (config, _folder) = config(&server, &[port]);
        let error = probe(&config, &config.servers[0]).await.expect_err(expected);
        assert!(matches!(error, ProbeError::Lost(_)), "{expected}: {error:?}");
        let error = error.to_string();
        assert!(error.contains(expected), "expected {expected:?}, got: {error}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_as_the_server_says_it() {
    for (code, sentence, expected) in [
        ("instance-limit", "all in use.", "instance-limit: all in use."),
        ("made-up-later", "a new rule.", "bad-request: made-up-later: a new rule."),
        ("instance-limit", "a\nline", "instance-limit: a\\u{a}line"),
    ] {
        let server = Server::new();
        let port = server
            .serve(move |mut talk: Talk| async move {
                talk.greet().await?;
                let login = talk.hear_login().await?;
                let refusal = proto::Refusal { code: code.into(), sentence: sentence.into() };
                let content = Content::Refusal(refusal);
                talk.answer(login.request_id, &login.nonce, None, content).await?;
                talk.listen().await
            })
            .await;
        let (config, _folder) = config(&server, &[port]);
        let error = probe(&config, &config.servers[0]).await.expect_err("a refusal");
        assert_eq!(error.to_string(), expected);
        let ProbeError::Refused(refusal) = error else { panic!("{error:?}") };
        assert!(refusal.code == ReasonCode::InstanceLimit || code == "made-up-later");
    }
}
