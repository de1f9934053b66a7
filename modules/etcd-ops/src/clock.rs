use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::time::{SystemTime, UNIX_EPOCH};

/// The second that it is. A clock that was never set, and runs before 1970, says 1970.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).ok().and_then(|second| Timestamp::from_second(second).ok()).unwrap_or(Timestamp::MAX)
}

/// The time as names of files hold it: `20261121T010447Z`.
#[must_use]
pub fn compact(time: Timestamp) -> String {
    let at = Offset::UTC.to_datetime(time);
    let (date, hour) = ((at.year(), at.month(), at.day()), (at.hour(), at.minute(), at.second()));
    format!("{:04}{:02}{:02}T{:02}{:02}{:02}Z", date.0, date.1, date.2, hour.0, hour.1, hour.2)
}

/// The time that [`compact`] wrote.
#[must_use]
pub fn read_compact(text: &str) -> Option<Timestamp> {
    read(text, "00000000T000000Z")
}

/// The time in a text like `2026-11-21 01:04:47`: year, month, day, hour, minute and second, with a digit wherever the
/// pattern has a zero, and everything else as the pattern has it.
#[must_use]
pub fn read(text: &str, pattern: &str) -> Option<Timestamp> {
    let fits = |(is, wanted): (u8, u8)| if wanted == b'0' { is.is_ascii_digit() } else { is == wanted };
    if text.len() != pattern.len() || !text.bytes().zip(pattern.bytes()).all(fits) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let part = |from, to| digits.get(from..to)?.parse::<i8>().ok();
    let year = digits.get(..4)?.parse().ok()?;
    let (month, day) = (part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let at = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Offset::UTC.to_timestamp(at).ok()
}

#[cfg(test)]
mod tests {
    use super::{compact, now, read, read_compact};
    use jiff::Timestamp;
    use proptest::prelude::*;
    use test_case::test_case;

    proptest! {
        #[test]
        fn what_is_written_is_read(second in 0..=Timestamp::MAX.as_second()) {
            let time = Timestamp::from_second(second).unwrap();
            prop_assert_eq!(compact(time), time.strftime("%Y%m%dT%H%M%SZ").to_string());
            prop_assert_eq!(read_compact(&compact(time)), Some(time));
            let apart = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
            prop_assert_eq!(read(&apart, "0000-00-00 00:00:00"), Some(time));
        }
    }

    #[test_case("20261121T010447"; "cut short")]
    #[test_case("20261121T010447ZZ"; "longer")]
    #[test_case("20261121t010447Z"; "otherwise")]
    #[test_case("2026112éT01044Z"; "letters")]
    #[test_case("20260230T010447Z"; "no such day")]
    #[test_case("20261121T250447Z"; "no such hour")]
    #[test_case("20261121T-10447Z"; "a sign")]
    fn nothing_else_is_a_time(text: &str) {
        assert_eq!(read_compact(text), None);
    }

    #[test]
    fn now_is_a_whole_second() {
        let before = Timestamp::now().as_second();
        let now = now();
        assert_eq!(now.subsec_nanosecond(), 0);
        assert!((before..=Timestamp::now().as_second()).contains(&now.as_second()));
    }
}
