//! What a host says of itself: values that keep their limits, or a refusal.

use proptest::{collection::vec, option, prelude::*};
use prost::Message;
use ve_core::{fingerprint::Platform, id::BootId, text::MAX_NAME_BYTES};
use ve_wire::{
    convert::{self, FactsShown, IdentityShown},
    limits::{
        MAX_CREDENTIAL_BYTES, MAX_CREDENTIALS, MAX_IDENTITY_DOCUMENT_BYTES,
        MAX_IDENTITY_SIGNATURE_BYTES, MAX_RECEIPT_BYTES, MAX_RECEIPTS,
    },
    proto::{self, ClientHello, HostFacts},
};

use crate::conversions::{bytes, is_sound, text};

/// Facts with everything as long as it may be.
pub(crate) fn longest() -> FactsShown {
    FactsShown {
        name: "x".repeat(MAX_NAME_BYTES).parse().expect("a name"),
        platform: Some(Platform::MicrosoftAzure),
        boot: BootId([9; 16]),
        identity: Some(IdentityShown {
            platform: Platform::AmazonAws,
            document: vec![b'{'; MAX_IDENTITY_DOCUMENT_BYTES],
            signature: vec![b'A'; MAX_IDENTITY_SIGNATURE_BYTES],
        }),
        receipts: vec!["r".repeat(MAX_RECEIPT_BYTES); MAX_RECEIPTS],
    }
}

fn changed(change: impl FnOnce(&mut HostFacts)) -> HostFacts {
    let mut message = convert::facts_message(&longest());
    change(&mut message);
    message
}

/// The identity document of [`longest`], for a change.
fn document(message: &mut HostFacts) -> &mut proto::IdentityDocument {
    message.identity.as_mut().expect("an identity")
}

proptest! {
    #[test]
    fn facts_are_whole_or_refused(
        texts in (text(), text(), text()),
        boot in bytes(),
        identity in option::of((vec(any::<u8>(), 0..4), vec(any::<u8>(), 0..4))),
        receipts in vec(text(), 0..4),
    ) {
        let (name, platform, whose) = texts;
        let identity = identity.map(|(document, signature)| {
            proto::IdentityDocument { platform: whose, document, signature }
        });
        let message = HostFacts { name, platform, boot, identity, receipts };
        match convert::facts(&message) {
            Err(refusal) => is_sound(&refusal)?,
            Ok(facts) => {
                prop_assert!(facts.receipts.len() <= MAX_RECEIPTS);
                prop_assert_eq!(convert::facts(&convert::facts_message(&facts)), Ok(facts));
            }
        }
    }

    #[test]
    fn any_bytes_are_facts_or_nothing(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(message) = HostFacts::decode(bytes.as_slice())
            && let Err(refusal) = convert::facts(&message)
        {
            is_sound(&refusal)?;
        }
    }
}

#[test]
fn facts_come_back_as_they_were() {
    let least = FactsShown {
        name: "emu".parse().expect("a name"),
        platform: None,
        boot: BootId([0; 16]),
        identity: None,
        receipts: Vec::new(),
    };
    for facts in [longest(), least] {
        let wire = convert::facts_message(&facts).encode_to_vec();
        let message = HostFacts::decode(wire.as_slice()).expect("a message");
        assert_eq!(convert::facts(&message), Ok(facts));
    }
}

#[test]
fn every_limit_of_the_facts_is_kept() {
    for (message, why) in [
        (changed(|facts| facts.name.clear()), "the field facts.name is empty."),
        (changed(|facts| facts.name.push('x')), "the field facts.name is longer than 128 bytes."),
        (changed(|facts| facts.boot.push(1)), "the field facts.boot has 17 bytes instead of 16."),
        (changed(|facts| facts.boot.clear()), "the field facts.boot has 0 bytes instead of 16."),
        (
            changed(|facts| document(facts).document.push(1)),
            "the field facts.identity.document has 8193 bytes instead of 1 to 8192.",
        ),
        (
            changed(|facts| document(facts).signature.clear()),
            "the field facts.identity.signature has 0 bytes instead of 1 to 4096.",
        ),
        (
            changed(|facts| facts.receipts.push("r".into())),
            "the field facts.receipts has more than 2 entries.",
        ),
        (
            changed(|facts| facts.receipts[1].push('r')),
            "the field receipt is longer than 2048 bytes.",
        ),
        (
            changed(|facts| facts.receipts[0].clear()),
            "the field facts.receipts has an empty entry.",
        ),
    ] {
        let refusal = convert::facts(&message).expect_err(why);
        assert_eq!(refusal.sentence, why);
    }
}

#[test]
fn a_platform_that_is_not_known_yet_is_none() {
    let message = changed(|facts| {
        facts.platform = "moon.base".into();
        document(facts).platform = "moon.base".into();
    });
    let facts = convert::facts(&message).expect("facts of a newer client");
    assert_eq!((facts.platform, facts.identity), (None, None));
}

#[test]
fn proofs_do_not_print() {
    let shown = format!("{:?}", proto::Answer { receipt: "secret".into(), ..Default::default() });
    assert_eq!(shown, "proto::Answer { .. }");
    assert!(!format!("{:?}", changed(|_| ())).contains("rrr"));
}

#[test]
fn a_receipt_beside_a_grant_is_bounded() {
    let longest = "r".repeat(MAX_RECEIPT_BYTES);
    assert_eq!(convert::receipt(""), Ok(None));
    assert_eq!(convert::receipt(&longest), Ok(Some(longest.as_str())));
    assert!(convert::receipt(&format!("{longest}r")).is_err());
}

#[test]
fn a_peer_introduces_itself_within_limits() {
    let credentials = |count, length| {
        let peer_credentials = vec!["c".repeat(length); count];
        let hello = ClientHello { peer_credentials, ..ClientHello::default() };
        convert::peer_credentials(&hello).map(|shown| shown.map(<[String]>::len))
    };
    assert_eq!(credentials(0, 0), Ok(None));
    assert_eq!(credentials(MAX_CREDENTIALS, MAX_CREDENTIAL_BYTES), Ok(Some(MAX_CREDENTIALS)));
    assert!(credentials(MAX_CREDENTIALS + 1, 1).is_err());
    assert!(credentials(1, MAX_CREDENTIAL_BYTES + 1).is_err());
}
