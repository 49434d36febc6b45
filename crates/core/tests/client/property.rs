//! Whatever happens, in whatever order: the rules hold, and the same story has the same end.

use proptest::{collection::vec, prelude::*};
use ve_core::{
    client::io::Settings,
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::world::{Act, World};

/// Durations from nothing to hours, each scale as likely as the others.
fn durations() -> impl Strategy<Value = u64> {
    prop_oneof![0..SECOND_MS, 0..MINUTE_MS, 0..HOUR_MS, 0..5 * HOUR_MS]
}

fn granted() -> impl Strategy<Value = Act> {
    (1_u8..4, durations(), durations()).prop_map(|(session, grace_ms, check_interval_ms)| {
        Act::Granted { session, grace_ms, check_interval_ms }
    })
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Connected),
        8 => granted(),
        6 => durations().prop_map(Act::Pass),
        2 => durations().prop_map(Act::Sleep),
        3 => Just(Act::LinkLost),
        2 => Just(Act::Unreachable),
        1 => Just(Act::Unverified),
        2 => Just(Act::Refused),
        2 => Just(Act::Revoked),
        1 => Just(Act::LoggedOut),
        1 => Just(Act::LateGrant),
    ]
}

/// The same, with ends: rarer, or no story would become long.
fn acts_with_ends() -> impl Strategy<Value = Act> {
    prop_oneof![
        30 => acts(),
        1 => Just(Act::GuestEnded),
        1 => Just(Act::GuestFailed),
        2 => Just(Act::StopRequested),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    (1_usize..3, durations(), durations(), durations(), any::<u64>()).prop_map(
        |(servers, start_wait_ms, shutdown_lead_ms, shutdown_timeout_ms, seed)| Settings {
            servers,
            start_wait_ms,
            shutdown_lead_ms,
            shutdown_timeout_ms,
            seed,
        },
    )
}

fn play(settings: &Settings, acts: &[Act]) -> World {
    let mut world = World::new(settings);
    for act in acts {
        world.act(*act);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(
        settings in settings(),
        acts in vec(acts_with_ends(), 1..200),
    ) {
        let once = play(&settings, &acts);
        let again = play(&settings, &acts);
        prop_assert_eq!(once.effects, again.effects);
    }

    #[test]
    fn when_all_is_well_again_a_guest_that_lives_is_licensed(
        settings in settings(),
        acts in vec(acts(), 1..100),
    ) {
        let mut world = play(&settings, &acts);
        let may_live = !world.is_over() && !world.is_ending();
        world.heal(3 * MINUTE_MS);
        if may_live {
            prop_assert!(world.is_well() || world.is_ending());
        }
    }

    #[test]
    fn when_the_guest_and_the_operator_want_the_end_it_comes(
        settings in settings(),
        acts in vec(acts(), 1..100),
    ) {
        let mut world = play(&settings, &acts);
        world.act(Act::StopRequested);
        world.act(Act::Pass(6 * HOUR_MS));
        world.act(Act::GuestEnded);
        world.act(Act::Pass(10 * SECOND_MS));
        prop_assert!(world.is_over());
    }
}
