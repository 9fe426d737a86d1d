//! The driver's linker: several texts or objects in, one image out.
//!
//! A link is made, given its inputs, completed and destroyed. The image stays with the server until the link is
//! destroyed; the client reads it in pieces.

use crate::handle::{Id, Link};
use crate::message;

message! {
    /// `cuLinkCreate_v2`. Posted.
    pub struct LinkCreate {
        /// The new id.
        id: Id<Link>,
        /// `CUjit_option` numbers and values that are plain numbers.
        options: Vec<(u32, u64)>,
    }

    /// `cuLinkAddData_v2`, and `cuLinkAddFile_v2` of a file that the client has read. The input's bytes follow in the
    /// body where `inline` says so, else in DATA frames. Answered with [`LinkLog`].
    pub struct LinkAdd {
        /// Of which link.
        id: Id<Link>,
        /// A `CUjitInputType`.
        kind: u32,
        /// What to call it in the log; empty where the application gave no name.
        name: String,
        /// Bytes of the input.
        size: u64,
        /// The bytes follow in the body.
        inline: bool,
        /// As in [`LinkCreate`].
        options: Vec<(u32, u64)>,
    }

    /// `cuLinkComplete`, and again for each further piece of the image. Answered with [`Linked`] and then at most
    /// [`crate::limits::LINK_PIECE`] bytes of the image.
    pub struct LinkComplete {
        /// Which.
        id: Id<Link>,
        /// First byte of the image that is wanted.
        from: u64,
    }

    /// What the driver's linker has said so far, whatever the status.
    pub struct LinkLog {
        /// Information.
        info: String,
        /// Errors.
        error: String,
    }

    /// Answer to a [`LinkComplete`], after the reply's head; whatever the status.
    pub struct Linked {
        /// What the linker said.
        log: LinkLog,
        /// Bytes of the whole image; 0 where there is none.
        size: u64,
    }

    /// `cuLinkDestroy`. Posted.
    pub struct LinkDestroy {
        /// Which.
        id: Id<Link>,
    }
}
