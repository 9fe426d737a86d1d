//! Descriptors: made, read, changed and destroyed without the server.

#![expect(non_snake_case, reason = "functions carry the names of the C API")]

use std::ffi::c_void;

use rgpu_proto::library::Fault;
use rgpu_proto::library::lt::{
    Attributes, COMPUTE_TYPE, Descriptor, LAYOUT, LAYOUT_COLUMNS, LAYOUT_LD, LAYOUT_ROWS,
    LAYOUT_TYPE, MATMUL, PREFERENCE, SCALE_TYPE, Shape, TRANSFORM, TRANSFORM_SCALE_TYPE,
};

use crate::api::Result;

/// What the descriptor at `at` says.
///
/// # Safety
/// `at` is null or points to a descriptor of any kind.
pub(crate) unsafe fn attributes(shape: &'static Shape, at: *mut c_void) -> Result<Attributes> {
    // SAFETY: the caller's promise.
    Ok(unsafe { Descriptor::open(shape, at)? }.changed())
}

/// Gives a new descriptor the values that it is created with.
fn fill(descriptor: Descriptor, values: &[(u32, u64)]) -> Result {
    values
        .iter()
        .try_for_each(|(number, value)| descriptor.put(*number, *value))
}

/// A C function `…Create`.
///
/// # Safety
/// A non-null `place` has room for a pointer.
unsafe fn create(place: *mut c_void, shape: &'static Shape, values: &[(u32, u64)]) -> Result {
    let place = place.cast::<*mut c_void>();
    if place.is_null() {
        return Err(Fault::Value);
    }
    let descriptor = Descriptor::create(shape)?;
    fill(descriptor, values)?;
    // SAFETY: the caller's promise, and not null.
    unsafe { place.write_unaligned(descriptor.pointer()) };
    Ok(())
}

/// A C function `…Init_internal`.
///
/// # Safety
/// A non-null `at` has `size` bytes.
unsafe fn init(
    at: *mut c_void,
    size: usize,
    shape: &'static Shape,
    values: &[(u32, u64)],
) -> Result {
    // SAFETY: the caller's promise.
    fill(unsafe { Descriptor::init(shape, at, size)? }, values)
}

/// A C function `…Destroy`. Null is let through, as `free` does.
///
/// # Safety
/// `at` is null or points to a descriptor, of any kind, that `create` made.
unsafe fn destroy(at: *mut c_void, shape: &'static Shape) -> Result {
    if !at.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Descriptor::open(shape, at)?.free() };
    }
    Ok(())
}

macro_rules! descriptors {
    ($($shape:ident $destroy:ident $get:ident $set:ident;)*) => {$(
        pub(crate) unsafe fn $destroy(at: *mut c_void) -> Result {
            // SAFETY: as the C function of this name requires.
            unsafe { destroy(at, &$shape) }
        }

        pub(crate) unsafe fn $get(
            at: *mut c_void,
            number: u32,
            to: *mut c_void,
            size: usize,
            written: *mut usize,
        ) -> Result {
            // SAFETY: as the C function of this name requires.
            unsafe { Descriptor::open(&$shape, at)?.get_attribute(number, to, size, written) }
        }

        pub(crate) unsafe fn $set(
            at: *mut c_void,
            number: u32,
            from: *const c_void,
            size: usize,
        ) -> Result {
            // SAFETY: as the C function of this name requires.
            unsafe { Descriptor::open(&$shape, at)?.set_attribute(number, from, size) }
        }
    )*};
}

descriptors! {
    MATMUL cublasLtMatmulDescDestroy cublasLtMatmulDescGetAttribute cublasLtMatmulDescSetAttribute;
    LAYOUT cublasLtMatrixLayoutDestroy cublasLtMatrixLayoutGetAttribute cublasLtMatrixLayoutSetAttribute;
    PREFERENCE cublasLtMatmulPreferenceDestroy cublasLtMatmulPreferenceGetAttribute cublasLtMatmulPreferenceSetAttribute;
    TRANSFORM cublasLtMatrixTransformDescDestroy cublasLtMatrixTransformDescGetAttribute cublasLtMatrixTransformDescSetAttribute;
}

fn of_matmul(compute_type: u32, scale_type: u32) -> [(u32, u64); 2] {
    [
        (COMPUTE_TYPE, compute_type.into()),
        (SCALE_TYPE, scale_type.into()),
    ]
}

pub(crate) unsafe fn cublasLtMatmulDescCreate(
    place: *mut c_void,
    compute_type: u32,
    scale_type: u32,
) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { create(place, &MATMUL, &of_matmul(compute_type, scale_type)) }
}

pub(crate) unsafe fn cublasLtMatmulDescInit_internal(
    at: *mut c_void,
    size: usize,
    compute_type: u32,
    scale_type: u32,
) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { init(at, size, &MATMUL, &of_matmul(compute_type, scale_type)) }
}

fn of_layout(data_type: u32, rows: u64, columns: u64, ld: i64) -> [(u32, u64); 4] {
    [
        (LAYOUT_TYPE, data_type.into()),
        (LAYOUT_ROWS, rows),
        (LAYOUT_COLUMNS, columns),
        (LAYOUT_LD, ld.cast_unsigned()),
    ]
}

pub(crate) unsafe fn cublasLtMatrixLayoutCreate(
    place: *mut c_void,
    data_type: u32,
    rows: u64,
    columns: u64,
    ld: i64,
) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { create(place, &LAYOUT, &of_layout(data_type, rows, columns, ld)) }
}

pub(crate) unsafe fn cublasLtMatrixLayoutInit_internal(
    at: *mut c_void,
    size: usize,
    data_type: u32,
    rows: u64,
    columns: u64,
    ld: i64,
) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { init(at, size, &LAYOUT, &of_layout(data_type, rows, columns, ld)) }
}

pub(crate) unsafe fn cublasLtMatmulPreferenceCreate(place: *mut c_void) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { create(place, &PREFERENCE, &[]) }
}

pub(crate) unsafe fn cublasLtMatmulPreferenceInit_internal(at: *mut c_void, size: usize) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { init(at, size, &PREFERENCE, &[]) }
}

pub(crate) unsafe fn cublasLtMatrixTransformDescCreate(
    place: *mut c_void,
    scale_type: u32,
) -> Result {
    let values = [(TRANSFORM_SCALE_TYPE, scale_type.into())];
    // SAFETY: as the C function of this name requires.
    unsafe { create(place, &TRANSFORM, &values) }
}

pub(crate) unsafe fn cublasLtMatrixTransformDescInit_internal(
    at: *mut c_void,
    size: usize,
    scale_type: u32,
) -> Result {
    let values = [(TRANSFORM_SCALE_TYPE, scale_type.into())];
    // SAFETY: as the C function of this name requires.
    unsafe { init(at, size, &TRANSFORM, &values) }
}

#[cfg(test)]
mod tests {
    use rgpu_proto::library::lt;

    use super::*;

    #[test]
    fn a_layout_is_created_read_and_destroyed() {
        let mut layout = std::ptr::null_mut::<c_void>();
        let place = (&raw mut layout).cast();
        // SAFETY: `layout` and `ld` are live; the layout is used until it is destroyed.
        unsafe {
            // CUDA_R_16F is 2.
            cublasLtMatrixLayoutCreate(place, 2, 640, 480, -640).unwrap();
            let mut ld = 0i64;
            let to = (&raw mut ld).cast();
            let null = std::ptr::null_mut();
            cublasLtMatrixLayoutGetAttribute(layout, 4, to, 8, null).unwrap();
            assert_eq!(ld, -640);
            let said = attributes(&LAYOUT, layout).unwrap();
            assert_eq!(lt::value_of(&LAYOUT, &said, 0), 2);
            assert_eq!(cublasLtMatmulDescDestroy(layout), Err(Fault::Value));
            assert_eq!(cublasLtMatrixLayoutDestroy(layout), Ok(()));
            assert_eq!(cublasLtMatrixLayoutDestroy(null.cast()), Ok(()));
        }
    }

    #[test]
    fn a_descriptor_on_the_stack_is_filled() {
        let mut memory = [0u64; 32];
        let at = memory.as_mut_ptr().cast();
        // SAFETY: there are 256 bytes.
        unsafe {
            // CUBLAS_COMPUTE_32F is 68, CUDA_R_32F 0.
            cublasLtMatmulDescInit_internal(at, 256, 68, 0).unwrap();
            assert_eq!(attributes(&MATMUL, at), Ok(vec![(COMPUTE_TYPE, 68)]));
            assert_eq!(
                cublasLtMatmulDescInit_internal(at, 88, 68, 0),
                Err(Fault::Memory)
            );
        }
    }
}
