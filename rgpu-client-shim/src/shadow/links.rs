//! Links under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::jit_options::JitOptions;

/// A link. The application keeps the arrays and buffers of its options until it destroys it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) options: JitOptions,
    /// Once complete; the application reads it there until it destroys the link.
    pub(crate) image: Mutex<Option<Box<[u8]>>>,
}

/// Links by id.
pub(crate) type Links = HashMap<u32, Arc<Link>>;
