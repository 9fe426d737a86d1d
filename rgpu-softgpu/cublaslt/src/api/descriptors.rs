//! Descriptors: made, destroyed, read and changed.

use std::ffi::c_void;

use rgpu_softgpu_math::blas::status::Result;

use super::put;
use crate::fields::{Fields, matrix, preference, product, transform};

type Descriptor = *mut c_void;

macro_rules! attributes {
    ($($layout:ident: $destroy:ident, $get:ident, $set:ident;)*) => {$(
        pub(crate) unsafe fn $destroy(descriptor: Descriptor) -> Result {
            // SAFETY: the contract of this function.
            unsafe { $layout::LAYOUT.free(descriptor) }
        }

        pub(crate) unsafe fn $get(
            descriptor: Descriptor, attribute: u32, to: *mut c_void, size: usize, written: *mut usize,
        ) -> Result {
            // SAFETY: the contract of this function.
            unsafe { $layout::LAYOUT.open(descriptor)?.read(attribute, to, size, written) }
        }

        pub(crate) unsafe fn $set(
            descriptor: Descriptor, attribute: u32, from: *const c_void, size: usize,
        ) -> Result {
            // SAFETY: the contract of this function.
            unsafe { $layout::LAYOUT.open(descriptor)?.set(attribute, from, size) }
        }
    )*};
}

attributes! {
    product: cublasLtMatmulDescDestroy, cublasLtMatmulDescGetAttribute, cublasLtMatmulDescSetAttribute;
    matrix: cublasLtMatrixLayoutDestroy, cublasLtMatrixLayoutGetAttribute, cublasLtMatrixLayoutSetAttribute;
    preference: cublasLtMatmulPreferenceDestroy, cublasLtMatmulPreferenceGetAttribute,
        cublasLtMatmulPreferenceSetAttribute;
    transform: cublasLtMatrixTransformDescDestroy, cublasLtMatrixTransformDescGetAttribute,
        cublasLtMatrixTransformDescSetAttribute;
}

fn describe_product(fields: Fields, compute_type: u32, scale_type: u32) {
    fields.put(product::COMPUTE_TYPE, compute_type);
    fields.put(product::SCALE_TYPE, scale_type);
}

pub(crate) unsafe fn cublasLtMatmulDescCreate(
    descriptor: *mut c_void,
    compute_type: u32,
    scale_type: u32,
) -> Result {
    let fields = product::LAYOUT.create()?;
    describe_product(fields, compute_type, scale_type);
    // SAFETY: the contract of this function.
    unsafe { put(descriptor.cast(), fields.pointer()) }
}

pub(crate) unsafe fn cublasLtMatmulDescInit_internal(
    descriptor: Descriptor,
    size: usize,
    compute_type: u32,
    scale_type: u32,
) -> Result {
    // SAFETY: the contract of this function.
    let fields = unsafe { product::LAYOUT.write(descriptor, size)? };
    describe_product(fields, compute_type, scale_type);
    Ok(())
}

fn describe_matrix(fields: Fields, data_type: u32, rows: u64, columns: u64, ld: i64) {
    fields.put(matrix::TYPE, data_type);
    fields.put(matrix::ROWS, rows);
    fields.put(matrix::COLUMNS, columns);
    fields.put(matrix::LD, ld);
}

pub(crate) unsafe fn cublasLtMatrixLayoutCreate(
    layout: *mut c_void,
    data_type: u32,
    rows: u64,
    columns: u64,
    ld: i64,
) -> Result {
    let fields = matrix::LAYOUT.create()?;
    describe_matrix(fields, data_type, rows, columns, ld);
    // SAFETY: the contract of this function.
    unsafe { put(layout.cast(), fields.pointer()) }
}

pub(crate) unsafe fn cublasLtMatrixLayoutInit_internal(
    layout: Descriptor,
    size: usize,
    data_type: u32,
    rows: u64,
    columns: u64,
    ld: i64,
) -> Result {
    // SAFETY: the contract of this function.
    let fields = unsafe { matrix::LAYOUT.write(layout, size)? };
    describe_matrix(fields, data_type, rows, columns, ld);
    Ok(())
}

pub(crate) unsafe fn cublasLtMatmulPreferenceCreate(preference: *mut c_void) -> Result {
    let fields = preference::LAYOUT.create()?;
    // SAFETY: the contract of this function.
    unsafe { put(preference.cast(), fields.pointer()) }
}

pub(crate) unsafe fn cublasLtMatmulPreferenceInit_internal(
    preference: Descriptor,
    size: usize,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe { preference::LAYOUT.write(preference, size) }.map(drop)
}

pub(crate) unsafe fn cublasLtMatrixTransformDescCreate(
    descriptor: *mut c_void,
    scale_type: u32,
) -> Result {
    let fields = transform::LAYOUT.create()?;
    fields.put(transform::SCALE_TYPE, scale_type);
    // SAFETY: the contract of this function.
    unsafe { put(descriptor.cast(), fields.pointer()) }
}

pub(crate) unsafe fn cublasLtMatrixTransformDescInit_internal(
    descriptor: Descriptor,
    size: usize,
    scale_type: u32,
) -> Result {
    // SAFETY: the contract of this function.
    let fields = unsafe { transform::LAYOUT.write(descriptor, size)? };
    fields.put(transform::SCALE_TYPE, scale_type);
    Ok(())
}
