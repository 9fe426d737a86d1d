//! The serverless platform of rgpu: an embedded object store whose uploads start functions as jobs.
pub mod function;
pub mod store;
pub mod time;
