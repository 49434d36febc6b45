use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::*;
use crate::{
    fingerprint::{Fingerprint, Platform},
    id::{Digest, ServerKey},
    license::{KeyType, Lease, ProductSection},
    time::Utc,
};

fn license(version: u32) -> License {
    License {
        id: "01.00000001.002.044".parse().unwrap(),
        version,
        customer: "Stromasys/Testing".parse().unwrap(),
        mode: Mode::General,
        key_type: KeyType::Countdown { hours: 100 },
        platform: Platform::Kvm,
        released: Utc(0),
        grace_ms: 7_200_000,
        check_interval_ms: 3_600_000,
        lease: Lease::For(120_000),
        tolerance: BTreeSet::new(),
        binding: Fingerprint(BTreeMap::new()),
        fingerprint: Digest([7; 32]),
        server_key: ServerKey([1; 32]),
        sections: vec![section("Charon-SSP/ALL", 3)],
    }
}

fn section(code: &str, instances: u32) -> ProductSection {
    ProductSection {
        code: code.parse().unwrap(),
        virtual_hardware: vec!["Charon-SSP/4M".parse().unwrap()],
        expires: None,
        major: 5,
        minor: 3,
        max_cpu: 64,
        max_memory_mb: 1_024,
        instances,
        passphrase: Some("1111-2222-3333-4444".parse().unwrap()),
    }
}

fn with(version: u32, edit: impl FnOnce(&mut License)) -> License {
    let mut license = license(version);
    edit(&mut license);
    license
}

/// Installs `new` where version 2 is installed and `seen_version` was seen.
fn install(new: &License, seen_version: Option<u32>) -> Result<Step, UpdateError> {
    check(new, &Site { installed: &[&license(2)], seen_version, standing: &Ok(()) })
}

#[test]
fn a_higher_version_updates_and_the_same_file_does_nothing() {
    assert_eq!(install(&license(3), Some(2)), Ok(Step::Update { from_version: 2 }));
    assert_eq!(install(&license(2), Some(2)), Ok(Step::Nothing));
    let other = with(1, |license| license.id = "01.00000001.002.045".parse().unwrap());
    assert_eq!(install(&other, None), Ok(Step::New));
}

#[test]
fn an_update_is_refused_by_the_rule_that_it_breaks() {
    let refusals: [(License, Option<u32>, &str, Option<ReasonCode>); 6] = [
        (
            license(1),
            Some(2),
            "version 1 is older than version 2",
            Some(ReasonCode::LicenseVersionRolledBack),
        ),
        (
            license(3),
            Some(9),
            "version 3 is older than version 9",
            Some(ReasonCode::LicenseVersionRolledBack),
        ),
        (with(2, |license| license.grace_ms += 1), None, "with other contents", None),
        (
            with(3, |license| license.customer = "Other".parse().unwrap()),
            None,
            "can't change its customer from Stromasys/Testing to Other",
            None,
        ),
        (
            with(3, |license| license.platform = Platform::Physical),
            None,
            "can't change its platform from kvm to physical",
            None,
        ),
        (
            with(1, |license| {
                license.id = "01.00000001.002.045".parse().unwrap();
                license.mode = Mode::AutoVe;
            }),
            None,
            "one server serves one mode",
            None,
        ),
    ];
    for (new, seen, part, reason) in refusals {
        let error = install(&new, seen).expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.reason(), reason, "{error}");
    }
}

#[test]
fn another_machine_is_refused_and_a_wrong_clock_is_not() {
    let standing = |code| Err(Refusal::new(code, "because."));
    let refused = |code| {
        let standing = standing(code);
        check(&license(3), &Site { installed: &[], seen_version: None, standing: &standing })
    };
    let error = refused(ReasonCode::BindingChanged).expect_err("another machine");
    assert_eq!(error.reason(), Some(ReasonCode::BindingChanged));
    assert_eq!(refused(ReasonCode::LicenseExpired), Ok(Step::New));
}

fn lines(before: Option<&License>, after: &License) -> Vec<String> {
    let text = |side: Option<String>| side.unwrap_or_else(|| "-".to_string());
    changes(before, after)
        .into_iter()
        .map(|change| [change.field, text(change.before), text(change.after)].join("|"))
        .collect()
}

#[test]
fn every_field_that_differs_is_named_once_and_passphrases_stay_hidden() {
    let after = with(3, |license| {
        license.key_type = KeyType::Normal { expires: None };
        license.lease = Lease::Grace;
        license.sections[0].instances = 5;
        license.sections[0].passphrase = Some("9999-2222-3333-4444".parse().unwrap());
        license.sections.push(section("Charon-SSP/ALL", 1));
        license.sections[1].passphrase = None;
    });
    assert_eq!(
        lines(Some(&license(2)), &after),
        [
            "Key type|COUNTDOWN|NORMAL",
            "Expiration date|100 hour(s)|none",
            "License version|2|3",
            "Lease|2 minutes|grace",
            "Charon-SSP/ALL: Instances allowed|3|5",
            "Charon-SSP/ALL: Passphrase|****-****-****-4444|****-****-****-4444 (another)",
            "Charon-SSP/ALL (2): Virtual Hardware|-|Charon-SSP/4M",
            "Charon-SSP/ALL (2): Product code|-|Charon-SSP/ALL",
            "Charon-SSP/ALL (2): Expiration date|-|with the license",
            "Charon-SSP/ALL (2): Major Version|-|5",
            "Charon-SSP/ALL (2): Minor Version|-|3",
            "Charon-SSP/ALL (2): Maximum CPU|-|64",
            "Charon-SSP/ALL (2): Maximum virtual memory|-|1024MB",
            "Charon-SSP/ALL (2): Instances allowed|-|1",
        ]
    );
    assert_eq!(lines(Some(&after), &after), Vec::<String>::new());
    assert!(lines(None, &after).contains(&"License version|-|3".to_string()));
    let fewer = lines(Some(&after), &license(4));
    assert!(fewer.contains(&"Charon-SSP/ALL (2): Instances allowed|1|-".to_string()), "{fewer:?}");
}

#[test]
fn durations_are_minutes_where_they_are_whole() {
    for (duration_ms, text) in [
        (7_200_000, "120 minutes"),
        (60_000, "1 minute"),
        (90_000, "90 seconds"),
        (20_000, "20 seconds"),
        (1_000, "1 second"),
    ] {
        assert_eq!(spoken_minutes(duration_ms), text);
    }
}

#[test]
fn a_second_autove_license_is_none_for_this_server() {
    let autove = |id: &str, version| License {
        id: id.parse().unwrap(),
        mode: Mode::AutoVe,
        ..license(version)
    };
    let first = autove("01.00000001.002.044", 1);
    let standing = Ok(());
    let site = Site { installed: &[&first], seen_version: None, standing: &standing };
    let error = check(&autove("01.00000001.002.045", 1), &site).unwrap_err();
    let words = "remove 01.00000001.002.044 first, and its hosts go over to 01.00000001.002.045";
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.reason(), None);
    let newer = check(&autove("01.00000001.002.044", 2), &site);
    assert_eq!(newer, Ok(Step::Update { from_version: 1 }));
}
