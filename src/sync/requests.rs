//! The requests of a sync, from the paths that streams declare.

use crate::asana::{self, Request};
use crate::config::ArchivedProjects;
use crate::gid::Gid;
use crate::moment::Moment;
use crate::plan::PlannedListing;

/// The request for the first page of a listing, without `limit` and `offset`.
pub fn of_listing(
    listing: &PlannedListing,
    parent: &Gid,
    workspace: &Gid,
    archived: ArchivedProjects,
    since: Option<Moment>,
) -> Request {
    let mut request = filled(listing.path, |text| {
        text.replace("{gid}", &parent.to_string()).replace("{workspace}", &workspace.to_string())
    })
    .fallback(listing.fallback);
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
pub fn of_one(path: &'static str, gid: &Gid) -> Request {
    filled(path, |text| text.replace("{gid}", &gid.to_string()))
}

/// The request that only asks whether an object exists.
pub fn of_existence(path: &'static str, gid: &Gid) -> Request {
    of_one(path, gid).query("opt_fields", "gid")
}

/// The request for a path that only asks for gids, and for those of other fields.
pub fn of_gids(path: &'static str, gid: &Gid, workspace: &Gid, fields: &[&str]) -> Request {
    let fields: Vec<String> = fields.iter().map(|field| field_of_gids(field)).collect();
    let fill =
        |text: &str| text.replace("{gid}", &gid.to_string()).replace("{workspace}", &workspace.to_string());
    filled(path, fill).query("opt_fields", fields.join(","))
}

/// A time is asked for as it is, and another record by its gid.
fn field_of_gids(field: &str) -> String {
    if asana::SEARCH_FIELDS.contains(&field) { field.to_owned() } else { format!("{field}.gid") }
}

fn filled(path: &'static str, fill: impl Fn(&str) -> String) -> Request {
    let (endpoint, query) = path.split_once('?').unwrap_or((path, ""));
    let mut request = Request::new(endpoint, fill(endpoint));
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        request = request.query(name, fill(value));
    }
    request
}
