//! One listing for one parent: its request, and what its rows turn into. Knows no HTTP and no clock.

use crate::asana::{Client, Fault, Page, Pages, Request, Search};
use crate::config::ArchivedProjects;
use crate::gid::Gid;
use crate::listed;
use crate::moment::Moment;
use crate::plan::{ListingId, PlannedListing};
use crate::read::jobs::Jobs;
use crate::read::slices::SliceId;
use crate::stream::Paging;

/// A listing that is being read.
#[derive(Debug)]
pub struct Visit {
    pub listing: ListingId,
    pub parent: Gid,
    pub workspace: Gid,
    pub slice: SliceId,
    /// Pages so far.
    pub pages: u64,
    /// What its rows ask to be listed next; it is visited when the listing is through, because an offset does
    /// not live long enough to wait for children.
    pub children: Jobs,
    /// The gids of its rows, where the state keeps them.
    pub listed: listed::Gids,
}

impl Visit {
    pub fn new(listing: ListingId, parent: Gid, workspace: Gid, slice: SliceId) -> Self {
        let (children, listed) = (Jobs::default(), listed::Gids::default());
        Self { listing, parent, workspace, slice, pages: 0, children, listed }
    }
}

/// Where a listing's rows come from.
#[derive(Debug)]
pub enum Rows {
    Pages(Pages),
    Search(Search),
}

impl Rows {
    /// The rows of `request`. `since` is how far back a search goes, and `indexed_until` how late a change it
    /// surely knows.
    pub fn of(
        client: Client,
        request: Request,
        paging: Paging,
        since: Option<Moment>,
        indexed_until: Moment,
    ) -> Self {
        match paging {
            Paging::ByTime => {
                let since = since.unwrap_or(Moment::from_unix_milliseconds(0));
                Self::Search(Search::new(client, request, since, indexed_until))
            }
            Paging::Offset | Paging::UntilEmpty | Paging::Whole => {
                Self::Pages(Pages::new(client, request, paging))
            }
        }
    }

    pub async fn next(&mut self) -> Result<Option<Page>, Fault> {
        match self {
            Self::Pages(pages) => pages.next().await,
            Self::Search(search) => search.next().await,
        }
    }
}

/// The request for the first page of a listing, without `limit` and `offset`.
pub fn request(
    listing: &PlannedListing,
    parent: &Gid,
    workspace: &Gid,
    archived: ArchivedProjects,
    since: Option<Moment>,
) -> Request {
    let mut request = filled(listing.path, |text| {
        text.replace("{gid}", &parent.to_string()).replace("{workspace}", &workspace.to_string())
    });
    if let (Some(parameter), Some(since)) = (listing.since, since) {
        request = request.query(parameter, since.to_string());
    }
    if let (Some(parameter), ArchivedProjects::LeftOut) = (listing.archived, archived) {
        request = request.query(parameter, "false");
    }
    match &listing.opt_fields {
        Some(opt_fields) => request.query("opt_fields", opt_fields.clone()),
        None => request,
    }
}

/// The request for a path that names one object.
pub fn request_of_one(path: &'static str, gid: &Gid) -> Request {
    filled(path, |text| text.replace("{gid}", &gid.to_string()))
}

fn filled(path: &'static str, fill: impl Fn(&str) -> String) -> Request {
    let (endpoint, query) = path.split_once('?').unwrap_or((path, ""));
    let mut request = Request::new(endpoint, fill(endpoint));
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        request = request.query(name, fill(value));
    }
    request
}
