//! The serverless platform of rgpu: an embedded object store whose uploads start functions as jobs.
pub mod broker;
pub mod db;
pub mod function;
pub mod launcher;
pub mod queue;
pub mod store;
pub mod time;
