//! What the client knows and answers by itself. Each file keeps the state of one family; none sends anything.

pub(crate) mod contexts;
pub(crate) mod devices;
pub(crate) mod host;
pub(crate) mod links;
pub(crate) mod memory;
pub(crate) mod mirror;
pub(crate) mod modules;
pub(crate) mod pools;
pub(crate) mod streams;
pub(crate) mod vmm;
