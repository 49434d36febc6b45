//! What may happen.

use proptest::prelude::*;

/// One thing that happens. Small numbers choose among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    OpenLink { host: u8 },
    CloseLink { which: usize, silence_ms: u64 },
    Login { which: usize, emulator: u8, run: u8, size: u8, returns: bool },
    Check { which: usize },
    Logout { which: usize },
    Pong { which: usize, runs: bool },
    Settle { count: usize, succeed: bool },
    Pass { duration_ms: u64 },
    Release { which: u64 },
    Install { what: u8 },
    Machine { cores: u8 },
    SetWallClock { seconds: i64 },
    Restart { down_ms: u64, durable_unheard: usize },
    Drain,
}

pub(crate) fn anything() -> impl Strategy<Value = Step> {
    let duration = prop_oneof![
        4 => 0_u64..3_000,
        3 => 3_000_u64..70_000,
        2 => 70_000_u64..200_000,
        1 => Just(600_000_u64),
    ];
    let login = (0_usize..9, 0_u8..2, 1_u8..4, 0_u8..4, any::<bool>()).prop_map(
        |(which, emulator, run, size, returns)| Step::Login { which, emulator, run, size, returns },
    );
    prop_oneof![
        3 => (1_u8..4).prop_map(|host| Step::OpenLink { host }),
        2 => (0_usize..9, 0_u64..6_000)
            .prop_map(|(which, silence_ms)| Step::CloseLink { which, silence_ms }),
        10 => login,
        1 => (0_usize..9).prop_map(|which| Step::Check { which }),
        2 => (0_usize..9).prop_map(|which| Step::Logout { which }),
        2 => (0_usize..3, any::<bool>()).prop_map(|(which, runs)| Step::Pong { which, runs }),
        9 => (1_usize..5, prop::bool::weighted(0.8))
            .prop_map(|(count, succeed)| Step::Settle { count, succeed }),
        5 => duration.prop_map(|duration_ms| Step::Pass { duration_ms }),
        1 => (0_u64..9).prop_map(|which| Step::Release { which }),
        2 => (0_u8..10).prop_map(|what| Step::Install { what }),
        1 => prop_oneof![3 => Just(4_u8), 1 => Just(8_u8)].prop_map(|cores| Step::Machine { cores }),
        1 => prop_oneof![-200_000_i64..200_000, Just(-3_i64)]
            .prop_map(|seconds| Step::SetWallClock { seconds }),
        2 => (0_u64..100_000, 0_usize..4)
            .prop_map(|(down_ms, durable_unheard)| Step::Restart { down_ms, durable_unheard }),
        1 => prop::bool::weighted(0.2).prop_map(|drain| {
            if drain { Step::Drain } else { Step::Settle { count: 100, succeed: true } }
        }),
    ]
}
