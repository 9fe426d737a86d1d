//! Why a row is posted, answered by the client, or waited for, and what its caller can tell of that.
//!
//! Each row names one of these reasons beside its class; the words stand here once, and docs/protocol.md's table is made
//! of both. A row whose class does not go with its reason does not compile ([`Why::fits`]).

use super::Class;

/// What a call costs its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// It is sent, and the caller goes on.
    Posted,
    /// Nothing is sent.
    Local,
    /// The caller waits for the server.
    Waits,
    /// It waits only where the reason says so.
    Either,
    /// It is not supported.
    Absent,
}

impl Way {
    /// The word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Local => "local",
            Self::Waits => "waits",
            Self::Either => "either",
            Self::Absent => "absent",
        }
    }
}

macro_rules! reasons {
    ($($word:ident $name:ident $way:ident $reason:literal $seen:literal;)*) => {
        /// A reason. Rows spell it in lower case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Why {
            $(#[doc = $reason] $name,)*
        }

        impl Why {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word used in the rows.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($word),)*
                }
            }

            /// What the caller waits for, if anything.
            pub const fn way(self) -> Way {
                match self {
                    $(Self::$name => Way::$way,)*
                }
            }

            /// Why.
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                }
            }

            /// What a caller can observe.
            pub const fn seen(self) -> &'static str {
                match self {
                    $(Self::$name => $seen,)*
                }
            }
        }

        // `books` becomes `Why::Books`; another word is an error of the compiler.
        macro_rules! why {
            $(($word) => { $crate::spec::why::Why::$name };)*
        }
        pub(super) use why;
    };
}

reasons! {
    // Posted.
    queued   Queued   Posted
        "it changes state or queues work, brings nothing back, and the client has judged what can be judged"
        "success at once; a failure is returned by the next call that waits";
    minted   Minted   Posted
        "what it makes is known by a handle that the client invents"
        "a handle at once; a failure is returned by the next call that waits, and the handle then names nothing";
    ended    Ended    Posted
        "it gives a handle up, and brings nothing back"
        "the handle is invalid at once; a failure is returned by the next call that waits";
    taken    Taken    Posted
        "the bytes are on the wire when the call returns"
        "the memory may be changed at once; a failure is returned by the next call that waits";
    called   Called   Posted
        "the function is called when the server says that the stream has got there"
        "as CUDA: later, in the stream's order, on another thread";
    // Answered by the client.
    constant Constant Local
        "the answer is the same whatever the server"
        "what this library says of itself";
    snapshot Snapshot Local
        "the server's hello said it"
        "the state at connect, which does not change";
    image    Image    Local
        "it came with the module"
        "the state when the module was loaded, and what the program set since";
    books    Books    Local
        "the client keeps the books: contexts, streams, handles, allocations, pools, settings"
        "at once, and exact: nobody else can change it";
    backed   Backed   Local
        "the client owns the addresses and counts the lease; only memory that is new to the server is told, and posted"
        "address or out of memory at once";
    process  Process  Local
        "the memory is the program's own; only copies of the device under way to it are waited for before it goes"
        "as CUDA";
    // Waited for, or not.
    direction Direction Either
        "to the device it is posted; to the host it waits for the bytes; which, the addresses say"
        "to the device as `taken`, to the host as `bytes`";
    later    Later    Either
        "to page-locked memory the bytes come while the program goes on; to pageable memory CUDA has it wait; to the device it is posted"
        "the bytes are there when a synchronisation with the copy returns";
    known    Known    Either
        "only the server's driver or library knows, and its answer stays true: it is asked once"
        "the first call waits, the same call after it does not";
    recorded Recorded Either
        "the device alone knows how far it is, but as long as nothing was heard from it since, \"not ready\" is true"
        "as CUDA; a program that polls waits for one answer at most per recording";
    loaded   Loaded   Either
        "it brings the module's kernels, parameters and attributes, unless the process has loaded the same before: then it is posted"
        "waits, with the driver's verdict on the image; a failure of a further load is returned by the next call that waits";
    scalar   Scalar   Either
        "its result goes to host memory, unless the handle's pointer mode is the device's: then it is posted"
        "as the library: the result is there when the call returns";
    copies   Copies   Either
        "it is the driver's copy of rows and columns, and goes as that does"
        "as the copy";
    // Waited for.
    device   Device   Waits
        "waiting for the device is what it is for"
        "returns when the work has happened, with the first error of what was posted before";
    bytes    Bytes    Waits
        "it returns bytes of device memory"
        "the bytes are there when it returns";
    progress Progress Waits
        "the device alone knows how far it is"
        "the state when the server saw the call";
    asked    Asked    Waits
        "it returns what only the server's driver or library knows"
        "the state when the server saw the call";
    judged   Judged   Waits
        "only the server's driver or library can say whether it will do it, and programs try something else where not"
        "its own status, at once";
    verdict  Verdict  Waits
        "the server's linker judges the input, and its log comes back"
        "its own status and log, at once";
    together Together Waits
        "client and server forget all that the context holds at the same point of the order"
        "nothing of the context is left when it returns";
    connects Connects Waits
        "it opens the session"
        "waits for the connection, the lease and a worker; again it costs nothing";
    // Not supported.
    absent   Absent   Absent
        "not carried out"
        "`CUDA_ERROR_NOT_SUPPORTED`, or the library's word for it; the log names it once";
}

impl Why {
    /// Whether a row of this class may have this reason.
    pub const fn fits(self, class: Class) -> bool {
        match (class, self.way()) {
            (Class::Posted, Way::Posted)
            | (Class::Reply, Way::Waits | Way::Either)
            | (Class::Local, Way::Local)
            | (Class::Custom, Way::Posted | Way::Local | Way::Waits | Way::Either)
            | (Class::Absent, Way::Absent) => true,
            (Class::Posted | Class::Reply | Class::Local | Class::Custom | Class::Absent, _) => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_belongs_to_its_class() {
        assert!(Why::Queued.fits(Class::Posted) && Why::Queued.fits(Class::Custom));
        assert!(!Why::Queued.fits(Class::Reply) && !Why::Queued.fits(Class::Local));
        assert!(Why::Books.fits(Class::Local) && !Why::Books.fits(Class::Posted));
        assert!(Why::Known.fits(Class::Reply) && !Why::Known.fits(Class::Local));
        for why in Why::ALL {
            assert_eq!(why.fits(Class::Absent), *why == Why::Absent, "{why:?}");
        }
    }

    #[test]
    fn every_reason_is_some_rows() {
        for why in Why::ALL {
            assert!(crate::spec::all().any(|row| row.why == *why), "{why:?}");
        }
    }
}
