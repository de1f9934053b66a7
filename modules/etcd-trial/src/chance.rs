//! Random numbers that a seed repeats.

use std::time::Duration;

/// SplitMix64: small, and good enough to pick moments.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence that belongs to the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A moment within so many equal parts of the time, in this part: spread over all of it, and random within.
    pub fn moment(&mut self, whole: Duration, part: u32, parts: u32) -> Duration {
        let width = whole / parts.max(1);
        let thousandths = u32::try_from(self.number() % 1000).unwrap_or_default();
        width * part + width * thousandths / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_moments_and_each_falls_into_its_part() {
        let whole = Duration::from_secs(8);
        let moments = |seed| {
            let mut chance = Chance::new(seed);
            (0..4).map(|part| chance.moment(whole, part, 4)).collect::<Vec<_>>()
        };
        assert_eq!(moments(7), moments(7));
        assert_ne!(moments(7), moments(8));
        for (part, moment) in (0..4).zip(moments(7)) {
            assert!(moment >= Duration::from_secs(2 * part) && moment < Duration::from_secs(2 * part + 2));
        }
    }
}
