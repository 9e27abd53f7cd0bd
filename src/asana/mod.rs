//! Asana's HTTP API: requests, rate limit, faults, pages. Only files in this folder name status codes.

mod client;
mod connection;
mod events;
mod fault;
mod limiter;
mod notice;
mod oauth;
mod object;
mod page;
mod retry;
mod search;
mod server_clock;
mod surrogate;
mod token;
mod turn;

pub use client::{Client, Counts, DEFAULT_BASE_URL, Garbage, Request, Settings};
pub use connection::Timeouts;
pub use events::{Gap, Happening, Happenings, happenings};
pub use fault::{Asked, Fault, Kind, Reason, Retry};
pub use limiter::{
    Congestion, FREE_PER_MINUTE, Limiter, Limits, MOST_IN_FLIGHT, PAID_PER_MINUTE, Pace, Permit, Quota,
    Rejection, SEARCHES_PER_MINUTE, Ticket,
};
pub use notice::Notice;
pub use oauth::{Authorization, OAuth, Renewal};
pub use page::{Page, Pages, get_one};
pub use retry::Patience;
pub use search::{SEARCH_FIELDS, Search};
pub use token::TokenSource;
pub use turn::Turn;
