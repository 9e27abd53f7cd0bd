//! The time window that a slice reads of a stream, from cursor, start date and sync mode.

use std::time::Duration;

use crate::moment::Moment;
use crate::plan::Mode;

/// How far the next cursor of a slice is before the beginning of the sync. This covers changes that Asana shows late:
/// its search index lags by up to a minute.
pub const OVERLAP: Duration = Duration::from_secs(5 * 60);

/// The part of a stream that a slice reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Nothing: an earlier attempt at the same full refresh has read it.
    Done,
    /// Everything.
    Whole,
    /// Records that changed at or after this time.
    Since(Moment),
}

impl Window {
    /// The window of a slice with this cursor. `start` is the config's start date, if it applies to the stream.
    pub fn of(mode: Mode, cursor: Option<Moment>, start: Option<Moment>) -> Self {
        match (mode, cursor) {
            (Mode::FullRefresh, Some(_)) => Self::Done,
            (Mode::FullRefresh, None) | (Mode::Incremental, None) => start.map_or(Self::Whole, Self::Since),
            (Mode::Incremental, Some(cursor)) => Self::Since(start.map_or(cursor, |start| start.max(cursor))),
        }
    }

    /// Whether a record with this time is in the window. A record without a valid time is.
    pub fn admits(self, time: Option<Moment>) -> bool {
        match (self, time) {
            (Self::Done, _) => false,
            (Self::Whole, _) | (Self::Since(_), None) => true,
            (Self::Since(since), Some(time)) => time >= since,
        }
    }

    /// Whether this window contains the other one.
    pub fn holds(self, other: Self) -> bool {
        self.union(other) == self
    }

    /// The smallest window that contains both.
    pub fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Done, window) | (window, Self::Done) => window,
            (Self::Whole, _) | (_, Self::Whole) => Self::Whole,
            (Self::Since(one), Self::Since(another)) => Self::Since(one.min(another)),
        }
    }
}

/// The cursor of a slice that was read completely by a sync that began at `began`. It is the same for all slices, so
/// that slices with the same record make the same requests for it in the next sync.
pub fn next_cursor(began: Moment) -> Moment {
    began.minus(OVERLAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::from_unix_milliseconds(milliseconds)
    }

    #[test]
    fn a_slice_without_a_cursor_is_read_whole_and_one_with_a_cursor_from_it() {
        let incremental = |cursor, start| Window::of(Mode::Incremental, cursor, start);
        assert_eq!(incremental(None, None), Window::Whole);
        assert_eq!(incremental(Some(at(1000)), None), Window::Since(at(1000)));
        assert_eq!(incremental(Some(at(1000)), Some(at(2000))), Window::Since(at(2000)));
        assert_eq!(incremental(Some(at(1000)), Some(at(500))), Window::Since(at(1000)));
    }

    #[test]
    fn a_resumed_full_refresh_skips_what_it_has_read() {
        assert_eq!(Window::of(Mode::FullRefresh, Some(at(1000)), None), Window::Done);
        assert_eq!(Window::of(Mode::FullRefresh, None, None), Window::Whole);
    }

    #[test]
    fn a_shared_listing_reads_from_the_earliest_time() {
        let (early, late) = (Window::Since(at(1)), Window::Since(at(2)));
        assert_eq!(early.union(late), early);
        assert_eq!(late.union(Window::Whole), Window::Whole);
        assert_eq!(late.union(Window::Done), late);
        assert_eq!(Window::Done.union(Window::Done), Window::Done);
    }

    #[test]
    fn the_bound_is_inclusive_and_records_without_a_time_are_read() {
        assert!(Window::Since(at(2)).admits(Some(at(2))));
        assert!(!Window::Since(at(2)).admits(Some(at(1))));
        assert!(Window::Since(at(2)).admits(None));
        assert!(!Window::Done.admits(None));
    }
}
