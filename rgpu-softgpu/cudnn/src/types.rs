//! What C passes as numbers.

use std::ffi::c_void;

use rgpu_softgpu_math::nn::tensor::{Layout, MAX_DIMS, Tensor, Type};

use crate::objects::get;
use crate::status::{Result, Status, require};

/// The type that a `cudnnDataType_t` means.
pub(crate) fn data_type(code: u32) -> Result<Type> {
    match code {
        0 => Ok(Type::F32),
        1 => Ok(Type::F64),
        2 => Ok(Type::F16),
        3 => Ok(Type::I8),
        4 => Ok(Type::I32),
        6 | 11 => Ok(Type::U8),
        9 => Ok(Type::Bf16),
        10 => Ok(Type::I64),
        5 | 7 | 8 | 12..=14 => Err(Status::NOT_SUPPORTED),
        _ => Err(Status::BAD_PARAM),
    }
}

/// The `cudnnDataType_t` of a type.
pub(crate) fn type_code(kind: Type) -> u32 {
    match kind {
        Type::F32 => 0,
        Type::F64 => 1,
        Type::F16 => 2,
        Type::I8 => 3,
        Type::I32 => 4,
        Type::U8 => 6,
        Type::Bf16 => 9,
        Type::I64 => 10,
    }
}

/// Sizes, which are not negative.
pub(crate) fn sizes(values: &[i32]) -> Result<Vec<usize>> {
    values
        .iter()
        .map(|&value| usize::try_from(value).map_err(|_| Status::BAD_PARAM))
        .collect()
}

/// An array that a program passes.
///
/// # Safety
/// `pointer` is null or has `count` elements.
pub(crate) unsafe fn array<T: Copy>(pointer: *const T, count: i32) -> Result<Vec<T>> {
    let count = usize::try_from(count).map_err(|_| Status::BAD_PARAM)?;
    require(count <= 64 && (count == 0 || !pointer.is_null()))?;
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the promise of this function.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) }.to_vec())
}

/// Writes a result, if it is wanted.
///
/// # Safety
/// `pointer` is null or may be written.
pub(crate) unsafe fn put<T>(pointer: *mut T, value: T) {
    if !pointer.is_null() {
        // SAFETY: the promise of this function.
        unsafe { pointer.write(value) };
    }
}

/// Writes as many numbers as there are and are wanted.
///
/// # Safety
/// `pointer` is null or has room for `count`.
pub(crate) unsafe fn put_all(pointer: *mut i32, count: i32, values: &[usize]) {
    for (at, &value) in values
        .iter()
        .enumerate()
        .take(usize::try_from(count).unwrap_or(0))
    {
        if !pointer.is_null() {
            // SAFETY: the promise of this function.
            unsafe { pointer.add(at).write(value as i32) };
        }
    }
}

/// What a tensor descriptor holds, once it was set.
#[derive(Debug, Clone, Default)]
pub(crate) struct TensorDescriptor(pub(crate) Option<Layout>);

/// What a filter descriptor holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilterDescriptor(pub(crate) Option<(Layout, u32)>);

/// The layout that a tensor descriptor holds.
pub(crate) fn tensor_layout(descriptor: *mut c_void) -> Result<Layout> {
    get::<TensorDescriptor>(descriptor)?
        .0
        .ok_or(Status::BAD_PARAM)
}

/// The layout that a filter descriptor holds.
pub(crate) fn filter_layout(descriptor: *mut c_void) -> Result<Layout> {
    let held = get::<FilterDescriptor>(descriptor)?.0;
    held.map(|(layout, _)| layout).ok_or(Status::BAD_PARAM)
}

/// The tensor of a descriptor and a pointer.
pub(crate) fn tensor(descriptor: *mut c_void, data: *const c_void) -> Result<Tensor> {
    at(tensor_layout(descriptor)?, data)
}

/// A tensor of that layout.
pub(crate) fn at(layout: Layout, data: *const c_void) -> Result<Tensor> {
    require(!data.is_null())?;
    Ok(Tensor::new(layout, data.cast())?)
}

/// The packed layout of a `cudnnTensorFormat_t`.
pub(crate) fn format_layout(format: u32, kind: Type, dims: &[usize]) -> Result<Layout> {
    require(dims.len() <= MAX_DIMS)?;
    match format {
        0 => Ok(Layout::packed(kind, dims)),
        1 => Ok(Layout::channels_last(kind, dims)),
        2 => Err(Status::NOT_SUPPORTED),
        _ => Err(Status::BAD_PARAM),
    }
}

/// A factor: a double where a tensor of the call has doubles, else a float.
///
/// # Safety
/// `pointer` is null or points to such a number.
pub(crate) unsafe fn scalar(pointer: *const c_void, doubles: bool) -> Result<f64> {
    require(!pointer.is_null())?;
    // SAFETY: the promise of this function; programs need not align it.
    Ok(unsafe {
        match doubles {
            true => pointer.cast::<f64>().read_unaligned(),
            false => pointer.cast::<f32>().read_unaligned().into(),
        }
    })
}

/// Two of them.
///
/// # Safety
/// As for [`scalar`].
pub(crate) unsafe fn scalars(
    alpha: *const c_void,
    beta: *const c_void,
    doubles: bool,
) -> Result<(f64, f64)> {
    // SAFETY: the promise of this function.
    unsafe { Ok((scalar(alpha, doubles)?, scalar(beta, doubles)?)) }
}

/// The factors of a call on these tensors, and whether it takes them as doubles and computes so.
///
/// # Safety
/// As for [`scalar`].
pub(crate) unsafe fn blended(
    alpha: *const c_void,
    beta: *const c_void,
    tensors: &[&Tensor],
) -> Result<((f64, f64), bool)> {
    let doubles = doubles(tensors);
    // SAFETY: the promise of this function.
    Ok((unsafe { scalars(alpha, beta, doubles)? }, doubles))
}

/// Whether a call on these tensors takes its factors as doubles, and computes so.
pub(crate) fn doubles(tensors: &[&Tensor]) -> bool {
    rgpu_softgpu_math::nn::tensor::doubles(tensors)
}
