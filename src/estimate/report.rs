//! An estimate as text for a person, and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::asana::Limits;
use crate::sync::report::{duration, grouped, plural};

/// More seconds than any sync takes, and no more than a [`Duration`] holds.
const LONGEST_SECONDS: f64 = 1e12;

/// What a sync will take.
#[derive(Debug)]
pub struct Estimate {
    pub lines: Vec<Line>,
    /// How many of the requests are searches, which have a quota of their own.
    pub searches: f64,
    /// The stream that takes most, and what the others take.
    pub without: Option<(&'static str, f64)>,
    limits: Limits,
    sent: usize,
    is_incremental: bool,
}

/// What one stream takes, or what is requested for several.
#[derive(Debug)]
pub struct Line {
    pub name: &'static str,
    pub requests: f64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Selected,
    /// Others need it.
    Needed,
    NoStream,
}

impl Line {
    pub fn of_stream(name: &'static str, requests: f64, is_selected: bool) -> Self {
        Self { name, requests, kind: if is_selected { Kind::Selected } else { Kind::Needed } }
    }

    pub fn other(name: &'static str, requests: f64) -> Self {
        Self { name, requests, kind: Kind::NoStream }
    }
}

impl Estimate {
    /// `sent` is how many requests the estimate itself took.
    pub fn new(limits: Limits, sent: usize, is_incremental: bool) -> Self {
        Self { lines: Vec::new(), searches: 0.0, without: None, limits, sent, is_incremental }
    }

    pub fn add(&mut self, line: Line) {
        if line.requests > 0.0 {
            self.lines.push(line);
        }
    }

    pub fn requests(&self) -> f64 {
        self.lines.iter().map(|line| line.requests).sum()
    }

    /// The selected stream that takes most requests.
    pub fn dominant(&self) -> Option<&'static str> {
        let selected = self.lines.iter().filter(|line| line.kind == Kind::Selected);
        selected.max_by(|one, other| one.requests.total_cmp(&other.requests)).map(|line| line.name)
    }

    fn per_minute(&self) -> f64 {
        f64::from(self.limits.ceiling_per_minute)
    }

    /// How long the whole sync takes at the configured pace.
    fn minutes(&self) -> f64 {
        let searches = self.searches / f64::from(self.limits.search_per_minute);
        (self.requests() / self.per_minute()).max(searches)
    }

    /// What the estimate takes for granted.
    fn assumptions(&self) -> Vec<&'static str> {
        let mut assumptions = vec![
            "Listings that the estimate does not read fit on one page.",
            "Asana answers every request the first time.",
        ];
        if self.is_incremental {
            assumptions.extend([
                "Nothing was deleted; each deletion that no event reports takes a request.",
                "No project has more than a hundred events.",
                "What has changed until now is what will have changed when the sync begins.",
            ]);
        }
        assumptions
    }

    /// One JSON object on one line.
    pub fn to_json(&self) -> Value {
        let whole = |number: f64| number.round() as u64;
        let minutes = |requests: f64| (requests / self.per_minute() * 100.0).round() / 100.0;
        let lines = |kinds: &[Kind]| -> Vec<Value> {
            let lines = self.lines.iter().filter(|line| kinds.contains(&line.kind));
            let line = |line: &Line| {
                json!({
                    "name": line.name,
                    "requests": whole(line.requests),
                    "minutes": minutes(line.requests),
                    "is_selected": line.kind == Kind::Selected,
                })
            };
            lines.map(line).collect()
        };
        let dominant = self.without.map(|(stream, requests)| {
            json!({"stream": stream, "without": {"requests": whole(requests), "minutes": minutes(requests)}})
        });
        json!({
            "requests": whole(self.requests()),
            "minutes": (self.minutes() * 100.0).round() / 100.0,
            "requests_per_minute": self.limits.ceiling_per_minute,
            "streams": lines(&[Kind::Selected, Kind::Needed]),
            "others": lines(&[Kind::NoStream]),
            "dominant": dominant,
            "requests_sent": self.sent,
            "assumptions": self.assumptions(),
        })
    }

    /// Some lines of text.
    pub fn to_text(&self) -> String {
        let all = self.requests();
        let whole = |number: f64| number.round() as u64;
        let mut text = format!(
            "The sync takes about {} {}: {} at {} a minute.\n\n",
            grouped(whole(all)),
            plural(whole(all), "request"),
            duration(minutes(self.minutes())),
            grouped(u64::from(self.limits.ceiling_per_minute)),
        );
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        lines.sort_by(|one, other| other.requests.total_cmp(&one.requests));
        let mut rows = vec![["stream", "requests", "share", "time", ""].map(str::to_owned)];
        rows.extend(lines.into_iter().map(|line| {
            let remark = match line.kind {
                Kind::Selected => "",
                Kind::Needed => "not selected, needed by others",
                Kind::NoStream => "to find what was deleted",
            };
            [
                line.name.to_owned(),
                grouped(whole(line.requests)),
                format!("{:.0} %", 100.0 * line.requests / all),
                duration(minutes(line.requests / self.per_minute())),
                remark.to_owned(),
            ]
        }));
        let width =
            |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let [a, b, c, d] = [0, 1, 2, 3].map(width);
        for [name, requests, share, time, remark] in &rows {
            let line = format!("{name:<a$}  {requests:>b$}  {share:>c$}  {time:>d$}  {remark}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        if let Some((stream, requests)) = self.without {
            text.push_str(&format!(
                "\nMost of it is for {stream}: without that stream, the sync takes {} {} and {}.\n",
                grouped(whole(requests)),
                plural(whole(requests), "request"),
                duration(minutes(requests / self.per_minute())),
            ));
        }
        text.push_str(&format!(
            "\nFound out by {} {}. Assumptions:\n",
            grouped(self.sent as u64),
            plural(self.sent as u64, "request")
        ));
        for assumption in self.assumptions() {
            text.push_str(&format!("- {assumption}\n"));
        }
        text
    }
}

fn minutes(minutes: f64) -> Duration {
    Duration::from_secs_f64((minutes * 60.0).clamp(0.0, LONGEST_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate() -> Estimate {
        let mut estimate = Estimate::new(Limits::fixed(75), 131, true);
        estimate.add(Line::of_stream("projects", 2.2, false));
        estimate.add(Line::of_stream("tags", 0.0, true));
        estimate.add(Line::of_stream("stories", 14_854.3, true));
        estimate.add(Line::other("deletion events", 78.0));
        estimate.without = Some(("stories", 80.2));
        estimate
    }

    #[test]
    fn a_person_reads_the_sum_the_streams_and_what_dominates() {
        let text = estimate().to_text();
        let start = "The sync takes about 14,935 requests: 3 h 19 min at 75 a minute.\n\n\
                     stream           requests  share        time\n\
                     stories            14,854   99 %  3 h 18 min\n\
                     deletion events        78    1 %   1 min 2 s  to find what was deleted\n\
                     projects                2    0 %         1 s  not selected, needed by others\n\n\
                     Most of it is for stories: without that stream, the sync takes 80 requests and 1 min 4 s.\n\n\
                     Found out by 131 requests. Assumptions:\n- ";
        assert!(text.starts_with(start), "{text}");
    }

    #[test]
    fn searches_have_a_pace_of_their_own() {
        let mut estimate = estimate();
        estimate.searches = 14_000.0;
        assert_eq!(estimate.to_json()["minutes"], json!(254.55), "55 a minute");
        assert_eq!(estimate.to_json()["dominant"]["without"]["requests"], 80);
    }
}
