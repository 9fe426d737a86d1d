//! Layers of the legacy API: pooling, activations, softmax, response normalisation, dropout.

use std::ffi::c_void;

use rgpu_softgpu_math::nn::{self, dropout, lrn, pointwise, pool, softmax};
use rgpu_softgpu_math::queue::Span;

use super::descriptor::{ActivationDescriptor, LrnDescriptor, PoolingDescriptor};
use crate::objects::{Context, create, descriptors, destroy, get, submit, with};
use crate::status::{Result, Status, require};
use crate::types::{blended, doubles, put, tensor, tensor_layout};

pub(crate) unsafe fn cudnnPoolingForward(
    handle: *mut c_void,
    pooling_desc: *mut c_void,
    alpha: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    beta: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let (pooling, ..) = get::<PoolingDescriptor>(pooling_desc)?
        .0
        .ok_or(Status::BAD_PARAM)?;
    let (x, y) = (tensor(x_desc, x)?, tensor(y_desc, y)?);
    require(
        x.layout.dims.len() == pooling.window.len() + 2
            && x.layout.dims.len() == y.layout.dims.len(),
    )?;
    require(x.layout.dims[..2] == y.layout.dims[..2])?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &y])? };
    submit!(context, "cudnnPoolingForward", doubles, T => pool::forward::<T>(&pooling, blend, &x, &y))
}

pub(crate) unsafe fn cudnnPoolingBackward(
    handle: *mut c_void,
    pooling_desc: *mut c_void,
    alpha: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    beta: *const c_void,
    dx_desc: *mut c_void,
    dx: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let (pooling, ..) = get::<PoolingDescriptor>(pooling_desc)?
        .0
        .ok_or(Status::BAD_PARAM)?;
    let (dy, dx) = (tensor(dy_desc, dy)?, tensor(dx_desc, dx)?);
    // Only the largest elements need the input; means do without.
    let x = match pooling.mode {
        pool::Mode::Max => {
            tensor(y_desc, y)?;
            tensor(x_desc, x)?
        }
        _ => dx.clone(),
    };
    require(x.layout.dims == dx.layout.dims && x.layout.dims.len() == dy.layout.dims.len())?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &dy, &dx])? };
    submit!(context, "cudnnPoolingBackward", doubles, T => pool::backward::<T>(&pooling, blend, &dy, &x, &dx))
}

pub(crate) unsafe fn cudnnActivationForward(
    handle: *mut c_void,
    activation_desc: *mut c_void,
    alpha: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    beta: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let activation = get::<ActivationDescriptor>(activation_desc)?.activation()?;
    let (x, y) = (tensor(x_desc, x)?, tensor(y_desc, y)?);
    require(x.layout.dims == y.layout.dims)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &y])? };
    submit!(context, "cudnnActivationForward", doubles, T => pointwise::activate::<T>(activation, blend, &x, &y))
}

pub(crate) unsafe fn cudnnActivationBackward(
    handle: *mut c_void,
    activation_desc: *mut c_void,
    alpha: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    beta: *const c_void,
    dx_desc: *mut c_void,
    dx: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let activation = get::<ActivationDescriptor>(activation_desc)?.activation()?;
    let (y, dy) = (tensor(y_desc, y)?, tensor(dy_desc, dy)?);
    let (x, dx) = (tensor(x_desc, x)?, tensor(dx_desc, dx)?);
    let dims = &dx.layout.dims;
    require(
        [&y, &dy, &x]
            .iter()
            .all(|tensor| tensor.layout.dims == *dims),
    )?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &y, &dy, &dx])? };
    submit!(context, "cudnnActivationBackward", doubles, T => {
        pointwise::activate_backward::<T>(activation, blend, Some(&y), &dy, Some(&x), &dx)
    })
}

/// Whether it is the logarithm, and whether a whole sample is normalised.
fn kind(algo: u32, mode: u32) -> Result<(bool, bool)> {
    require(algo <= 2 && mode <= 1)?;
    Ok((algo == 2, mode == 0))
}

pub(crate) unsafe fn cudnnSoftmaxForward(
    handle: *mut c_void,
    algo: u32,
    mode: u32,
    alpha: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    beta: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let (log, whole) = kind(algo, mode)?;
    let (x, y) = (tensor(x_desc, x)?, tensor(y_desc, y)?);
    require(x.layout.dims == y.layout.dims)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &y])? };
    submit!(context, "cudnnSoftmaxForward", doubles, T => softmax::forward::<T>(log, whole, blend, &x, &y))
}

pub(crate) unsafe fn cudnnSoftmaxBackward(
    handle: *mut c_void,
    algo: u32,
    mode: u32,
    alpha: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    beta: *const c_void,
    dx_desc: *mut c_void,
    dx: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let (log, whole) = kind(algo, mode)?;
    let (y, dy, dx) = (
        tensor(y_desc, y)?,
        tensor(dy_desc, dy)?,
        tensor(dx_desc, dx)?,
    );
    require(y.layout.dims == dy.layout.dims && y.layout.dims == dx.layout.dims)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&y, &dy, &dx])? };
    submit!(context, "cudnnSoftmaxBackward", doubles, T => softmax::backward::<T>(log, whole, blend, &y, &dy, &dx))
}

pub(crate) unsafe fn cudnnLRNCrossChannelForward(
    handle: *mut c_void,
    norm_desc: *mut c_void,
    mode: u32,
    alpha: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    beta: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let LrnDescriptor(norm) = get(norm_desc)?;
    let (x, y) = (tensor(x_desc, x)?, tensor(y_desc, y)?);
    require(mode == 0 && x.layout.dims == y.layout.dims)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &y])? };
    submit!(context, "cudnnLRNCrossChannelForward", doubles, T => lrn::forward::<T>(&norm, blend, &x, &y))
}

pub(crate) unsafe fn cudnnLRNCrossChannelBackward(
    handle: *mut c_void,
    norm_desc: *mut c_void,
    mode: u32,
    alpha: *const c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    beta: *const c_void,
    dx_desc: *mut c_void,
    dx: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let LrnDescriptor(norm) = get(norm_desc)?;
    let (y, dy) = (tensor(y_desc, y)?, tensor(dy_desc, dy)?);
    let (x, dx) = (tensor(x_desc, x)?, tensor(dx_desc, dx)?);
    require(
        mode == 0
            && [&y, &dy, &x]
                .iter()
                .all(|tensor| tensor.layout.dims == dx.layout.dims),
    )?;
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&y, &dy, &x, &dx])? };
    submit!(context, "cudnnLRNCrossChannelBackward", doubles, T => lrn::backward::<T>(&norm, blend, [&y, &dy, &x], &dx))
}

/// What a dropout descriptor holds: the rate, and where seed and count of numbers drawn are.
#[derive(Debug, Clone, Default)]
pub(crate) struct DropoutDescriptor {
    pub(super) rate: f32,
    states: Option<Span<u64>>,
}

impl DropoutDescriptor {
    /// Seed, and how many numbers were drawn before the `count` that are drawn now; for use when the work runs.
    pub(super) fn draw(&self, count: usize) -> nn::Result<(u64, u64)> {
        let states = self.states.ok_or(nn::Error::Unsupported)?;
        // SAFETY: memory that the driver has vouched for, and this stream's alone.
        let states = unsafe { &mut *states.pointer().cast::<[u64; STATES]>() };
        let [seed, drawn] = *states;
        states[1] = drawn.wrapping_add(count as u64);
        Ok((seed, drawn))
    }
}

descriptors! {
    cudnnCreateDropoutDescriptor, cudnnDestroyDropoutDescriptor: DropoutDescriptor;
}

/// Seed and count, as 64 bits each.
const STATES: usize = 2;

pub(crate) unsafe fn cudnnDropoutGetStatesSize(handle: *mut c_void, size: *mut usize) -> Result {
    get::<Context>(handle)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put(size, STATES * size_of::<u64>()) };
    Ok(())
}

pub(crate) unsafe fn cudnnDropoutGetReserveSpaceSize(
    x_desc: *mut c_void,
    size: *mut usize,
) -> Result {
    let layout = tensor_layout(x_desc)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put(size, layout.elements()) };
    Ok(())
}

fn set_dropout(
    descriptor: *mut c_void,
    rate: f32,
    states: *mut c_void,
    bytes: usize,
) -> Result<Option<Span<u64>>> {
    require((0.0..=1.0).contains(&rate))?;
    // Without states, only the rate changes.
    let span = match states.is_null() {
        true => None,
        false => {
            require(bytes >= STATES * size_of::<u64>())?;
            Some(Span::new(states.cast::<u64>(), STATES)?)
        }
    };
    with(descriptor, |held: &mut DropoutDescriptor| {
        held.rate = rate;
        held.states = span.or(held.states);
        Ok(())
    })?;
    Ok(span)
}

pub(crate) unsafe fn cudnnSetDropoutDescriptor(
    descriptor: *mut c_void,
    handle: *mut c_void,
    rate: f32,
    states: *mut c_void,
    bytes: usize,
    seed: u64,
) -> Result {
    let context = get::<Context>(handle)?;
    let Some(span) = set_dropout(descriptor, rate, states, bytes)? else {
        return Ok(());
    };
    context.submit("cudnnSetDropoutDescriptor", move |_| {
        // SAFETY: two aligned numbers, which the driver has vouched for.
        unsafe { span.pointer().cast::<[u64; STATES]>().write([seed, 0]) };
        Ok(())
    })
}

pub(crate) unsafe fn cudnnRestoreDropoutDescriptor(
    descriptor: *mut c_void,
    handle: *mut c_void,
    rate: f32,
    states: *mut c_void,
    bytes: usize,
    _seed: u64,
) -> Result {
    get::<Context>(handle)?;
    set_dropout(descriptor, rate, states, bytes)?;
    Ok(())
}

pub(crate) unsafe fn cudnnDropoutForward(
    handle: *mut c_void,
    descriptor: *mut c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    reserve: *mut c_void,
    bytes: usize,
) -> Result {
    let context = get::<Context>(handle)?;
    let held = get::<DropoutDescriptor>(descriptor)?;
    require(held.states.is_some())?;
    let (x, y) = (tensor(x_desc, x)?, tensor(y_desc, y)?);
    let elements = x.layout.elements();
    require(x.layout.dims == y.layout.dims && bytes >= elements)?;
    let kept = Span::new(reserve.cast::<u8>(), elements)?;
    submit!(context, "cudnnDropoutForward", doubles(&[&x, &y]), T => {
        // SAFETY: memory that the driver has vouched for, and this stream's alone.
        let kept = unsafe { std::slice::from_raw_parts_mut(kept.pointer(), elements) };
        dropout::forward::<T>(held.rate.into(), held.draw(elements)?, &x, &y, kept)
    })
}

pub(crate) unsafe fn cudnnDropoutBackward(
    handle: *mut c_void,
    descriptor: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    dx_desc: *mut c_void,
    dx: *mut c_void,
    reserve: *mut c_void,
    bytes: usize,
) -> Result {
    let context = get::<Context>(handle)?;
    let held = get::<DropoutDescriptor>(descriptor)?;
    let (dy, dx) = (tensor(dy_desc, dy)?, tensor(dx_desc, dx)?);
    let elements = dy.layout.elements();
    require(dx.layout.dims == dy.layout.dims && bytes >= elements)?;
    let kept = Span::new(reserve.cast::<u8>(), elements)?;
    submit!(context, "cudnnDropoutBackward", doubles(&[&dy, &dx]), T => {
        // SAFETY: memory that the driver has vouched for.
        let kept = unsafe { std::slice::from_raw_parts(kept.pointer(), elements) };
        dropout::backward::<T>(held.rate.into(), &dy, &dx, kept)
    })
}
