//! The delays between two checks of a lock that can only be polled.
//!
//! A pure iterator: it neither sleeps nor reads a clock, so tests cover all of its behaviour
//! without waiting.

use std::time::Duration;

/// Exponential delays with jitter: each delay is drawn from the upper half of an interval, and the
/// interval doubles up to a ceiling.
///
/// By default it starts with shorter delays than argus, which polls every 25 to 225 ms, because
/// most holders release a lock in well under a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first interval. Default: 1 ms.
    pub initial: Duration,
    /// The ceiling of the interval. Default: 100 ms.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(100) }
    }
}

impl Backoff {
    /// An endless iterator of delays. Each call of `random` returns a number from 0 up to 1.
    pub(crate) fn delays(self, mut random: impl FnMut() -> f64) -> impl Iterator<Item = Duration> {
        let mut interval = self.initial.min(self.max);
        std::iter::from_fn(move || {
            let delay = interval.mul_f64(0.5 + 0.5 * random());
            interval = interval.saturating_mul(2).min(self.max);
            Some(delay)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn grows_to_the_ceiling_and_stays_there() {
        let backoff = Backoff { initial: MS, max: 10 * MS };
        let delays: Vec<_> = backoff.delays(|| 1.0).take(6).collect();
        assert_eq!(delays, [MS, 2 * MS, 4 * MS, 8 * MS, 10 * MS, 10 * MS]);
    }

    #[test]
    fn jitter_stays_in_the_upper_half() {
        let backoff = Backoff { initial: 10 * MS, max: 10 * MS };
        assert_eq!(backoff.delays(|| 0.0).next(), Some(5 * MS));
        assert_eq!(backoff.delays(|| 1.0).next(), Some(10 * MS));
    }

    #[test]
    fn a_ceiling_below_the_first_interval_limits_it() {
        let backoff = Backoff { initial: 10 * MS, max: MS };
        assert_eq!(backoff.delays(|| 1.0).next(), Some(MS));
    }
}
