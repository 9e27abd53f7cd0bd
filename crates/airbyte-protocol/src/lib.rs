//! The Airbyte protocol's messages, in and out. Knows no connector and does no I/O.
