//! Records whose listings wait for their turn. There can be as many as records, so they are kept small. Pure: knows no
//! HTTP, no clock and no protocol.

use crate::gid::Gid;
use crate::plan::StreamId;
use crate::read::slices::SliceId;

/// What has to be asked before a job is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    Due,
    Done,
}

/// The listings below one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The record's stream.
    pub stream: StreamId,
    pub parent: Gid,
    pub workspace: Gid,
    /// The slice that it belongs to; `None` where the record is a slice of its own.
    pub slice: Option<SliceId>,
    /// Which of the stream's child listings: a bit for each, by its place in `PlannedStream::children`.
    pub children: u32,
    pub preparation: Preparation,
}

/// A stack of jobs.
#[derive(Debug, Default)]
pub struct Jobs {
    groups: Vec<Group>,
}

/// Jobs that came one after the other and differ in nothing but their records, as those of a listing do.
#[derive(Debug)]
struct Group {
    stream: StreamId,
    workspace: Gid,
    slice: Option<SliceId>,
    preparation: Preparation,
    /// Parent and children of each.
    records: Vec<(Gid, u32)>,
}

impl Jobs {
    pub fn push(&mut self, job: Job) {
        let Job { stream, parent, workspace, slice, children, preparation } = job;
        let record = (parent, children);
        let last = self.groups.last_mut().filter(|group| {
            (group.stream, &group.workspace, group.slice, group.preparation)
                == (stream, &workspace, slice, preparation)
        });
        match last {
            Some(group) => group.records.push(record),
            None => {
                self.groups.push(Group { stream, workspace, slice, preparation, records: vec![record] });
            }
        }
    }

    /// The job that was pushed last.
    pub fn pop(&mut self) -> Option<Job> {
        let group = self.groups.last_mut()?;
        let (parent, children) = group.records.pop()?;
        let Group { stream, slice, preparation, .. } = *group;
        let workspace = group.workspace.clone();
        if group.records.is_empty() {
            self.groups.pop();
        }
        Some(Job { stream, parent, workspace, slice, children, preparation })
    }

    /// Puts the jobs of `others` on top of these, so that they are popped in the order in which they were pushed there.
    pub fn push_in_order(&mut self, others: Self) {
        self.groups.extend(others.groups.into_iter().rev().map(|mut group| {
            group.records.reverse();
            group.records.shrink_to_fit();
            group
        }));
    }

    /// The records, in the order in which they were pushed.
    pub fn parents(&self) -> impl Iterator<Item = &Gid> {
        self.groups.iter().flat_map(|group| group.records.iter().map(|(parent, _)| parent))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job() -> impl Strategy<Value = Job> {
        let preparation = prop_oneof![Just(Preparation::Due), Just(Preparation::Done)];
        (0..2_usize, 0..99_u64, 0..2_u64, 0..4_u32, preparation).prop_map(
            |(stream, parent, workspace, children, preparation)| Job {
                stream: StreamId(stream),
                parent: Gid::Number(parent),
                workspace: Gid::Number(workspace),
                slice: None,
                children,
                preparation,
            },
        )
    }

    fn jobs() -> impl Strategy<Value = Vec<Job>> {
        proptest::collection::vec(job(), 0..20)
    }

    proptest! {
        #[test]
        fn it_is_a_stack(below in jobs(), others in jobs(), above in jobs()) {
            let mut expected = below.clone();
            expected.extend(others.iter().rev().cloned());
            expected.extend(above.iter().cloned());

            let [mut jobs, mut pushed] = [Jobs::default(), Jobs::default()];
            below.into_iter().for_each(|job| jobs.push(job));
            others.iter().cloned().for_each(|job| pushed.push(job));
            prop_assert!(pushed.parents().eq(others.iter().map(|job| &job.parent)));
            jobs.push_in_order(pushed);
            above.into_iter().for_each(|job| jobs.push(job));

            while let Some(job) = jobs.pop() {
                prop_assert_eq!(Some(job), expected.pop());
            }
            prop_assert!(expected.is_empty());
        }
    }
}
