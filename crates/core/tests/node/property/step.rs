//! What may happen.

use proptest::prelude::*;

/// What becomes of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Written,
    Reserved,
    Failed,
}

/// One thing that happens. Small numbers choose among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    OpenLink { host: u8 },
    CloseLink { which: usize, silence_ms: u64 },
    Login { which: usize, emulator: u8, run: u8, size: u8, returns: bool },
    Check { which: usize },
    Logout { which: usize },
    Pong { which: usize, runs: bool },
    Settle { count: usize, fate: Fate },
    AskWhetherSettled,
    Pass { duration_ms: u64 },
    Release { which: u64 },
    Install { what: u8 },
    Machine { cores: u8 },
    SetWallClock { seconds: i64 },
    Restart { down_ms: u64, durable_unheard: usize },
    Reboot { down_ms: u64, wall_error_s: i64 },
    BackUp,
    Restore { lost: bool },
    Drain,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![8 => Just(Fate::Written), 1 => Just(Fate::Reserved), 2 => Just(Fate::Failed)]
}

fn wall_step() -> impl Strategy<Value = i64> {
    prop_oneof![-200_000_i64..200_000, Just(-3_i64)]
}

fn duration() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..3_000,
        3 => 3_000_u64..70_000,
        2 => 70_000_u64..200_000,
        1 => Just(600_000_u64),
    ]
}

pub(crate) fn anything() -> impl Strategy<Value = Step> {
    let login = (0_usize..9, 0_u8..2, 1_u8..4, 0_u8..4, any::<bool>()).prop_map(
        |(which, emulator, run, size, returns)| Step::Login { which, emulator, run, size, returns },
    );
    let down = 0_u64..100_000;
    prop_oneof![
        3 => (1_u8..4).prop_map(|host| Step::OpenLink { host }),
        2 => (0_usize..9, 0_u64..6_000)
            .prop_map(|(which, silence_ms)| Step::CloseLink { which, silence_ms }),
        10 => login,
        2 => (0_usize..9).prop_map(|which| Step::Check { which }),
        2 => (0_usize..9).prop_map(|which| Step::Logout { which }),
        2 => (0_usize..3, any::<bool>()).prop_map(|(which, runs)| Step::Pong { which, runs }),
        9 => (1_usize..5, fate()).prop_map(|(count, fate)| Step::Settle { count, fate }),
        1 => Just(Step::AskWhetherSettled),
        5 => duration().prop_map(|duration_ms| Step::Pass { duration_ms }),
        1 => (0_u64..9).prop_map(|which| Step::Release { which }),
        2 => (0_u8..12).prop_map(|what| Step::Install { what }),
        1 => prop_oneof![3 => Just(4_u8), 1 => Just(8_u8)].prop_map(|cores| Step::Machine { cores }),
        1 => wall_step().prop_map(|seconds| Step::SetWallClock { seconds }),
        2 => (down.clone(), 0_usize..4)
            .prop_map(|(down_ms, durable_unheard)| Step::Restart { down_ms, durable_unheard }),
        1 => (down, prop_oneof![2 => Just(0_i64), 1 => wall_step()])
            .prop_map(|(down_ms, wall_error_s)| Step::Reboot { down_ms, wall_error_s }),
        1 => Just(Step::BackUp),
        1 => prop::bool::weighted(0.2).prop_map(|lost| Step::Restore { lost }),
        1 => prop::bool::weighted(0.2).prop_map(|drain| {
            if drain { Step::Drain } else { Step::Settle { count: 100, fate: Fate::Written } }
        }),
    ]
}
