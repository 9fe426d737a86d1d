//! Recordings of a program's remote calls: what the client library writes while the program runs, and what `rgpu trace`
//! makes of it.
//!
//! A recording is a file that the client maps and writes like memory, so that nothing of it is lost when the program is
//! killed. It holds, in this order, a head, totals for each call that can be made, and blocks, handed out one after the
//! other:
//!
//! | block | holds | written by |
//! |---|---|---|
//! | events | what happened when ([`Event`]) | one thread |
//! | notes | lines of JSON: names, threads, call sites, what is mapped where ([`Note`]) | whoever holds a lock |
//!
//! [`record`] writes, [`read`] reads whatever is there, whole or not, and trusts nothing. The rest is for reports.

mod layout;
pub mod note;
pub mod read;
pub mod record;

#[cfg(feature = "report")]
pub mod perfetto;
#[cfg(feature = "report")]
pub mod summary;
#[cfg(feature = "report")]
pub mod symbols;
#[cfg(feature = "report")]
mod text;

pub use layout::{Event, Kind, NO_CALL, Totals};
pub use note::Note;
