//! Operations on tensors: add, scale, set, copy, reduce.

use std::ffi::c_void;

use rgpu_softgpu_math::nn::pointwise;
use rgpu_softgpu_math::nn::reduce::{Reduction, reduce};
use rgpu_softgpu_math::nn::tensor::Real;

use super::convolution::factor;
use super::descriptor::{OpTensorDescriptor, ReduceDescriptor, TransformDescriptor};
use crate::objects::{Context, get, submit};
use crate::status::{Result, Status, require};
use crate::types::{blended, doubles, put, scalars, tensor, tensor_layout};

pub(crate) unsafe fn cudnnAddTensor(
    handle: *mut c_void,
    alpha: *const c_void,
    a_desc: *mut c_void,
    a: *mut c_void,
    beta: *const c_void,
    c_desc: *mut c_void,
    c: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let (a, c) = (tensor(a_desc, a)?, tensor(c_desc, c)?);
    a.layout.broadcast(&c.layout.dims)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&a, &c])? };
    submit!(context, "cudnnAddTensor", doubles, T => pointwise::unary(blend, &a, &c, |a: T| a))
}

pub(crate) unsafe fn cudnnOpTensor(
    handle: *mut c_void,
    op_desc: *mut c_void,
    alpha1: *const c_void,
    a_desc: *mut c_void,
    a: *mut c_void,
    alpha2: *const c_void,
    b_desc: *mut c_void,
    b: *mut c_void,
    beta: *const c_void,
    c_desc: *mut c_void,
    c: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let operation = get::<OpTensorDescriptor>(op_desc)?.operation;
    let (a, c) = (tensor(a_desc, a)?, tensor(c_desc, c)?);
    // Roots and negations have one operand.
    let b = if matches!(operation, 4 | 5) {
        a.clone()
    } else {
        tensor(b_desc, b)?
    };
    require(a.layout.dims == c.layout.dims)?;
    b.layout.broadcast(&c.layout.dims)?;
    let doubles = doubles(&[&a, &b, &c]);
    // SAFETY: the caller keeps the contract of the C function.
    let (alpha1, beta) = unsafe { scalars(alpha1, beta, doubles)? };
    let alpha2 = match operation {
        4 | 5 => 0.0,
        // SAFETY: as above.
        _ => unsafe { factor(alpha2, &[&a, &b, &c])? },
    };
    submit!(context, "cudnnOpTensor", doubles, T => {
        let (one, two) = (T::of(alpha1), T::of(alpha2));
        let (both, blend) = ([&a, &b], (1.0, beta));
        match operation {
            0 => pointwise::binary(blend, both, &c, |a: T, b| one * a + two * b),
            1 => pointwise::binary(blend, both, &c, |a: T, b| one * a * (two * b)),
            2 => pointwise::binary(blend, both, &c, |a: T, b| T::min(one * a, two * b)),
            3 => pointwise::binary(blend, both, &c, |a: T, b| T::max(one * a, two * b)),
            4 => pointwise::unary(blend, &a, &c, |a: T| (one * a).sqrt()),
            _ => pointwise::unary(blend, &a, &c, |a: T| T::of(1.0) - one * a),
        }
    })
}

pub(crate) unsafe fn cudnnScaleTensor(
    handle: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    alpha: *const c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let y = tensor(y_desc, y)?;
    // SAFETY: the caller keeps the contract of the C function.
    let alpha = unsafe { factor(alpha, &[&y])? };
    submit!(context, "cudnnScaleTensor", doubles(&[&y]), T => pointwise::unary((alpha, 0.0), &y, &y, |y: T| y))
}

pub(crate) unsafe fn cudnnSetTensor(
    handle: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    value: *const c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let y = tensor(y_desc, y)?;
    // SAFETY: the caller keeps the contract of the C function.
    let value = unsafe { factor(value, &[&y])? };
    submit!(context, "cudnnSetTensor", doubles(&[&y]), T => {
        pointwise::fill::<T>(&y, value);
        Ok(())
    })
}

pub(crate) unsafe fn cudnnTransformTensor(
    handle: *mut c_void,
    alpha: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    beta: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let (x, y) = (tensor(x_desc, x)?, tensor(y_desc, y)?);
    require(x.layout.dims == y.layout.dims)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &y])? };
    submit!(context, "cudnnTransformTensor", doubles, T => pointwise::unary(blend, &x, &y, |x: T| x))
}

/// Another order of dimensions, which the descriptors say; padding and folding are not supported.
pub(crate) unsafe fn cudnnTransformTensorEx(
    handle: *mut c_void,
    transform_desc: *mut c_void,
    alpha: *const c_void,
    src_desc: *mut c_void,
    src: *mut c_void,
    beta: *const c_void,
    dest_desc: *mut c_void,
    dest: *mut c_void,
) -> Result {
    let transform = get::<TransformDescriptor>(transform_desc)?;
    let pads = transform
        .before
        .iter()
        .chain(&transform.after)
        .any(|&pad| pad != 0);
    if pads || transform.fold.iter().any(|&fold| fold > 1) {
        return Err(Status::NOT_SUPPORTED);
    }
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { cudnnTransformTensor(handle, alpha, src_desc, src, beta, dest_desc, dest) }
}

/// The reduction of a `cudnnReduceTensorOp_t`.
pub(crate) fn reduction(code: u32) -> Result<Reduction> {
    Ok(match code {
        0 => Reduction::Add,
        1 => Reduction::Mul,
        2 => Reduction::Min,
        3 => Reduction::Max,
        4 => Reduction::Amax,
        5 => Reduction::Avg,
        6 => Reduction::Norm1,
        7 => Reduction::Norm2,
        8 => Reduction::MulNoZeros,
        _ => return Err(Status::BAD_PARAM),
    })
}

pub(crate) unsafe fn cudnnReduceTensor(
    handle: *mut c_void,
    reduce_desc: *mut c_void,
    _indices: *mut c_void,
    _indices_size: usize,
    _workspace: *mut c_void,
    _workspace_size: usize,
    alpha: *const c_void,
    a_desc: *mut c_void,
    a: *mut c_void,
    beta: *const c_void,
    c_desc: *mut c_void,
    c: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let held = get::<ReduceDescriptor>(reduce_desc)?;
    if held.indices != 0 {
        return Err(Status::NOT_SUPPORTED);
    }
    let reduction = reduction(held.operation)?;
    let (a, c) = (tensor(a_desc, a)?, tensor(c_desc, c)?);
    require(a.layout.dims.len() == c.layout.dims.len())?;
    c.layout.broadcast(&a.layout.dims)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&a, &c])? };
    submit!(context, "cudnnReduceTensor", doubles, T => reduce::<T>(reduction, blend, &a, &c))
}

/// Sizes that are always zero.
macro_rules! nothing {
    ($($name:ident;)*) => {$(
        pub(crate) unsafe fn $name(
            handle: *mut c_void,
            reduce_desc: *mut c_void,
            a_desc: *mut c_void,
            c_desc: *mut c_void,
            size: *mut usize,
        ) -> Result {
            get::<Context>(handle)?;
            if get::<ReduceDescriptor>(reduce_desc)?.indices != 0 {
                return Err(Status::NOT_SUPPORTED);
            }
            tensor_layout(c_desc)?.broadcast(&tensor_layout(a_desc)?.dims)?;
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { put(size, 0) };
            Ok(())
        }
    )*};
}

nothing! {
    cudnnGetReductionIndicesSize;
    cudnnGetReductionWorkspaceSize;
}
