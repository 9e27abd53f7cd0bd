//! What a person sees at a terminal: a progress bar per phase of the sync, and a table at its end.
//!
//! Nothing is drawn unless stderr is a terminal and stdout is not: protocol messages on the same screen would overwrite
//! the bars.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};

use airbyte_connector::Output;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::sync::report::{Account, Standing, duration, grouped, plural};

/// The phases of a sync, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Everything whose cost does not grow with the number of tasks, and the task listings.
    Listings,
    /// What is read per task.
    PerTask,
}

/// How far a sync is, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub phase: Phase,
    /// Listings of the phase that are done.
    pub done: u64,
    /// Listings of the phase that are known and not done.
    pub left: u64,
    pub records: u64,
    pub standing: Standing,
}

/// Draws on stderr. Without a terminal, it draws nothing.
#[derive(Debug)]
pub struct Terminal {
    screen: Option<MultiProgress>,
    bar: RefCell<Option<(Phase, ProgressBar)>>,
}

impl Terminal {
    pub fn new() -> Self {
        let is_watched = io::stderr().is_terminal() && !Output::stdout_is_terminal();
        let screen = is_watched.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { screen, bar: RefCell::default() }
    }

    /// Whether anything is drawn.
    pub fn is_watched(&self) -> bool {
        self.screen.is_some()
    }

    /// Updates the bar of the view's phase. The first view of a phase finishes the bar of the phase before.
    pub fn draw(&self, view: &View) {
        let Some(screen) = &self.screen else { return };
        let mut current = self.bar.borrow_mut();
        if current.as_ref().is_none_or(|(phase, _)| *phase != view.phase) {
            if let Some((_, bar)) = current.take() {
                bar.finish();
            }
            let bar = screen.add(ProgressBar::new(0));
            bar.set_style(style(view.phase));
            *current = Some((view.phase, bar));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_length(view.done + view.left);
            bar.set_position(view.done);
            bar.set_prefix(headline(view));
            bar.set_message(details(view));
        }
    }

    /// Leaves the bars as they are, and writes the end of the sync below them: a line per stream, and what failed.
    pub fn finish<'a>(
        &self,
        streams: impl IntoIterator<Item = (&'a str, Account)>,
        standing: &Standing,
        failures: &[String],
    ) {
        if !self.is_watched() {
            return;
        }
        if let Some((_, bar)) = self.bar.take() {
            bar.abandon();
        }
        let streams: Vec<_> = streams.into_iter().collect();
        let mut text = table(&streams, standing);
        for failure in failures {
            text.push_str(&format!("\nFailed: {failure}\n"));
        }
        // The exit code and stdout say the same. Where the terminal has gone, nobody reads this.
        drop(write!(io::stderr(), "\n{text}"));
    }
}

fn style(phase: Phase) -> ProgressStyle {
    let template = match phase {
        Phase::Listings => "1 of 2  listings  [{bar:30}] {percent:>3} %  {prefix}\n        {msg}",
        Phase::PerTask => "2 of 2  per task  [{bar:30}] {percent:>3} %  {prefix}\n        {msg}",
    };
    ProgressStyle::with_template(template).expect("the templates are valid").progress_chars("=> ")
}

/// What stands behind the bar: listings, and the time left.
fn headline(view: &View) -> String {
    let all = view.done + view.left;
    let listings = format!("{} of {} {}", grouped(view.done), grouped(all), plural(all, "listing"));
    match view.standing.minutes_left() {
        0 => listings,
        minutes => format!("{listings}, {} {} left", grouped(minutes), plural(minutes, "minute")),
    }
}

/// What stands below the bar: requests, their rate, records, streams, and the wait for the quota, if there is one.
fn details(view: &View) -> String {
    let Standing { requests, streams, streams_done, pause, .. } = view.standing;
    let mut text = format!(
        "{} {}, {:.0} a minute; {} {}; {streams_done} of {streams} {} done",
        grouped(requests),
        plural(requests, "request"),
        view.standing.rate(),
        grouped(view.records),
        plural(view.records, "record"),
        plural(streams as u64, "stream"),
    );
    if pause.as_secs() > 0 {
        text.push_str(&format!("; waiting {} s for Asana's quota", grouped(pause.as_secs())));
    }
    text
}

/// The table at the end.
fn table(streams: &[(&str, Account)], standing: &Standing) -> String {
    let mut rows = vec![["stream", "records", "deleted", "requests", ""].map(str::to_owned)];
    rows.extend(streams.iter().map(|(name, account)| {
        let Account { records, deletions, requests, .. } = account;
        let remark = if account.is_unfinished {
            "INCOMPLETE".to_owned()
        } else if account.skips() > 0 {
            format!("{} {} skipped", grouped(account.skips()), plural(account.skips(), "listing"))
        } else {
            "complete".to_owned()
        };
        [(*name).to_owned(), grouped(*records), grouped(*deletions), grouped(*requests), remark]
    }));
    let sum = |of: fn(&Account) -> u64| grouped(streams.iter().map(|(_, account)| of(account)).sum());
    rows.push([
        "all".to_owned(),
        sum(|account| account.records),
        sum(|account| account.deletions),
        grouped(standing.requests),
        format!("in {}", duration(standing.elapsed)),
    ]);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let [name, records, deleted, requests] = [0, 1, 2, 3].map(width);
    let line = |row: &[String; 5]| {
        let [a, b, c, d, remark] = row;
        let line = format!("{a:<name$}  {b:>records$}  {c:>deleted$}  {d:>requests$}  {remark}");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::asana::Reason;

    #[test]
    fn a_bar_shows_listings_rate_records_time_left_and_the_wait() {
        let view = View {
            phase: Phase::PerTask,
            done: 999,
            left: 3001,
            records: 52_113,
            standing: Standing::EXAMPLE,
        };
        assert_eq!(headline(&view), "999 of 4,000 listings, 40 minutes left");
        assert_eq!(details(&view), "1,204 requests, 75 a minute; 52,113 records; 3 of 10 streams done");
        let waiting = Standing { pause: Duration::from_secs(1800), ..Standing::EXAMPLE };
        let view = View { standing: waiting, ..view };
        assert_eq!(headline(&view), "999 of 4,000 listings, 70 minutes left");
        assert!(details(&view).ends_with("; waiting 1,800 s for Asana's quota"), "{}", details(&view));
    }

    #[test]
    fn the_table_has_a_line_per_stream_and_the_sum() {
        let mut goals = Account { requests: 1, ..Account::default() };
        goals.skip(Reason::PlanTooLow);
        let stories = Account { records: 12, requests: 7, is_unfinished: true, ..Account::default() };
        let tasks = Account { records: 1204, deletions: 4, requests: 31, ..Account::default() };
        assert_eq!(
            table(&[("tasks", tasks), ("goals", goals), ("stories", stories)], &Standing::EXAMPLE),
            "stream   records  deleted  requests\n\
             tasks      1,204        4        31  complete\n\
             goals          0        0         1  1 listing skipped\n\
             stories       12        0         7  INCOMPLETE\n\
             all        1,216        4     1,204  in 16 min 0 s\n"
        );
    }
}
