//! Convolutions of the legacy API. Any algorithm of cuDNN is ours; none needs workspace.

use std::ffi::c_void;

use rgpu_softgpu_math::nn::conv::{self, Convolution};
use rgpu_softgpu_math::nn::pointwise;
use rgpu_softgpu_math::nn::reduce::{Reduction, reduce};
use rgpu_softgpu_math::nn::tensor::{Layout, Tensor, Type};

use super::descriptor::{ActivationDescriptor, ConvolutionDescriptor};
use crate::objects::{Context, get, submit};
use crate::status::{Result, Status, require};
use crate::types::{
    at, blended, doubles, filter_layout, put, put_all, scalar, scalars, tensor, tensor_layout,
};

/// Whether we compute with elements of that type.
fn floating(kind: Type) -> bool {
    matches!(kind, Type::F16 | Type::Bf16 | Type::F32 | Type::F64)
}

/// The convolution of a descriptor, if it fits these tensors.
fn fitting(descriptor: *mut c_void, x: &Layout, w: &Layout, y: &Layout) -> Result<Convolution> {
    let held = get::<ConvolutionDescriptor>(descriptor)?;
    let conv = held.conv.ok_or(Status::BAD_PARAM)?;
    require(conv.output(&x.dims, &w.dims)? == y.dims)?;
    require(w.dims[1] * held.groups as usize == x.dims[1])?;
    match [x, w, y].iter().all(|layout| floating(layout.kind)) {
        true => Ok(conv),
        false => Err(Status::NOT_SUPPORTED),
    }
}

/// Refuses workspace that is said to be there and is not.
fn workspace(pointer: *mut c_void, bytes: usize) -> Result {
    if !pointer.is_null() && bytes > 0 {
        rgpu_softgpu_math::queue::Span::new(pointer.cast::<u8>(), bytes)?;
    }
    Ok(())
}

pub(crate) unsafe fn cudnnConvolutionForward(
    handle: *mut c_void,
    alpha: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    w_desc: *mut c_void,
    w: *mut c_void,
    conv_desc: *mut c_void,
    algo: u32,
    work_space: *mut c_void,
    work_space_size: usize,
    beta: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    require(algo < 8)?;
    workspace(work_space, work_space_size)?;
    let (x, w, y) = (
        tensor(x_desc, x)?,
        at(filter_layout(w_desc)?, w)?,
        tensor(y_desc, y)?,
    );
    let conv = fitting(conv_desc, &x.layout, &w.layout, &y.layout)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &w, &y])? };
    submit!(context, "cudnnConvolutionForward", doubles, T => conv::forward::<T>(&conv, blend, &x, &w, &y))
}

pub(crate) unsafe fn cudnnConvolutionBackwardData(
    handle: *mut c_void,
    alpha: *const c_void,
    w_desc: *mut c_void,
    w: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    conv_desc: *mut c_void,
    algo: u32,
    work_space: *mut c_void,
    work_space_size: usize,
    beta: *const c_void,
    dx_desc: *mut c_void,
    dx: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    require(algo < 6)?;
    workspace(work_space, work_space_size)?;
    let (w, dy, dx) = (
        at(filter_layout(w_desc)?, w)?,
        tensor(dy_desc, dy)?,
        tensor(dx_desc, dx)?,
    );
    let conv = fitting(conv_desc, &dx.layout, &w.layout, &dy.layout)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&dx, &w, &dy])? };
    submit!(context, "cudnnConvolutionBackwardData", doubles, T => conv::backward_data::<T>(&conv, blend, &w, &dy, &dx))
}

pub(crate) unsafe fn cudnnConvolutionBackwardFilter(
    handle: *mut c_void,
    alpha: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    conv_desc: *mut c_void,
    algo: u32,
    work_space: *mut c_void,
    work_space_size: usize,
    beta: *const c_void,
    dw_desc: *mut c_void,
    dw: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    require(algo < 7)?;
    workspace(work_space, work_space_size)?;
    let (x, dy, dw) = (
        tensor(x_desc, x)?,
        tensor(dy_desc, dy)?,
        at(filter_layout(dw_desc)?, dw)?,
    );
    let conv = fitting(conv_desc, &x.layout, &dw.layout, &dy.layout)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &dw, &dy])? };
    submit!(context, "cudnnConvolutionBackwardFilter", doubles, T => {
        conv::backward_filter::<T>(&conv, blend, &x, &dy, &dw)
    })
}

pub(crate) unsafe fn cudnnConvolutionBackwardBias(
    handle: *mut c_void,
    alpha: *const c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    beta: *const c_void,
    db_desc: *mut c_void,
    db: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let (dy, db) = (tensor(dy_desc, dy)?, tensor(db_desc, db)?);
    let (from, to) = (&dy.layout.dims, &db.layout.dims);
    require(
        from.len() == to.len()
            && to
                .iter()
                .enumerate()
                .all(|(at, &dim)| dim == if at == 1 { from[1] } else { 1 }),
    )?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&dy, &db])? };
    submit!(context, "cudnnConvolutionBackwardBias", doubles, T => reduce::<T>(Reduction::Add, blend, &dy, &db))
}

pub(crate) unsafe fn cudnnConvolutionBiasActivationForward(
    handle: *mut c_void,
    alpha1: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    w_desc: *mut c_void,
    w: *mut c_void,
    conv_desc: *mut c_void,
    algo: u32,
    work_space: *mut c_void,
    work_space_size: usize,
    alpha2: *const c_void,
    z_desc: *mut c_void,
    z: *mut c_void,
    bias_desc: *mut c_void,
    bias: *mut c_void,
    activation_desc: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    require(algo < 8)?;
    workspace(work_space, work_space_size)?;
    let (x, w, y) = (
        tensor(x_desc, x)?,
        at(filter_layout(w_desc)?, w)?,
        tensor(y_desc, y)?,
    );
    let bias = tensor(bias_desc, bias)?;
    let conv = fitting(conv_desc, &x.layout, &w.layout, &y.layout)?;
    let activation = get::<ActivationDescriptor>(activation_desc)?.activation()?;
    let doubles = doubles(&[&x, &w, &y, &bias]);
    // SAFETY: the caller keeps the contract of the C function.
    let (alpha1, alpha2) = unsafe { scalars(alpha1, alpha2, doubles)? };
    // Where its factor is zero, z need not be there.
    let z = if alpha2 == 0.0 {
        None
    } else {
        Some(tensor(z_desc, z)?)
    };
    require(z.as_ref().is_none_or(|z| z.layout.dims == y.layout.dims))?;
    bias.layout.broadcast(&y.layout.dims)?;
    submit!(context, "cudnnConvolutionBiasActivationForward", doubles, T => {
        let layout = Layout { kind: <T as rgpu_softgpu_math::nn::tensor::Real>::KIND, ..y.layout.clone() };
        let mut memory: Vec<T> = vec![T::default(); layout.extent()];
        // SAFETY: the memory outlives the tensor.
        let sum = unsafe { Tensor::trusted(layout, memory.as_mut_ptr().cast()) };
        conv::forward::<T>(&conv, (alpha1, 0.0), &x, &w, &sum)?;
        match &z {
            Some(z) => pointwise::ternary((1.0, 0.0), [&sum, &bias, z], &sum, |sum: T, bias, z| {
                sum + bias + alpha2 as T * z
            })?,
            None => pointwise::binary((1.0, 0.0), [&sum, &bias], &sum, |sum: T, bias| sum + bias)?,
        }
        pointwise::activate::<T>(activation, (1.0, 0.0), &sum, &y)
    })
}

pub(crate) unsafe fn cudnnGetConvolutionNdForwardOutputDim(
    conv_desc: *mut c_void,
    x_desc: *mut c_void,
    w_desc: *mut c_void,
    rank: i32,
    dims: *mut i32,
) -> Result {
    let conv = get::<ConvolutionDescriptor>(conv_desc)?
        .conv
        .ok_or(Status::BAD_PARAM)?;
    let output = conv.output(&tensor_layout(x_desc)?.dims, &filter_layout(w_desc)?.dims)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put_all(dims, rank, &output) };
    Ok(())
}

pub(crate) unsafe fn cudnnGetConvolution2dForwardOutputDim(
    conv_desc: *mut c_void,
    x_desc: *mut c_void,
    w_desc: *mut c_void,
    n: *mut i32,
    c: *mut i32,
    h: *mut i32,
    w: *mut i32,
) -> Result {
    let mut dims = [0; 4];
    require(tensor_layout(x_desc)?.dims.len() == 4)?;
    // SAFETY: the caller keeps the contract of the C function; `dims` has room for four.
    unsafe {
        cudnnGetConvolutionNdForwardOutputDim(conv_desc, x_desc, w_desc, 4, dims.as_mut_ptr())?;
        for (pointer, dim) in [n, c, h, w].into_iter().zip(dims) {
            put(pointer, dim);
        }
    }
    Ok(())
}

/// A `cudnnConvolution…AlgoPerf_t`: algorithm, status, time, memory, determinism, kind of mathematics, reserved.
fn performance(algo: u32) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[..4].copy_from_slice(&algo.to_ne_bytes());
    // No measurement: what it would take is not known before.
    bytes[8..12].copy_from_slice(&(-1.0f32).to_ne_bytes());
    bytes[24..28].copy_from_slice(&1u32.to_ne_bytes());
    // CUDNN_FMA_MATH.
    bytes[28..32].copy_from_slice(&3u32.to_ne_bytes());
    bytes
}

/// The one algorithm there is, under the number of a deterministic one of cuDNN.
///
/// # Safety
/// The pointers are null or may be written.
unsafe fn found(algo: u32, requested: i32, returned: *mut i32, results: *mut [u8; 48]) -> Result {
    require(requested > 0 && !returned.is_null() && !results.is_null())?;
    // SAFETY: the promise of this function.
    unsafe {
        put(returned, 1);
        put(results, performance(algo));
    }
    Ok(())
}

/// Functions that name the algorithm, those that say how many there are, and those that say how much workspace they
/// need. The order of the descriptors differs.
macro_rules! algorithms {
    ($($max:ident = $count:literal, $workspace:ident, $get:ident, $find:ident, $find_ex:ident,
        $algo:literal, ($a:ident, $b:ident, $conv:ident, $c:ident) => ($x:ident, $w:ident, $y:ident);)*) => {$(
        pub(crate) unsafe fn $max(handle: *mut c_void, count: *mut i32) -> Result {
            get::<Context>(handle)?;
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { put(count, $count) };
            Ok(())
        }

        pub(crate) unsafe fn $workspace(
            handle: *mut c_void,
            $a: *mut c_void,
            $b: *mut c_void,
            $conv: *mut c_void,
            $c: *mut c_void,
            algo: u32,
            size: *mut usize,
        ) -> Result {
            get::<Context>(handle)?;
            require(algo < $count)?;
            fitting($conv, &tensor_layout($x)?, &filter_layout($w)?, &tensor_layout($y)?)?;
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { put(size, 0) };
            Ok(())
        }

        pub(crate) unsafe fn $get(
            handle: *mut c_void,
            $a: *mut c_void,
            $b: *mut c_void,
            $conv: *mut c_void,
            $c: *mut c_void,
            requested: i32,
            returned: *mut i32,
            results: *mut [u8; 48],
        ) -> Result {
            get::<Context>(handle)?;
            fitting($conv, &tensor_layout($x)?, &filter_layout($w)?, &tensor_layout($y)?)?;
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { found($algo, requested, returned, results) }
        }

        pub(crate) unsafe fn $find(
            handle: *mut c_void,
            $a: *mut c_void,
            $b: *mut c_void,
            $conv: *mut c_void,
            $c: *mut c_void,
            requested: i32,
            returned: *mut i32,
            results: *mut [u8; 48],
        ) -> Result {
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { $get(handle, $a, $b, $conv, $c, requested, returned, results) }
        }

        pub(crate) unsafe fn $find_ex(
            handle: *mut c_void,
            $a: *mut c_void,
            _: *mut c_void,
            $b: *mut c_void,
            _: *mut c_void,
            $conv: *mut c_void,
            $c: *mut c_void,
            _: *mut c_void,
            requested: i32,
            returned: *mut i32,
            results: *mut [u8; 48],
            _: *mut c_void,
            _: usize,
        ) -> Result {
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { $get(handle, $a, $b, $conv, $c, requested, returned, results) }
        }
    )*};
}

algorithms! {
    cudnnGetConvolutionForwardAlgorithmMaxCount = 8, cudnnGetConvolutionForwardWorkspaceSize,
        cudnnGetConvolutionForwardAlgorithm_v7, cudnnFindConvolutionForwardAlgorithm,
        cudnnFindConvolutionForwardAlgorithmEx, 1, (x, w, conv, y) => (x, w, y);
    cudnnGetConvolutionBackwardDataAlgorithmMaxCount = 6, cudnnGetConvolutionBackwardDataWorkspaceSize,
        cudnnGetConvolutionBackwardDataAlgorithm_v7, cudnnFindConvolutionBackwardDataAlgorithm,
        cudnnFindConvolutionBackwardDataAlgorithmEx, 1, (w, dy, conv, dx) => (dx, w, dy);
    cudnnGetConvolutionBackwardFilterAlgorithmMaxCount = 7, cudnnGetConvolutionBackwardFilterWorkspaceSize,
        cudnnGetConvolutionBackwardFilterAlgorithm_v7, cudnnFindConvolutionBackwardFilterAlgorithm,
        cudnnFindConvolutionBackwardFilterAlgorithmEx, 1, (x, dy, conv, dw) => (x, dw, dy);
}

/// One factor, of a call on these tensors.
///
/// # Safety
/// As for [`scalar`].
pub(crate) unsafe fn factor(pointer: *const c_void, tensors: &[&Tensor]) -> Result<f64> {
    // SAFETY: the promise of this function.
    unsafe { scalar(pointer, doubles(tensors)) }
}
