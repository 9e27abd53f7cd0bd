//! Once a day, and after every gap in the events: which stored records do not exist any more? Whatever streams are
//! selected, deletions are found in the same way, at the end of the sync:
//!
//! 1. Whatever this sync has listed exists.
//! 2. The rest is listed by gids alone: the tasks of each project, and by search the subtasks and the tasks of no project.
//! 3. What no listing shows is asked for one by one. Only "not found" is a deletion.
//!
//! If a record is deleted, what is on it is deleted too. A record is out of sight if it exists or is forbidden, but no
//! listing shows it. Some of these are asked for again each time (`out_of_sight.rs`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::asana::Request;
use crate::gid::Gid;
use crate::listed::ELSEWHERE;
use crate::slice_key::SliceKey;
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::context::Sync;
use crate::sync::cursors;
use crate::sync::deletions::existence::{self, Existence};
use crate::sync::deletions::inventory::{FIRST, list};
use crate::sync::deletions::out_of_sight;
use crate::sync::deletions::tombstones;
use crate::sync::deletions::tree::{Tree, note, trees};
use crate::sync::deletions::unseen::Role;
use crate::sync::failures::Stop;
use crate::sync::requests;

/// What was asked for.
#[derive(Debug, Default)]
struct Answers {
    deleted: BTreeSet<u64>,
    forbidden: BTreeSet<u64>,
    there: BTreeSet<u64>,
    is_unknown: bool,
}

/// Holds the streams that have stored records open until [`run`] has settled them.
pub fn hold(sync: &Sync<'_>) {
    let held = sync.deleted.borrow().unseen.streams();
    sync.progress().open(held);
    for id in tombstones::reporting(sync).without(held).iter() {
        // Nothing is stored yet, so nothing has to be compared before tomorrow.
        sync.progress().stream(id).state.set_compared(Some(sync.facts.began()));
    }
}

/// Reports which stored records do not exist any more, and settles the streams that have stored records.
///
/// # Errors
///
/// When an answer shows that nothing else can be read either.
pub async fn run(sync: &Sync<'_>) -> Result<(), Stop> {
    let held = sync.deleted.borrow().unseen.streams();
    let mut due: StreamSet = held.iter().filter(|id| is_due(sync, *id)).collect();
    let mut answers = Answers::default();
    let to_check = sync.deleted.borrow().unseen.to_check();
    let mut is_thorough = compare(sync, due, to_check, &mut answers).await?;
    let has_nodes = sync.deleted.borrow().unseen.roles().iter().any(|(_, role)| *role == Role::Nested);
    if !answers.deleted.is_empty() && !has_nodes && due != held {
        // No due stream knows what was nested below the deleted record. Comparing all streams finds what was on it.
        due = held.iter().filter(|id| !sync.progress().stream(*id).account.is_incomplete()).collect();
        is_thorough = compare(sync, due, BTreeSet::new(), &mut answers).await?;
    }
    settle(sync, held, due, &answers, is_thorough);
    Ok(())
}

/// Compares the stored records of the streams that are due with what exists, and asks for those that must be checked. Returns whether
/// everything was listed.
async fn compare(
    sync: &Sync<'_>,
    due: StreamSet,
    mut to_check: BTreeSet<u64>,
    answers: &mut Answers,
) -> Result<bool, Stop> {
    let existing = ask_for_slices(sync, due, answers).await?;
    let trees = trees(sync);
    let skipped: BTreeSet<u64> = below(sync, &existing).into_iter().chain(out_of_turn(sync, due)).collect();
    let unseen = || -> BTreeSet<u64> {
        let unseen = sync.deleted.borrow().unseen.of(due);
        unseen.difference(&skipped).copied().collect()
    };
    let mut is_thorough = !trees.is_empty();
    for tree in &trees {
        is_thorough &= list(sync, *tree, due, &unseen).await?;
    }
    to_check.append(&mut unseen());
    to_check.retain(|gid| !answers.deleted.contains(gid) && !is_settled(sync, *gid));
    ask_for_records(sync, &trees, to_check, answers).await?;
    Ok(is_thorough)
}

fn is_due(sync: &Sync<'_>, id: StreamId) -> bool {
    let progress = &mut sync.progress();
    let stream = progress.stream(id);
    if stream.account.is_incomplete() {
        return false;
    }
    let slices = sync.slices.borrow();
    let has_disappeared = |object: &Gid| {
        let key = SliceKey::Object(object.clone());
        stream.previous.cursor(&key).is_some() && !slices.is_seen(&key, id)
    };
    out_of_sight::is_due(stream.state.compared(), sync.facts.began())
        || stream.state.objects_with_events().any(has_disappeared)
}

/// Asks for the records above slices that are not listed any more. Returns those that still exist.
async fn ask_for_slices(sync: &Sync<'_>, due: StreamSet, answers: &mut Answers) -> Result<Vec<Gid>, Stop> {
    let mut existing = Vec::new();
    for feed in &sync.plan().feeds {
        let Some(path) = sync.plan().stream(feed.of).stream.deletions.path() else { continue };
        let streams: Vec<StreamId> = feed.streams.iter().map(|planned| planned.stream).collect();
        let mut unlisted = BTreeSet::new();
        for id in streams.iter().copied().filter(|id| due.contains(*id)) {
            let mut progress = sync.progress();
            let objects = progress.stream(id).state.objects_with_events();
            let slices = sync.slices.borrow();
            unlisted.extend(
                objects.filter(|object| !slices.is_seen(&SliceKey::Object((*object).clone()), id)).cloned(),
            );
        }
        let asked =
            ask(sync, unlisted.into_iter().map(|gid| (requests::of_existence(path, &gid), gid)).collect());
        for (gid, existence) in asked.await? {
            match existence {
                Existence::Deleted => streams.iter().for_each(|id| slice_is_deleted(sync, *id, &gid)),
                Existence::Unknown => answers.is_unknown = true,
                Existence::There(_) | Existence::Forbidden => existing.push(gid),
            }
        }
    }
    Ok(existing)
}

/// What is on the deleted record of a slice is deleted with it. Roots and nodes may be elsewhere.
fn slice_is_deleted(sync: &Sync<'_>, id: StreamId, gid: &Gid) {
    let roles = sync.deleted.borrow().unseen.roles();
    match roles.iter().find(|(stream, _)| *stream == id) {
        Some((_, Role::Attached)) => tombstones::emit_below(sync, id, gid, sync.facts.now()),
        Some((_, Role::TopLevel | Role::Nested)) => {
            let mut progress = sync.progress();
            let listed = progress.stream(id).state.listed_mut();
            let held = listed.take(gid);
            listed.add(&ELSEWHERE, held.into_iter().collect());
        }
        None => {}
    }
    sync.progress().stream(id).state.drop_token(&SliceKey::Object(gid.clone()));
}

/// What was listed below records that exist and are not listed: it is as much out of sight as they are.
fn below(sync: &Sync<'_>, existing: &[Gid]) -> BTreeSet<u64> {
    let roles = sync.deleted.borrow().unseen.roles();
    let mut found = BTreeSet::new();
    let mut pending = existing.to_vec();
    while let Some(parent) = pending.pop() {
        for (id, _) in roles.iter().filter(|(_, role)| *role != Role::Attached) {
            let held = sync.progress().stream(*id).state.listed().missing(&parent, &Default::default());
            pending.extend(
                held.into_iter().filter(|gid| gid.number().is_some_and(|number| found.insert(number))),
            );
        }
    }
    found
}

/// What is known to be out of sight, without those whose turn it is to be asked for again.
fn out_of_turn(sync: &Sync<'_>, due: StreamSet) -> BTreeSet<u64> {
    let mut all = BTreeSet::new();
    for id in due.iter() {
        all.extend(sync.progress().stream(id).state.out_of_sight());
    }
    let turn = out_of_sight::turn(&all, sync.facts.began());
    all.retain(|gid| !turn.contains(gid));
    all
}

/// Asks for records one by one, and for what was below those that are deleted.
async fn ask_for_records(
    sync: &Sync<'_>,
    trees: &[Tree<'_>],
    mut pending: BTreeSet<u64>,
    answers: &mut Answers,
) -> Result<(), Stop> {
    let mut asked = HashSet::new();
    while !pending.is_empty() {
        asked.extend(pending.iter().copied());
        let found = ask_in_trees(sync, trees, std::mem::take(&mut pending)).await?;
        for (gid, existence) in found {
            let Some(number) = gid.number() else { continue };
            match existence {
                Existence::Deleted => {
                    answers.deleted.insert(number);
                    let below = record_is_deleted(sync, &gid);
                    pending.extend(
                        below.into_iter().filter(|gid| !asked.contains(gid) && !is_settled(sync, *gid)),
                    );
                }
                Existence::There(_) => drop(answers.there.insert(number)),
                Existence::Forbidden => drop(answers.forbidden.insert(number)),
                Existence::Unknown => answers.is_unknown = true,
            }
        }
    }
    Ok(())
}

/// Asks for records of which nobody knows the tree: each is deleted if no tree has it.
async fn ask_in_trees(
    sync: &Sync<'_>,
    trees: &[Tree<'_>],
    records: BTreeSet<u64>,
) -> Result<BTreeMap<Gid, Existence>, Stop> {
    let mut pending: Vec<Gid> = records.into_iter().map(Gid::Number).collect();
    let mut found = BTreeMap::new();
    for tree in trees {
        let request = |gid| (requests::of_gids(tree.path, &gid, &gid, &[tree.parent]), gid);
        let answers = ask(sync, std::mem::take(&mut pending).into_iter().map(request).collect()).await?;
        for (gid, existence) in answers {
            match &existence {
                Existence::Deleted => pending.push(gid.clone()),
                Existence::There(record) => note(sync, *tree, record),
                Existence::Forbidden | Existence::Unknown => {}
            }
            found.insert(gid, existence);
        }
    }
    Ok(found)
}

/// Whether a record was seen, or reported as deleted to every stream that stores it.
fn is_settled(sync: &Sync<'_>, number: u64) -> bool {
    let (deleted, gid) = (sync.deleted.borrow(), Gid::Number(number));
    let is_reported = |(id, role): &(StreamId, Role)| match role {
        Role::TopLevel | Role::Nested => deleted.is_reported(*id, &gid),
        Role::Attached => sync.progress().stream(*id).state.listed().count(&gid).is_none(),
    };
    deleted.unseen.is_not_awaited(number) || deleted.unseen.streams_of(number).iter().all(is_reported)
}

/// Reports that a record of the tree is deleted, and what is on it. Returns what was below it in the tree.
fn record_is_deleted(sync: &Sync<'_>, gid: &Gid) -> Vec<u64> {
    let now = sync.facts.now();
    let streams =
        gid.number().map(|number| sync.deleted.borrow().unseen.streams_of(number)).unwrap_or_default();
    for (id, role) in streams {
        match role {
            Role::TopLevel | Role::Nested => tombstones::emit(sync, id, gid, now),
            Role::Attached => tombstones::emit_below(sync, id, gid, now),
        }
    }
    let roles = sync.deleted.borrow().unseen.roles();
    let mut below = Vec::new();
    for (id, _) in roles.into_iter().filter(|(_, role)| *role == Role::Nested) {
        let held = sync.progress().stream(id).state.listed().missing(gid, &Default::default());
        below.extend(held.iter().filter_map(Gid::number));
    }
    below
}

/// Asks for objects.
async fn ask(sync: &Sync<'_>, objects: Vec<(Request, Gid)>) -> Result<BTreeMap<Gid, Existence>, Stop> {
    let answers = RefCell::new(BTreeMap::new());
    sync.gate
        .for_each(FIRST, None, objects, |(request, gid), slot| {
            let answers = &answers;
            async move {
                let existence = existence::ask(sync, &request).await?;
                drop(slot);
                answers.borrow_mut().insert(gid, existence);
                Ok(())
            }
        })
        .await?;
    Ok(answers.into_inner())
}

/// Stores what was found out, and lets the streams end.
fn settle(sync: &Sync<'_>, held: StreamSet, due: StreamSet, answers: &Answers, is_thorough: bool) {
    let began = sync.facts.began();
    for id in held.iter() {
        let reported = sync.deleted.borrow().reported(id);
        let mut progress = sync.progress();
        let state = &mut progress.stream(id).state;
        state.listed_mut().remove_everywhere(&reported);
        let deleted = sync.deleted.borrow();
        let decides = |gid: &u64| {
            deleted.unseen.streams_of(*gid).iter().any(|(stream, _)| *stream == id) && !reported.contains(gid)
        };
        let out_of_sight = state.out_of_sight_mut();
        out_of_sight.retain(|gid| !deleted.unseen.is_not_awaited(*gid) && !answers.deleted.contains(gid));
        out_of_sight.extend(answers.forbidden.iter().copied().filter(decides));
        if is_thorough {
            out_of_sight.extend(answers.there.iter().copied().filter(decides));
        }
        if due.contains(id) && !answers.is_unknown {
            state.set_compared(Some(began));
        }
        progress.touch(id);
    }
    sync.progress().close(held);
    cursors::end_streams(sync);
}
