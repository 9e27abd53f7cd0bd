//! What is in every portfolio.

use schemars::JsonSchema;

use super::portfolios;
use super::projects::Project;
use super::shared::ParentGid;
use crate::stream::{Each, Listing, Plan, Stream};

// A project can be in several portfolios, so the portfolio is part of the key. The plan is that of portfolios.
pub static STREAM: Stream = Stream::of::<PortfolioItem>(
    "portfolio_items",
    Listing::Each(&[Each::of(&portfolios::STREAM, "/portfolios/{gid}/items")]),
)
.key(&["portfolio_gid", "gid"])
.plan(Plan::Advanced)
.scope("portfolios:read");

/// A project or portfolio that is in a portfolio; `resource_type` shows which. Portfolios have no value in fields that
/// only projects have.
#[derive(JsonSchema)]
pub struct PortfolioItem {
    #[schemars(flatten)]
    pub project: Project,
    /// The gid of the portfolio for which the item was listed.
    pub portfolio_gid: ParentGid,
}
