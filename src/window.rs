//! Which interval of a stream a slice reads: from its cursor, the start date and the mode. Pure: `now` is an argument.

use std::time::Duration;

use crate::moment::Moment;
use crate::plan::Mode;

/// How far a slice's next cursor lies before the time at which the sync began. It covers clocks that differ and
/// changes that Asana shows late: its search index lags by up to a minute.
pub const OVERLAP: Duration = Duration::from_secs(5 * 60);

/// What of a stream a slice has to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Nothing: an earlier attempt at the same pass has read it.
    Done,
    /// Everything.
    Whole,
    /// What has changed at or after this.
    Since(Moment),
}

impl Window {
    /// The window of a slice with that cursor. `start` is the date before which the user wants nothing of the stream.
    pub fn of(mode: Mode, cursor: Option<Moment>, start: Option<Moment>) -> Self {
        match (mode, cursor) {
            (Mode::FullRefresh, Some(_)) => Self::Done,
            (Mode::FullRefresh, None) | (Mode::Incremental, None) => start.map_or(Self::Whole, Self::Since),
            (Mode::Incremental, Some(cursor)) => Self::Since(start.map_or(cursor, |start| start.max(cursor))),
        }
    }

    /// Whether a record with this time belongs to the window; one without a time that can be read does.
    pub fn admits(self, time: Option<Moment>) -> bool {
        match (self, time) {
            (Self::Done, _) => false,
            (Self::Whole, _) | (Self::Since(_), None) => true,
            (Self::Since(since), Some(time)) => time >= since,
        }
    }

    /// Whether everything in the other window is in this one too.
    pub fn holds(self, other: Self) -> bool {
        self.union(other) == self
    }

    /// The window that holds both.
    pub fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Done, window) | (window, Self::Done) => window,
            (Self::Whole, _) | (_, Self::Whole) => Self::Whole,
            (Self::Since(one), Self::Since(another)) => Self::Since(one.min(another)),
        }
    }
}

/// The cursor of a slice that was read to its end by a sync that began at `began`. It is the same for all slices of
/// a sync, so that those that show the same record ask for the same of it the next time.
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
    fn a_full_refresh_that_goes_on_passes_over_what_it_has_read() {
        assert_eq!(Window::of(Mode::FullRefresh, Some(at(1000)), None), Window::Done);
        assert_eq!(Window::of(Mode::FullRefresh, None, None), Window::Whole);
    }

    #[test]
    fn a_shared_listing_reads_as_far_back_as_the_oldest_asks() {
        let (early, late) = (Window::Since(at(1)), Window::Since(at(2)));
        assert_eq!(early.union(late), early);
        assert_eq!(late.union(Window::Whole), Window::Whole);
        assert_eq!(late.union(Window::Done), late);
        assert_eq!(Window::Done.union(Window::Done), Window::Done);
    }

    #[test]
    fn the_bound_itself_is_read_and_so_is_what_has_no_time() {
        assert!(Window::Since(at(2)).admits(Some(at(2))));
        assert!(!Window::Since(at(2)).admits(Some(at(1))));
        assert!(Window::Since(at(2)).admits(None));
        assert!(!Window::Done.admits(None));
    }
}
