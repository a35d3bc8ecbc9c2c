//! `Date`.

use core::fmt;

use super::{Header, scan::Scan};
use crate::{Name, ValueError};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `Date`: a point in time in GMT, the only zone allowed (RFC 3261 §20.17).
///
/// ```
/// use sip_core::header::{Date, Header};
///
/// let date = Date::parse(b"Sat, 13 Nov 2010 23:29:00 GMT")?;
/// assert_eq!(date.unix(), 1_289_690_940);
/// assert_eq!(Date::from_unix(date.unix()), Some(date));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Date {
    /// Seconds since 0000-03-01 00:00:00, so that leap days end a year.
    seconds: u64,
}

/// From 0000-03-01 to 1970-01-01.
const EPOCH: u64 = 719_468 * DAY;
const DAY: u64 = 86_400;
/// From 0000-03-01 to 10000-01-01, the first date that four digits cannot hold.
const END: u64 = 3_652_365 * DAY;

impl Date {
    /// The date this many seconds after 1970-01-01 00:00:00 GMT; `None` before the year 0 or after
    /// the year 9999.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        let seconds = u64::try_from(seconds.checked_add(EPOCH as i64)?).ok()?;
        (seconds < END).then_some(Self { seconds })
    }

    /// Seconds since 1970-01-01 00:00:00 GMT, negative before.
    pub fn unix(&self) -> i64 {
        // Both are below END, far inside of i64.
        self.seconds as i64 - EPOCH as i64
    }

    /// Year, month (1 to 12), day (1 to 31).
    pub fn year_month_day(&self) -> (u16, u8, u8) {
        // The calendar repeats every 400 years of 146,097 days.
        let days = self.seconds / DAY;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, carry) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        ((era * 400 + year + carry) as u16, month as u8, day as u8)
    }

    /// Hour, minute, second.
    pub fn hour_minute_second(&self) -> (u8, u8, u8) {
        let second = self.seconds % DAY;
        (
            (second / 3_600) as u8,
            (second / 60 % 60) as u8,
            (second % 60) as u8,
        )
    }

    fn weekday(&self) -> &'static str {
        // 0000-03-01 was a Wednesday.
        DAYS[((self.seconds / DAY + 2) % 7) as usize]
    }
}

impl<'a> Header<'a> for Date {
    const NAME: Name = Name::Date;

    /// The weekday must be one, but need not fit the date.
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        choice(&mut scan, &DAYS, "a weekday")?;
        punctuation(&mut scan, b',', "a comma")?;
        scan.gap()?;
        let offset = scan.at();
        let day = digits(&mut scan, 2)?;
        scan.gap()?;
        let month = choice(&mut scan, &MONTHS, "a month")? as u64;
        scan.gap()?;
        let year = digits(&mut scan, 4)?;
        scan.gap()?;
        let hour = digits(&mut scan, 2)?;
        punctuation(&mut scan, b':', "a colon")?;
        let minute = digits(&mut scan, 2)?;
        punctuation(&mut scan, b':', "a colon")?;
        let second = digits(&mut scan, 2)?;
        scan.gap()?;
        choice(&mut scan, &["GMT"], "GMT")?;
        scan.end()?;

        let out_of_range = ValueError::OutOfRange {
            what: "the date",
            offset,
        };
        if day == 0 || hour > 23 || minute > 59 || second > 59 {
            return Err(out_of_range);
        }
        // Years begin with March; month is 0 for January here. The year 0 ends in February.
        let (year, month) = if month < 2 {
            (year.checked_sub(1), month + 10)
        } else {
            (Some(year), month - 2)
        };
        let year = year.ok_or(out_of_range)?;
        let days =
            365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
        let date = Self {
            seconds: days * DAY + hour * 3_600 + minute * 60 + second,
        };
        // A 31 April would have become a 1 May.
        if u64::from(date.year_month_day().2) != day {
            return Err(out_of_range);
        }
        Ok(date)
    }
}

fn punctuation(scan: &mut Scan<'_>, byte: u8, expected: &'static str) -> Result<(), ValueError> {
    if scan.eat(byte) {
        Ok(())
    } else {
        Err(scan.unexpected(expected))
    }
}

fn digits(scan: &mut Scan<'_>, count: usize) -> Result<u64, ValueError> {
    (0..count).try_fold(0, |sum, _| match scan.peek() {
        Some(digit) if digit.is_ascii_digit() => {
            scan.go(scan.at() + 1);
            Ok(sum * 10 + u64::from(digit - b'0'))
        }
        _ => Err(scan.unexpected("a digit")),
    })
}

/// Names in dates are case-sensitive (RFC 3261 §20.17).
fn choice(
    scan: &mut Scan<'_>,
    names: &[&str],
    expected: &'static str,
) -> Result<usize, ValueError> {
    let rest = scan.rest();
    let found = names
        .iter()
        .position(|name| rest.starts_with(name.as_bytes()));
    let found = found.ok_or_else(|| scan.unexpected(expected))?;
    scan.go(scan.at() + 3);
    Ok(found)
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.year_month_day();
        let (hour, minute, second) = self.hour_minute_second();
        let weekday = self.weekday();
        let month = MONTHS[usize::from(month - 1)];
        write!(
            f,
            "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
        )
    }
}
