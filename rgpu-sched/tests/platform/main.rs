//! The whole platform in one process, against its real store, database, API and jobs.

mod api;
mod common;
mod gpu;
mod jobs;
mod restart;
mod store;
