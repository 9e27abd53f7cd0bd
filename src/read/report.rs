//! What came of each stream: records, requests, what was passed over and why. Pure; knows no HTTP and no
//! protocol.

use std::collections::BTreeMap;

use crate::error::Failure;

/// One stream's account of a sync.
#[derive(Debug, Default)]
pub struct Account {
    /// Records that were emitted, deletions among them.
    pub records: u64,
    pub deletions: u64,
    /// Listings that were read or tried.
    pub listings: u64,
    /// Requests that were sent for them, retries included.
    pub requests: u64,
    /// Listings that Asana refused and that may be passed over, by the reason.
    pub skipped: BTreeMap<String, u64>,
    /// What could not be read, by what went wrong; the stream is incomplete.
    pub failures: Vec<Failure>,
    /// Failures beyond the first few, which are only counted.
    pub further_failures: u64,
}

/// So many failures of one stream are told one by one; Airbyte keeps ten of a sync.
const TOLD: usize = 3;

impl Account {
    pub fn skip(&mut self, reason: String) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    pub fn fail(&mut self, failure: Failure) {
        if self.failures.len() < TOLD {
            self.failures.push(failure);
        } else {
            self.further_failures += 1;
        }
    }

    pub fn is_incomplete(&self) -> bool {
        !self.failures.is_empty()
    }

    pub fn skips(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// One line for a person: `tasks: 1,204 records in 31 requests; 2 listings skipped: …`.
    pub fn line(&self, stream: &str) -> String {
        let mut line = format!(
            "{stream}: {} {} in {} {}",
            grouped(self.records),
            plural(self.records, "record"),
            grouped(self.requests),
            plural(self.requests, "request")
        );
        for (reason, count) in &self.skipped {
            line.push_str(&format!("; {} {} skipped: {reason}", grouped(*count), plural(*count, "listing")));
        }
        let failures = self.failures.len() as u64 + self.further_failures;
        if failures > 0 {
            line.push_str(&format!("; INCOMPLETE, {} {}", grouped(failures), plural(failures, "failure")));
        }
        line
    }
}

/// A number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_reads_as_a_sentence() {
        let mut account = Account { records: 1204, requests: 31, ..Account::default() };
        assert_eq!(account.line("tasks"), "tasks: 1,204 records in 31 requests");
        account.skip("not in this plan".into());
        account.fail(Failure::transient("a"));
        assert_eq!(
            account.line("tasks"),
            "tasks: 1,204 records in 31 requests; 1 listing skipped: not in this plan; INCOMPLETE, 1 failure"
        );
    }

    #[test]
    fn only_the_first_failures_are_told() {
        let mut account = Account::default();
        (0..9).for_each(|_| account.fail(Failure::transient("a")));
        assert_eq!((account.failures.len(), account.further_failures), (3, 6));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
