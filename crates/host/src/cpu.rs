//! How many CPU cores the machine has: not how many this process may use, nor how many are online.

use ve_core::fingerprint::{Component, Reading};

use crate::{Sources, known};

/// The highest CPU number that is believed; Linux itself ends at 8191.
const MAX_CPU_NUMBER: u32 = 65_535;

/// The count of cores. A machine always has some, so this is never absent.
pub(crate) fn read(sources: &Sources) -> Reading {
    match present(sources).or_else(|| listed(sources)) {
        Some(count) => known(Component::CpuCores, &count.to_string()),
        None => Reading::Unreadable(
            "The number of CPU cores is not known: neither /sys/devices/system/cpu/present nor \
             /proc/cpuinfo tells it."
                .to_string(),
        ),
    }
}

/// The kernel's own list of the cores that are there, switched on or not.
fn present(sources: &Sources) -> Option<u32> {
    count_in_ranges(&sources.hint("sys/devices/system/cpu/present")?)
}

/// Counts a list such as `0-3,8`; `None` when it is none, or not in ascending order.
fn count_in_ranges(ranges: &str) -> Option<u32> {
    let mut count = 0;
    let mut next_free = 0;
    for range in ranges.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first < next_free || last < first || last > MAX_CPU_NUMBER {
            return None;
        }
        count += last - first + 1;
        next_free = last + 1;
    }
    Some(count)
}

/// The processors that `/proc/cpuinfo` lists: `processor : 0`, on s390x `processor 0: …`.
fn listed(sources: &Sources) -> Option<u32> {
    let text = sources.long_text("proc/cpuinfo").ok().flatten()?;
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let count = lines.filter(|(key, _)| key.split_whitespace().next() == Some("processor")).count();
    u32::try_from(count).ok().filter(|&count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_counted_and_nonsense_is_refused() {
        for (ranges, expected) in [
            ("0", Some(1)),
            ("0-3", Some(4)),
            ("0-3,8", Some(5)),
            ("0-1,4-5,65535", Some(5)),
            ("", None),
            ("3-0", None),
            ("0-3,2", None),
            ("0-", None),
            ("-1", None),
            ("0-4294967295", None),
            ("0-99999999999999999999", None),
            ("many", None),
        ] {
            assert_eq!(count_in_ranges(ranges), expected, "{ranges:?}");
        }
    }
}
