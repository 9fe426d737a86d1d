//! Result codes of the CUDA driver as they cross the wire: a plain number, never an enum.

/// A `CUresult`. The names and texts of the codes are in `rgpu-driver-abi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

macro_rules! codes {
    ($($name:ident = $code:literal;)*) => {
        impl Status {
            $(
                #[doc = concat!("`CUDA_", stringify!($name), "`.")]
                pub const $name: Self = Self($code);
            )*
        }
    };
}

// Numbers of `enum cudaError_enum` in NVIDIA's cuda.h; only those this project names.
codes! {
    SUCCESS = 0;
    ERROR_INVALID_VALUE = 1;
    ERROR_OUT_OF_MEMORY = 2;
    ERROR_NOT_INITIALIZED = 3;
    ERROR_DEINITIALIZED = 4;
    ERROR_NO_DEVICE = 100;
    ERROR_INVALID_DEVICE = 101;
    ERROR_INVALID_IMAGE = 200;
    ERROR_INVALID_CONTEXT = 201;
    ERROR_ALREADY_MAPPED = 208;
    ERROR_NOT_MAPPED = 211;
    ERROR_NO_BINARY_FOR_GPU = 209;
    ERROR_INVALID_PTX = 218;
    ERROR_JIT_COMPILER_NOT_FOUND = 221;
    ERROR_UNSUPPORTED_PTX_VERSION = 222;
    ERROR_INVALID_SOURCE = 300;
    ERROR_FILE_NOT_FOUND = 301;
    ERROR_OPERATING_SYSTEM = 304;
    ERROR_INVALID_HANDLE = 400;
    ERROR_ILLEGAL_STATE = 401;
    ERROR_NOT_FOUND = 500;
    ERROR_NOT_READY = 600;
    ERROR_ILLEGAL_ADDRESS = 700;
    ERROR_LAUNCH_OUT_OF_RESOURCES = 701;
    ERROR_LAUNCH_TIMEOUT = 702;
    ERROR_PEER_ACCESS_ALREADY_ENABLED = 704;
    ERROR_PEER_ACCESS_NOT_ENABLED = 705;
    ERROR_PRIMARY_CONTEXT_ACTIVE = 708;
    ERROR_CONTEXT_IS_DESTROYED = 709;
    ERROR_ASSERT = 710;
    ERROR_HOST_MEMORY_ALREADY_REGISTERED = 712;
    ERROR_HOST_MEMORY_NOT_REGISTERED = 713;
    ERROR_HARDWARE_STACK_ERROR = 714;
    ERROR_ILLEGAL_INSTRUCTION = 715;
    ERROR_MISALIGNED_ADDRESS = 716;
    ERROR_INVALID_ADDRESS_SPACE = 717;
    ERROR_INVALID_PC = 718;
    ERROR_LAUNCH_FAILED = 719;
    ERROR_COOPERATIVE_LAUNCH_TOO_LARGE = 720;
    ERROR_NOT_PERMITTED = 800;
    ERROR_NOT_SUPPORTED = 801;
    ERROR_SYSTEM_NOT_READY = 802;
    ERROR_SYSTEM_DRIVER_MISMATCH = 803;
    ERROR_UNKNOWN = 999;
}

impl Status {
    /// `Ok` for success, the code otherwise.
    pub const fn ok(self) -> Result<(), Self> {
        match self.0 {
            0 => Ok(()),
            _ => Err(self),
        }
    }

    /// The code of a result.
    pub const fn of(result: Result<(), Self>) -> Self {
        match result {
            Ok(()) => Self::SUCCESS,
            Err(status) => status,
        }
    }

    /// Whether the error poisons its context: every later call in it returns the same code, until the
    /// process ends. (CUDA C++ Programming Guide, "Error Checking"; `CUresult` in the driver API
    /// reference: "the process must be terminated and relaunched".)
    pub const fn is_sticky(self) -> bool {
        matches!(self.0, 214 | 700 | 702 | 710 | 714..=719)
    }
}
