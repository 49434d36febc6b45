//! Whatever happens, in whatever order: the rules hold, and the same story has the same end.

use proptest::{collection::vec, prelude::*};
use ve_core::{
    client::io::{Effect, Settings, Told},
    reason::ReasonCode,
    time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::story::license;
use crate::world::{Act, Said, Terms, World};

/// How long the client may take, once all is well, to be licensed: the longest pause between two
/// rounds, a seat that goes back first, and a few answers.
const LICENSED_WITHIN_MS: u64 = 65 * SECOND_MS;

/// Durations from nothing to hours, each scale as likely as the others.
fn durations() -> impl Strategy<Value = u64> {
    prop_oneof![0..SECOND_MS, 0..MINUTE_MS, 0..HOUR_MS, 0..5 * HOUR_MS]
}

fn terms() -> impl Strategy<Value = Terms> {
    (durations(), durations(), any::<bool>(), homes()).prop_map(
        |(grace_ms, check_interval_ms, knows_session, home)| Terms {
            grace_ms,
            check_interval_ms,
            knows_session,
            home,
        },
    )
}

/// The license that a host is at home with: none in general mode, a server's, or that of a server
/// which is not configured.
fn homes() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![3 => Just(None), 2 => Just(Some(0)), 3 => Just(Some(1)), 1 => Just(Some(9))]
}

/// The same acts, but every grant says the same of the home.
fn at_home_with(home: Option<u8>, acts: Vec<Act>) -> Vec<Act> {
    let at_home = |terms: Terms| Terms { home, ..terms };
    let acts = acts.into_iter().map(|act| match act {
        Act::Well(server, terms) => Act::Well(server, at_home(terms)),
        Act::Says(server, Said::Granted(terms)) => Act::Says(server, Said::Granted(at_home(terms))),
        Act::SaysLate(server, Said::Granted(terms)) => {
            Act::SaysLate(server, Said::Granted(at_home(terms)))
        }
        other => other,
    });
    acts.collect()
}

fn codes() -> impl Strategy<Value = ReasonCode> {
    prop_oneof![
        Just(ReasonCode::InstanceLimit),
        Just(ReasonCode::HoursExhausted),
        Just(ReasonCode::ServerBusy),
        Just(ReasonCode::ServerDraining),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        2 => Just(Said::Connected),
        4 => Just(Said::Unreachable),
        1 => Just(Said::Unverified),
        1 => Just(Said::OtherProtocol),
        4 => Just(Said::LinkLost(0)),
        1 => durations().prop_map(Said::LinkLost),
        1 => terms().prop_map(Said::Granted),
        4 => codes().prop_map(Said::Refused),
        4 => codes().prop_map(Said::Revoked),
        3 => Just(Said::Closing),
        1 => Just(Said::LoggedOut),
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    // A third server is seldom configured.
    let server = || prop_oneof![6 => Just(0_usize), 6 => Just(1_usize), 1 => Just(2_usize)];
    prop_oneof![
        16 => (server(), terms()).prop_map(|(server, terms)| Act::Well(server, terms)),
        8 => (server(), said()).prop_map(|(server, said)| Act::Says(server, said)),
        1 => (server(), said()).prop_map(|(server, said)| Act::SaysLate(server, said)),
        6 => durations().prop_map(Act::Pass),
        // Long enough for a head start, too short for most other things.
        4 => (0..600_u64).prop_map(Act::Pass),
        2 => durations().prop_map(Act::Sleep),
        1 => (-400_i64..400).prop_map(|days| Act::SetClock(days * (DAY_MS / SECOND_MS).cast_signed())),
    ]
}

/// The same, with ends: rarer, or no story would become long.
fn acts_with_ends() -> impl Strategy<Value = Act> {
    prop_oneof![
        40 => acts(),
        1 => Just(Act::GuestEnded),
        1 => Just(Act::GuestFailed),
        2 => Just(Act::StopRequested),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let servers = prop_oneof![2 => Just(1_usize), 6 => Just(2_usize), 1 => Just(3_usize)];
    let probes = 10 * SECOND_MS..5 * MINUTE_MS;
    (servers, homes(), durations(), durations(), durations(), probes, any::<u64>()).prop_map(
        |(
            servers,
            home,
            start_wait_ms,
            shutdown_lead_ms,
            shutdown_timeout_ms,
            primary_probe_ms,
            seed,
        )| {
            Settings {
                servers,
                home: home.map(license),
                start_wait_ms,
                shutdown_lead_ms,
                shutdown_timeout_ms,
                primary_probe_ms,
                seed,
            }
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
    fn when_all_is_well_again_a_guest_that_lives_is_licensed_and_goes_home(
        settings in settings(),
        home in homes(),
        acts in vec(acts(), 1..100),
    ) {
        // Which one of more than two is the home shows only to who happens to ask it.
        let home = home.filter(|_| settings.servers < 3);
        let mut world = play(&settings, &at_home_with(home, acts));
        // Two probes and what they are spread by.
        let back_within_ms = LICENSED_WITHIN_MS + 2 * (settings.primary_probe_ms * 11 / 10 + SECOND_MS);
        let healed = world.heal(back_within_ms + MINUTE_MS, home);
        if world.oracle.goes_on() {
            prop_assert!(healed.licensed_ms.is_some_and(|ms| ms <= LICENSED_WITHIN_MS), "{healed:?}");
            prop_assert!(healed.at_home_ms.is_some_and(|ms| ms <= back_within_ms), "{healed:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

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
        prop_assert!(world.oracle.over);
    }

    #[test]
    fn wherever_the_wall_clock_jumps_only_what_is_told_of_the_time_changes(
        settings in settings(),
        acts in vec(acts_with_ends(), 1..100),
    ) {
        let calm: Vec<Act> =
            acts.iter().copied().filter(|act| !matches!(act, Act::SetClock(_))).collect();
        let without_wall = |world: World| -> Vec<_> {
            let told = |effect: &Effect| matches!(effect, Effect::Tell(Told::Restored { .. }));
            world.effects.into_iter().filter(|(_, effect)| !told(effect)).collect()
        };
        prop_assert_eq!(without_wall(play(&settings, &acts)), without_wall(play(&settings, &calm)));
    }
}
