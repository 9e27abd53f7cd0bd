//! Asana's HTTP API: requests, their pace, their faults, their pages. Knows no stream and no Airbyte; status
//! codes and the token are named nowhere else.

mod client;
mod fault;
mod limiter;
mod page;
mod retry;
mod token;

pub use client::{Client, Counts, DEFAULT_BASE_URL, Garbage, Notice, Request, Settings, Timeouts, Turn};
pub use fault::{Asked, Class, Consequence, Fault, Kind, Place, Reason, Retry, consequence};
pub use limiter::{
    Congestion, FREE_PER_MINUTE, Limiter, Limits, MOST_IN_FLIGHT, PAID_PER_MINUTE, Pace, Permit, Quota,
    Rejection, SEARCHES_PER_MINUTE, Ticket,
};
pub use page::{Page, Pages, get_one};
pub use retry::Patience;
pub use token::{Renewal, Secret, TokenSource};
