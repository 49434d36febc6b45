//! Hellos and credentials: whoever can't prove who he is learns nothing, and is told apart.

use std::pin::Pin;

use ve_client::probe::probe;
use ve_core::reason::{ReasonCode, Refusal};
use ve_wire::proto::{self, client_message::Kind as Asked, server_message::Kind as Said};

use crate::{
    program::config,
    server::{LONG_MS, Server, Talk, goodbye, hello},
};

type Script = fn(Talk) -> Pin<Box<dyn Future<Output = Option<()>> + Send>>;

/// What a server does from the first byte on, and a part of what the client makes of it.
const GREETINGS: &[(&str, Script)] = &[
    ("none at all", |mut talk| Box::pin(async move { talk.greet_with(vec![], LONG_MS).await })),
    ("license-not-available: nothing is installed. (unverified: ", |mut talk| {
        Box::pin(async move {
            talk.greet_with(vec![], LONG_MS).await?;
            let code = ReasonCode::LicenseNotAvailable;
            talk.say(goodbye(&Refusal::new(code, "nothing is installed."))).await?;
            talk.listen().await
        })
    }),
    ("the one that it has is another server's", |mut talk| {
        Box::pin(async move {
            let copied = talk.server.sibling().credential();
            talk.greet_with(vec![copied], LONG_MS).await?;
            talk.listen().await
        })
    }),
    ("which is not trusted here", |mut talk| {
        Box::pin(async move {
            let stranger = talk.server.of_another_vendor();
            talk.greet_with(vec![stranger.credential()], LONG_MS).await?;
            talk.listen().await
        })
    }),
    ("no credential of a trusted vendor", |mut talk| {
        Box::pin(async move {
            talk.greet_with(vec!["a.b.c".into(), "x".repeat(5_000)], LONG_MS).await?;
            talk.listen().await
        })
    }),
    ("protocol-version-invalid: the server speaks the protocol versions [7, 8]", |mut talk| {
        Box::pin(async move {
            talk.hear_hello().await?;
            let credentials = vec![talk.server.credential()];
            let versions = vec![7, 8];
            let hello = proto::ServerHello { version: 0, versions, ..hello(credentials, LONG_MS) };
            talk.say(Said::Hello(hello)).await?;
            talk.listen().await
        })
    }),
    ("protocol-version-invalid", |mut talk| {
        Box::pin(async move {
            talk.hear_hello().await?;
            // A version that was not offered.
            let hello = proto::ServerHello { version: 2, ..hello(vec![], LONG_MS) };
            talk.say(Said::Hello(hello)).await?;
            talk.listen().await
        })
    }),
    ("server-busy: come back later. (unverified: ", |mut talk| {
        Box::pin(async move {
            talk.say(goodbye(&Refusal::new(ReasonCode::ServerBusy, "come back later."))).await?;
            talk.listen().await
        })
    }),
    ("did not say hello", |mut talk| {
        Box::pin(async move {
            talk.say(Said::Closing(proto::Closing {})).await?;
            talk.listen().await
        })
    }),
    ("a frame of 4294967295 bytes", |mut talk| {
        Box::pin(async move {
            talk.say_bytes(&[0xff; 4]).await?;
            talk.listen().await
        })
    }),
    ("a frame of 163841 bytes", |mut talk| {
        Box::pin(async move {
            talk.say_bytes(&163_841_u32.to_be_bytes()).await?;
            talk.listen().await
        })
    }),
    ("holds no message", |mut talk| {
        Box::pin(async move {
            talk.say_bytes(&[0, 0, 0, 2, 0xff, 0xff]).await?;
            talk.listen().await
        })
    }),
    ("it can't be reached: ", |talk| {
        Box::pin(async move {
            drop(talk);
            None
        })
    }),
];

#[tokio::test]
async fn a_server_that_proves_nothing_hears_no_login() {
    for (expected, script) in GREETINGS {
        let server = Server::new();
        let port = server.serve(*script).await;
        let (config, _folder) = config(&server, &[port]);
        let error = probe(&config, &config.servers[0]).await.expect_err(expected).to_string();
        assert!(error.contains(expected), "expected {expected:?}, got: {error}");
        let heard = server.heard();
        assert!(heard.iter().all(|asked| matches!(asked, Asked::Hello(_))), "{heard:?}");
    }
}

#[tokio::test]
async fn one_good_credential_among_others_is_enough() {
    let server = Server::new();
    let port = server
        .serve(async |mut talk: Talk| {
            let stranger = talk.server.of_another_vendor();
            let copied = talk.server.sibling().credential();
            let own = talk.server.credential();
            talk.greet_with(vec![stranger.credential(), copied, own], LONG_MS).await?;
            talk.grant(&crate::server::grant(1)).await?;
            talk.listen().await
        })
        .await;
    let (config, _folder) = config(&server, &[port]);
    assert_eq!(probe(&config, &config.servers[0]).await, Ok(crate::server::grant(1)));
}

#[tokio::test]
async fn what_speaks_no_tls_is_no_server() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    let (config, _folder) = config(&Server::new(), &[port]);
    let error = probe(&config, &config.servers[0]).await.expect_err("no TLS").to_string();
    assert!(error.contains("no TLS connection"), "{error}");
}
