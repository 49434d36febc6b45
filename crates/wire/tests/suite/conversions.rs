//! Messages into words: arbitrary fields either become values that keep their limits or are refused.

use proptest::{collection::vec, prelude::*};
use prost::Message;
use ve_core::{
    id::SessionId,
    reason::{ReasonCode, Refusal},
    text::MAX_NAME_BYTES,
};
use ve_wire::{
    convert,
    limits::MAX_SENTENCE_BYTES,
    proto::{self, ClientMessage, ServerMessage, client_message, server_message},
};

/// Text of every kind: good names, long ones, and characters that no name may hold.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9/. -]{0,20}",
        "\\PC{0,140}",
        any::<String>(),
        "[\u{202a}-\u{202e}\u{200b}\n\r\u{1b}a]{1,5}",
        Just("x".repeat(MAX_NAME_BYTES)),
        Just("x".repeat(MAX_NAME_BYTES + 1)),
        Just("ä".repeat(MAX_NAME_BYTES / 2)),
        Just("x".repeat(10_000)),
    ]
}

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 32), vec(any::<u8>(), 0..40)]
}

fn version() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9]{1,3}\\.[0-9]{1,3}(\\.[0-9]{1,3})?", "[0-9.+-]{0,30}", text()]
}

prop_compose! {
    fn login()(
        texts in (text(), version(), text(), text(), text()),
        numbers in (any::<u32>(), any::<u64>()),
        ids in (bytes(), bytes(), bytes()),
        small in any::<bool>(),
    ) -> proto::Login {
        let (product, version, virtual_hardware, passphrase, emulator) = texts;
        let (cpus, memory_mb) = numbers;
        let (nonce, session, run) = ids;
        let (cpus, memory_mb) = if small { (cpus % 70_000, memory_mb % (1 << 41)) } else { numbers };
        proto::Login {
            facts: None,
            request_id: 1, nonce, product, version, virtual_hardware, cpus, memory_mb, passphrase,
            emulator, session, run, probe: false, witnesses: Vec::new(),
        }
    }
}

/// A refusal that is fit for a log and for the wire.
pub(crate) fn is_sound(refusal: &Refusal) -> Result<(), TestCaseError> {
    prop_assert_eq!(refusal.code, ReasonCode::BadRequest);
    prop_assert!(refusal.sentence.len() <= MAX_SENTENCE_BYTES);
    prop_assert!(!refusal.sentence.chars().any(char::is_control), "{}", refusal.sentence);
    prop_assert!(refusal.sentence.ends_with('.'), "{}", refusal.sentence);
    Ok(())
}

proptest! {
    #[test]
    fn a_login_keeps_every_limit_or_is_refused(message in login()) {
        match convert::login(&message) {
            Err(refusal) => is_sound(&refusal)?,
            Ok(login) => {
                prop_assert!((1..=65_536).contains(&login.wanted.cpus));
                prop_assert!((1..=1 << 40).contains(&login.wanted.memory_mb));
                prop_assert_eq!(login.product.as_str(), message.product);
                prop_assert_eq!(login.emulator.as_str(), message.emulator);
                prop_assert_eq!(login.version().to_string(), message.version);
                prop_assert_eq!(login.session.is_some(), message.session.len() == 16);
                prop_assert_eq!(&login.run.0[..], message.run);
                let secret = login.passphrase().map_or("", |secret| secret.reveal());
                prop_assert_eq!(secret, message.passphrase);
            }
        }
    }

    #[test]
    fn a_good_login_is_taken_as_it_is(
        name in "[a-zA-Z0-9/ -]{1,100}[a-z]",
        cpus in 1..=65_536_u32,
        memory_mb in 1..=1_u64 << 40,
        run in any::<[u8; 16]>(),
    ) {
        let message = proto::Login {
            product: name.clone(), version: "5.2.1".into(), virtual_hardware: name.clone(), cpus,
            memory_mb, emulator: name, run: run.to_vec(), ..proto::Login::default()
        };
        let login = convert::login(&message).expect("within all limits");
        prop_assert_eq!((login.wanted.cpus, login.wanted.memory_mb), (cpus, memory_mb));
        prop_assert_eq!((login.session, login.passphrase()), (None, None));
    }

    #[test]
    fn any_bytes_become_a_checked_message_or_nothing(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok(ClientMessage { kind: Some(client_message::Kind::Login(login)) }) =
            ClientMessage::decode(bytes.as_slice())
            && let Err(refusal) = convert::login(&login)
        {
            is_sound(&refusal)?;
        }
        if let Ok(ServerMessage { kind: Some(server_message::Kind::Goodbye(goodbye)) }) =
            ServerMessage::decode(bytes.as_slice())
        {
            let refusal = convert::refusal(&goodbye.refusal.unwrap_or_default());
            prop_assert!(!refusal.to_string().chars().any(char::is_control));
        }
    }

    #[test]
    fn identifiers_have_their_length(bytes in vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(convert::nonce(&bytes).is_ok(), bytes.len() == 32);
        prop_assert_eq!(convert::session(&bytes).is_ok(), bytes.len() == 16);
    }

    #[test]
    fn a_refusal_from_outside_is_printable_and_bounded(code in text(), sentence in text()) {
        let refusal = convert::refusal(&proto::Refusal { code, sentence });
        prop_assert!(!refusal.to_string().chars().any(char::is_control), "{}", refusal);
        prop_assert!(refusal.sentence.chars().count() <= MAX_SENTENCE_BYTES + 80);
        let message = convert::refusal_message(&refusal);
        prop_assert!(message.sentence.len() <= MAX_SENTENCE_BYTES);
        prop_assert!(refusal.sentence.starts_with(&message.sentence));
    }

    #[test]
    fn a_grant_from_outside_is_whole_or_none(
        texts in (text(), text(), text(), text(), text()),
        durations_ms in (any::<u64>(), any::<u64>(), any::<u64>()),
        has_marks in any::<bool>(),
        times in (any::<Option<i64>>(), any::<Option<u64>>()),
    ) {
        let (license_id, customer, product_code, virtual_hardware, home) = texts;
        let (grace_ms, check_interval_ms, lease_ms) = durations_ms;
        let message = proto::Grant {
            license_id, customer, product_code, virtual_hardware, grace_ms, check_interval_ms,
            lease_ms, marks: has_marks.then(proto::Marks::default), expires: times.0,
            remaining_ms: times.1, home, ..proto::Grant::default()
        };
        match convert::grant(&message, SessionId([7; 16])) {
            Ok(grant) => prop_assert_eq!(convert::grant_message(&grant), message),
            Err(refusal) => is_sound(&refusal)?,
        }
    }
}

#[test]
fn a_grant_comes_back_as_it_was() {
    let message = proto::Grant {
        home: "01.00000001.002.045".into(),
        license_id: "01.00000001.002.044".into(),
        customer: "Stromasys/Testing".into(),
        product_code: "Charon-SSP/ALL".into(),
        virtual_hardware: "Charon-SSP/4M".into(),
        instances: 3,
        max_cpu: 64,
        max_memory_mb: 1_048_576,
        major: 5,
        minor: 3,
        expires: Some(4_102_415_700),
        remaining_ms: Some(360_000_000),
        grace_ms: 7_200_000,
        check_interval_ms: 3_600_000,
        lease_ms: 120_000,
        marks: Some(proto::Marks {
            license_version: 2,
            time: 1_700_000_000,
            ledger_position: 77,
            hours_used_ms: 1,
        }),
    };
    let grant = convert::grant(&message, SessionId([7; 16])).expect("a grant");
    assert_eq!(convert::grant_message(&grant), message);
}

#[test]
fn the_server_s_preference_decides_on_the_version() {
    for (theirs, ours, expected) in [
        (&[1][..], &[1][..], Some(1)),
        (&[1, 2], &[2, 1], Some(2)),
        (&[2, 1], &[1], Some(1)),
        (&[3, u32::MAX, 0], &[2, 1], None),
        (&[], &[1], None),
    ] {
        assert_eq!(convert::common_version(theirs, ours), expected, "{theirs:?} {ours:?}");
    }
}
