//! Results inside this crate.

use std::ffi::CStr;

use rgpu_softgpu_math::{nn, queue};

/// A `cudnnStatus_t` that is not success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u32);

pub(crate) type Result<T = ()> = std::result::Result<T, Status>;

macro_rules! statuses {
    ($($name:ident = $code:literal;)*) => {
        impl Status {
            $(#[allow(dead_code, reason = "codes that programs may pass to cudnnGetErrorString")]
            pub(crate) const $name: Self = Self($code);)*

            pub(crate) fn name(self) -> &'static CStr {
                const NAMES: &[(u32, &str)] = &[$(($code, concat!("CUDNN_STATUS_", stringify!($name), "\0"))),*];
                let known = NAMES.iter().find(|(code, _)| *code == self.0);
                let name = known.map_or("CUDNN_STATUS_UNKNOWN\0", |(_, name)| name);
                CStr::from_bytes_with_nul(name.as_bytes()).unwrap_or(c"")
            }
        }
    };
}

statuses! {
    SUCCESS = 0;
    NOT_INITIALIZED = 1001;
    SUBLIBRARY_VERSION_MISMATCH = 1002;
    SERIALIZATION_VERSION_MISMATCH = 1003;
    DEPRECATED = 1004;
    LICENSE_ERROR = 1005;
    RUNTIME_IN_PROGRESS = 1006;
    RUNTIME_FP_OVERFLOW = 1007;
    SUBLIBRARY_LOADING_FAILED = 1008;
    BAD_PARAM = 2000;
    INVALID_VALUE = 2001;
    BAD_PARAM_NULL_POINTER = 2002;
    BAD_PARAM_MISALIGNED_POINTER = 2003;
    BAD_PARAM_NOT_FINALIZED = 2004;
    BAD_PARAM_OUT_OF_BOUND = 2005;
    BAD_PARAM_SIZE_INSUFFICIENT = 2006;
    BAD_PARAM_STREAM_MISMATCH = 2007;
    BAD_PARAM_SHAPE_MISMATCH = 2008;
    BAD_PARAM_DUPLICATED_ENTRIES = 2009;
    BAD_PARAM_ATTRIBUTE_TYPE = 2010;
    NOT_SUPPORTED = 3000;
    NOT_SUPPORTED_GRAPH_PATTERN = 3001;
    NOT_SUPPORTED_SHAPE = 3002;
    NOT_SUPPORTED_DATA_TYPE = 3003;
    NOT_SUPPORTED_LAYOUT = 3004;
    INTERNAL_ERROR = 4000;
    EXECUTION_FAILED = 5000;
    EXECUTION_FAILED_CUDA_DRIVER = 5001;
}

impl From<queue::Error> for Status {
    fn from(error: queue::Error) -> Self {
        tracing::error!(%error, "a call is refused");
        match error {
            queue::Error::Extent { .. } => Self::BAD_PARAM,
            queue::Error::Alignment { .. } => Self::BAD_PARAM_MISALIGNED_POINTER,
            _ => Self::EXECUTION_FAILED,
        }
    }
}

impl From<nn::Error> for Status {
    fn from(error: nn::Error) -> Self {
        match error {
            nn::Error::Shape => Self::BAD_PARAM,
            nn::Error::Unsupported => Self::NOT_SUPPORTED,
        }
    }
}

/// Goes on only if `holds`.
pub(crate) fn require(holds: bool) -> Result {
    if holds {
        Ok(())
    } else {
        Err(Status::BAD_PARAM)
    }
}
