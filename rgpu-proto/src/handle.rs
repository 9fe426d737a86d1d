//! Handles that the client invents.
//!
//! A handle has two faces: on the wire a small number ([`Id`]), in the application a pointer-sized
//! value ([`Id::to_c`]) that is no valid address, so that an application that looks inside one faults
//! at once. The worker maps ids to the driver's own handles; no number from the wire is ever used as one.

use std::ffi::c_void;
use std::marker::PhantomData;

/// What a handle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum HandleKind {
    /// `CUcontext`.
    Context = 1,
    /// `CUstream`.
    Stream = 2,
    /// `CUevent`.
    Event = 3,
    /// `CUmodule`.
    Module = 4,
    /// `CUfunction`.
    Function = 5,
    /// `CUlibrary`.
    Library = 6,
    /// `CUkernel`.
    Kernel = 7,
    /// `CUmemoryPool`.
    Pool = 8,
    /// `CUmemGenericAllocationHandle`.
    Physical = 9,
    /// `CUlinkState`.
    Link = 10,
    /// `cublasHandle_t`.
    Blas = 32,
    /// `cublasLtHandle_t`.
    BlasLt = 33,
    /// `cudnnHandle_t`.
    Dnn = 34,
    /// `cudnnTensorDescriptor_t`.
    DnnTensor = 35,
    /// `cudnnFilterDescriptor_t`.
    DnnFilter = 36,
    /// `cudnnConvolutionDescriptor_t`.
    DnnConvolution = 37,
    /// `cudnnPoolingDescriptor_t`.
    DnnPooling = 38,
    /// `cudnnActivationDescriptor_t`.
    DnnActivation = 39,
    /// `cudnnLRNDescriptor_t`.
    DnnLrn = 40,
    /// `cudnnOpTensorDescriptor_t`.
    DnnOpTensor = 41,
    /// `cudnnReduceTensorDescriptor_t`.
    DnnReduce = 42,
    /// `cudnnDropoutDescriptor_t`.
    DnnDropout = 43,
    /// `cudnnSpatialTransformerDescriptor_t`.
    DnnSpatial = 44,
    /// `cudnnCTCLossDescriptor_t`.
    DnnCtc = 45,
    /// `cudnnRNNDescriptor_t`.
    DnnRnn = 46,
    /// `cudnnRNNDataDescriptor_t`.
    DnnRnnData = 47,
    /// `cudnnSeqDataDescriptor_t`.
    DnnSeqData = 48,
    /// `cudnnAttnDescriptor_t`.
    DnnAttn = 49,
    /// `cudnnTensorTransformDescriptor_t`.
    DnnTransform = 50,
    /// `cudnnBackendDescriptor_t`.
    DnnBackend = 51,
}

/// Names a [`HandleKind`] as a type.
pub trait Named: Copy + 'static {
    /// The kind.
    const KIND: HandleKind;
}

macro_rules! named {
    ($($name:ident),*) => {$(
        #[doc = concat!("Marks handles of kind `", stringify!($name), "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name;

        impl Named for $name {
            const KIND: HandleKind = HandleKind::$name;
        }
    )*};
}
named!(
    Context,
    Stream,
    Event,
    Module,
    Function,
    Library,
    Kernel,
    Pool,
    Physical,
    Link,
    Blas,
    BlasLt,
    Dnn,
    DnnTensor,
    DnnFilter,
    DnnConvolution,
    DnnPooling,
    DnnActivation,
    DnnLrn,
    DnnOpTensor,
    DnnReduce,
    DnnDropout,
    DnnSpatial,
    DnnCtc,
    DnnRnn,
    DnnRnnData,
    DnnSeqData,
    DnnAttn,
    DnnTransform,
    DnnBackend
);

/// A client-minted handle of kind `K`; 0 is the null handle.
///
/// For streams, 1 and 2 are the legacy and the per-thread default stream, as in CUDA, and 0 means
/// whichever of them applies; minted ids start at [`FIRST_MINTED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id<K>(pub u32, PhantomData<K>);

/// The first id that a client mints, of any kind; those below are reserved.
pub const FIRST_MINTED: u32 = 16;

/// Above every user-space address of x86-64 and arm64 Linux with 47 or 48 bits, below 2^63.
const C_TAG: usize = 0x5247 << 48;

impl<K: Named> Id<K> {
    /// The null handle.
    pub const NULL: Self = Self(0, PhantomData);

    /// The handle numbered `id`.
    pub const fn new(id: u32) -> Self {
        Self(id, PhantomData)
    }

    /// The value given to the application.
    pub const fn to_c(self) -> *mut c_void {
        if self.0 < FIRST_MINTED {
            return self.0 as usize as *mut c_void;
        }
        (C_TAG | (K::KIND as usize) << 40 | (self.0 as usize) << 4) as *mut c_void
    }

    /// The id behind a value from the application, or `None` where the value is no handle of this kind.
    pub fn from_c(value: *mut c_void) -> Option<Self> {
        let value = value as usize;
        if value < FIRST_MINTED as usize {
            return Some(Self::new(value as u32));
        }
        let id = u32::try_from(value >> 4 & 0xf_ffff_ffff).ok()?;
        let handle = Self::new(id);
        (id >= FIRST_MINTED && handle.to_c() as usize == value).then_some(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_survives_the_application() {
        for id in [0, 1, 2, FIRST_MINTED, 77, u32::MAX] {
            let handle = Id::<Stream>::new(id);
            assert_eq!(Id::<Stream>::from_c(handle.to_c()), Some(handle));
        }
    }

    #[test]
    fn a_handle_of_another_kind_or_a_wild_value_is_refused() {
        let event = Id::<Event>::new(40).to_c();
        assert_eq!(Id::<Stream>::from_c(event), None);
        assert_eq!(Id::<Stream>::from_c(0x7fff_1234_5678 as *mut c_void), None);
        assert_eq!(
            Id::<Stream>::from_c((event as usize + 1) as *mut c_void),
            None
        );
    }
}
