//! Kinds of the rows of libraries (cuBLAS, cuBLASLt, cuDNN), and the C types that they stand for.
//!
//! | kind | C type | crosses the wire |
//! |---|---|---|
//! | `Gone<K>` | a handle that the call destroys | as an id |
//! | `HandleOpt<K>` | a handle, may be null | as an id, 0 for null |
//! | `Dev` | a pointer into device memory (also to an array of such pointers) | as an address |
//! | `ScalarIn<T>` | `const T *`, in host or device memory as the pointer mode says | its value, or an address |
//! | `ScalarEx`, `ScalarEx5` | `const void *`: one or five scalars of the type that another parameter names | likewise |
//! | `ResultOut<T>`, `ResultEx` | `T *`, `void *`, in host or device memory | back, or an address |
//! | `ResultEx5` | `void *`: five results of that type | likewise |
//! | `ResultInOut<T>`, `ResultInOutEx` | `T *`, `void *`, read and written | both ways, or an address |
//! | `DnnScalar` | `const void *`: `double` where a tensor of the call has doubles, else `float` | its value |
//! | `FillIn` | `const void *`, may be null: one element of the type that a `FillType` names | its value |
//! | `DataType`, `ScalarType`, `ComputeType`, `DnnType`, `FillType` | enums that say how large scalars are | yes |
//! | `Setting<N>` | an enum that the handle keeps | yes |
//! | `Count`, `Count64` | `int`, `int64_t`: items of the arrays of the call | yes |
//! | `InArray<T>`, `OutArray<T>` | `const T *`, `T *`: `Count` items | yes; back |
//! | `InArrayEx` | `const void *`: `Count` scalars of the type that another parameter names | yes |
//! | `OutOpt<T>` | `T *`, may be null | back |
//! | `OutDropout` | `cudnnDropoutDescriptor_t *`: the one that the descriptor of the call was given | no |
//! | `Finished` | a backend descriptor that is complete | as an id |

use std::ffi::c_void;
use std::marker::PhantomData;

use super::Kind;
use crate::handle::Named;

/// `cuComplex`: real and imaginary part.
pub type C32 = [f32; 2];
/// `cuDoubleComplex`: real and imaginary part.
pub type C64 = [f64; 2];
/// The bits of a `__half`.
pub type F16 = u16;

/// Which [`Setting`] is the `cublasPointerMode_t`.
pub const POINTER_MODE: u8 = 0;
/// Which [`Setting`] is the `cublasMath_t`.
pub const MATH_MODE: u8 = 1;
/// Which [`Setting`] is the `cublasAtomicsMode_t`.
pub const ATOMICS_MODE: u8 = 2;
/// Which [`Setting`] is the `cudnnBackendDescriptorType_t`.
pub const BACKEND_TYPE: u8 = 3;
/// Which setting of a tensor or filter descriptor says whether it has doubles.
pub const DNN_DOUBLES: u8 = 4;
/// Which setting of a library's handle is its stream's id.
pub const STREAM: u8 = 5;
/// Which setting of a recurrent network's descriptor is the id of its dropout's.
pub const DNN_DROPOUT: u8 = 6;
/// Settings that a handle may have.
pub const SETTINGS: usize = 7;

/// Plain data: any bytes are a value.
pub trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($type:ty),*) => { $(impl Plain for $type {})* };
}
plain!(u8, u16, u32, u64, usize, i32, i64, f32, f64);
impl<T: Plain, const N: usize> Plain for [T; N] {}

macro_rules! generic {
    ($($(#[$meta:meta])* $name:ident<$t:ident: $bound:ident> = $c:ty;)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name<$t>(PhantomData<$t>);

        impl<$t: $bound> Kind for $name<$t> {
            type C = $c;
        }
    )*};
}

generic! {
    /// A handle that the call destroys.
    Gone<K: Named> = *mut c_void;
    /// A handle that may be null. Not the first of its call.
    HandleOpt<K: Named> = *mut c_void;
    /// A scalar in host or device memory, as the handle's pointer mode says.
    ScalarIn<T: Plain> = *const T;
    /// A result in host or device memory, as the handle's pointer mode says.
    ResultOut<T: Plain> = *mut T;
    /// The same, read and written.
    ResultInOut<T: Plain> = *mut T;
    /// A scalar returned through a pointer that may be null.
    OutOpt<T: Plain> = *mut T;
    /// [`Count`] values.
    InArray<T: Plain> = *const T;
    /// Room for [`Count`] values.
    OutArray<T: Plain> = *mut T;
}

/// An enum that the handle of the call keeps from then on.
#[derive(Debug)]
pub struct Setting<const N: u8>;

impl<const N: u8> Kind for Setting<N> {
    type C = u32;
}

super::plain_kinds! {
    /// A pointer into device memory.
    Dev = *mut c_void;
    /// A scalar of the type that a [`ScalarType`] or a [`ComputeType`] of the call names.
    ScalarEx = *const c_void;
    /// Five of them.
    ScalarEx5 = *const c_void;
    /// A result of the type that a [`ScalarType`] of the call names.
    ResultEx = *mut c_void;
    /// Five of them.
    ResultEx5 = *mut c_void;
    /// A result of that type which is read and written.
    ResultInOutEx = *mut c_void;
    /// [`Count`] scalars in host memory, of the type that a [`ComputeType`] of the call names.
    InArrayEx = *const c_void;
    /// A scalar of cuDNN.
    DnnScalar = *const c_void;
    /// An element in host memory, of the type that a [`FillType`] of the call names; may be null.
    FillIn = *const c_void;
    /// A `cudaDataType` of a matrix or vector.
    DataType = u32;
    /// A `cudaDataType` of scalars.
    ScalarType = u32;
    /// A `cublasComputeType_t`.
    ComputeType = u32;
    /// A `cudnnDataType_t` that a tensor or filter descriptor is given.
    DnnType = u32;
    /// A `cudnnDataType_t` of sequences.
    FillType = u32;
    /// Items of the arrays of the call.
    Count = i32;
    /// The same, of the functions that end in `_64`.
    Count64 = i64;
    /// Room for the dropout descriptor that the descriptor of the call was given; may be null.
    OutDropout = *mut c_void;
    /// A backend descriptor that is complete.
    Finished = *mut c_void;
}
