//! Batch normalisation: the functions of that name, and those of the normalisation API, which mean the same.
//!
//! Nothing needs workspace or reserve space: the way back sees from the output what an activation cut off.

use std::ffi::c_void;
use std::ptr::null_mut;

use rgpu_softgpu_math::nn::norm::{self, After, Backward, Training};
use rgpu_softgpu_math::nn::pointwise::Activation;
use rgpu_softgpu_math::nn::tensor::{Layout, Tensor};

use super::descriptor::{ActivationDescriptor, parameters};
use crate::objects::{Context, get, submit};
use crate::status::{Result, Status, require};
use crate::types::{at, blended, doubles, put, scalars, tensor, tensor_layout};

/// What comes after the normalisation, for a `cudnnBatchNormOps_t`: whether something is added, and whether negative
/// values become zero.
fn after(ops: u32, activation: *mut c_void) -> Result<(bool, bool)> {
    let relu =
        |activation: *mut c_void| match get::<ActivationDescriptor>(activation)?.activation()? {
            Activation::Relu { .. } => Ok(true),
            Activation::Identity => Ok(false),
            _ => Err(Status::NOT_SUPPORTED),
        };
    match ops {
        0 => Ok((false, false)),
        1 => Ok((false, relu(activation)?)),
        2 => Ok((true, relu(activation)?)),
        _ => Err(Status::BAD_PARAM),
    }
}

/// The layout of the parameters, if it fits.
fn fitting(desc: *mut c_void, x: &Layout, mode: u32) -> Result<Layout> {
    let layout = tensor_layout(desc)?;
    require(layout.dims == parameters(x, mode)?.dims)?;
    Ok(layout)
}

/// Two tensors that are both there or both not.
fn pair(layout: &Layout, one: *mut c_void, two: *mut c_void) -> Result<Option<(Tensor, Tensor)>> {
    require(one.is_null() == two.is_null())?;
    match one.is_null() {
        true => Ok(None),
        false => Ok(Some((at(layout.clone(), one)?, at(layout.clone(), two)?))),
    }
}

#[expect(clippy::too_many_arguments, reason = "what both APIs pass")]
unsafe fn inference(
    handle: *mut c_void,
    mode: u32,
    (alpha, beta): (*const c_void, *const c_void),
    [x_desc, x]: [*mut c_void; 2],
    [y_desc, y]: [*mut c_void; 2],
    [z_desc, z]: [*mut c_void; 2],
    desc: *mut c_void,
    pointers: [*mut c_void; 4],
    epsilon: f64,
    (adds, relu): (bool, bool),
) -> Result {
    let context = get::<Context>(handle)?;
    let (x, y) = (tensor(x_desc, x)?, tensor(y_desc, y)?);
    let layout = fitting(desc, &x.layout, mode)?;
    require(x.layout.dims == y.layout.dims)?;
    let [scale, bias, mean, variance] = pointers.map(|pointer| at(layout.clone(), pointer));
    let (scale, bias, mean, variance) = (scale?, bias?, mean?, variance?);
    let after = After {
        add: if adds { Some(tensor(z_desc, z)?) } else { None },
        relu,
    };
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &y])? };
    submit!(context, "batch normalisation, inference", doubles, T => {
        norm::inference::<T>(blend, &x, &y, [&scale, &bias, &mean, &variance], epsilon, &after)
    })
}

/// Pointers to parameters and statistics of a training step.
struct Statistics {
    scale: *mut c_void,
    bias: *mut c_void,
    running: [*mut c_void; 2],
    saved: [*mut c_void; 2],
    weight: f64,
    epsilon: f64,
}

#[expect(clippy::too_many_arguments, reason = "what both APIs pass")]
unsafe fn training(
    handle: *mut c_void,
    mode: u32,
    (alpha, beta): (*const c_void, *const c_void),
    [x_desc, x]: [*mut c_void; 2],
    [y_desc, y]: [*mut c_void; 2],
    [z_desc, z]: [*mut c_void; 2],
    desc: *mut c_void,
    statistics: &Statistics,
    (adds, relu): (bool, bool),
) -> Result {
    let context = get::<Context>(handle)?;
    let (x, y) = (tensor(x_desc, x)?, tensor(y_desc, y)?);
    let layout = fitting(desc, &x.layout, mode)?;
    require(x.layout.dims == y.layout.dims)?;
    let [mean, variance] = statistics.running;
    let [saved_mean, saved_inverse] = statistics.saved;
    let running = pair(&layout, mean, variance)?;
    let training = Training {
        scale: at(layout.clone(), statistics.scale)?,
        bias: at(layout.clone(), statistics.bias)?,
        running: running.map(|(mean, variance)| (mean, variance, statistics.weight)),
        saved: pair(&layout, saved_mean, saved_inverse)?,
        epsilon: statistics.epsilon,
    };
    let after = After {
        add: if adds { Some(tensor(z_desc, z)?) } else { None },
        relu,
    };
    // SAFETY: the caller keeps the contract of the C function.
    let (blend, doubles) = unsafe { blended(alpha, beta, &[&x, &y])? };
    submit!(context, "batch normalisation, training", doubles, T => {
        norm::training::<T>(blend, &x, &y, &training, &after)
    })
}

/// Pointers to parameters and their gradients.
struct Gradients {
    scale: *mut c_void,
    dscale: *mut c_void,
    dbias: *mut c_void,
    saved: [*mut c_void; 2],
    epsilon: f64,
}

#[expect(clippy::too_many_arguments, reason = "what both APIs pass")]
unsafe fn backward(
    handle: *mut c_void,
    mode: u32,
    data: (*const c_void, *const c_void),
    parameters: (*const c_void, *const c_void),
    [x_desc, x]: [*mut c_void; 2],
    [y_desc, y]: [*mut c_void; 2],
    [dy_desc, dy]: [*mut c_void; 2],
    [dz_desc, dz]: [*mut c_void; 2],
    [dx_desc, dx]: [*mut c_void; 2],
    desc: *mut c_void,
    gradients: &Gradients,
    (adds, relu): (bool, bool),
) -> Result {
    let context = get::<Context>(handle)?;
    let x = tensor(x_desc, x)?;
    let layout = fitting(desc, &x.layout, mode)?;
    let [mean, inverse] = gradients.saved;
    let all = Backward {
        dy: tensor(dy_desc, dy)?,
        relu: if relu { Some(tensor(y_desc, y)?) } else { None },
        dx: tensor(dx_desc, dx)?,
        dz: if adds {
            Some(tensor(dz_desc, dz)?)
        } else {
            None
        },
        scale: at(layout.clone(), gradients.scale)?,
        dscale: at(layout.clone(), gradients.dscale)?,
        dbias: at(layout.clone(), gradients.dbias)?,
        saved: pair(&layout, mean, inverse)?,
        epsilon: gradients.epsilon,
        x,
    };
    require(all.x.layout.dims == all.dy.layout.dims && all.x.layout.dims == all.dx.layout.dims)?;
    let doubles = doubles(&[&all.x, &all.dy, &all.dx]);
    // SAFETY: the caller keeps the contract of the C function.
    let (data, parameters) = unsafe {
        (
            scalars(data.0, data.1, doubles)?,
            scalars(parameters.0, parameters.1, doubles)?,
        )
    };
    submit!(context, "batch normalisation, backward", doubles, T => norm::backward::<T>(data, parameters, &all))
}

const NONE: [*mut c_void; 2] = [null_mut(); 2];

pub(crate) unsafe fn cudnnBatchNormalizationForwardInference(
    handle: *mut c_void,
    mode: u32,
    alpha: *const c_void,
    beta: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    desc: *mut c_void,
    scale: *mut c_void,
    bias: *mut c_void,
    mean: *mut c_void,
    variance: *mut c_void,
    epsilon: f64,
) -> Result {
    let pointers = [scale, bias, mean, variance];
    let no = (false, false);
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        inference(
            handle,
            mode,
            (alpha, beta),
            [x_desc, x],
            [y_desc, y],
            NONE,
            desc,
            pointers,
            epsilon,
            no,
        )
    }
}

pub(crate) unsafe fn cudnnBatchNormalizationForwardTraining(
    handle: *mut c_void,
    mode: u32,
    alpha: *const c_void,
    beta: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    desc: *mut c_void,
    scale: *mut c_void,
    bias: *mut c_void,
    weight: f64,
    running_mean: *mut c_void,
    running_variance: *mut c_void,
    epsilon: f64,
    saved_mean: *mut c_void,
    saved_inverse: *mut c_void,
) -> Result {
    let running = [running_mean, running_variance];
    let saved = [saved_mean, saved_inverse];
    let statistics = Statistics {
        scale,
        bias,
        running,
        saved,
        weight,
        epsilon,
    };
    let no = (false, false);
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        training(
            handle,
            mode,
            (alpha, beta),
            [x_desc, x],
            [y_desc, y],
            NONE,
            desc,
            &statistics,
            no,
        )
    }
}

pub(crate) unsafe fn cudnnBatchNormalizationForwardTrainingEx(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    alpha: *const c_void,
    beta: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    z_desc: *mut c_void,
    z: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    desc: *mut c_void,
    scale: *mut c_void,
    bias: *mut c_void,
    weight: f64,
    running_mean: *mut c_void,
    running_variance: *mut c_void,
    epsilon: f64,
    saved_mean: *mut c_void,
    saved_inverse: *mut c_void,
    activation: *mut c_void,
    _workspace: *mut c_void,
    _workspace_size: usize,
    _reserve: *mut c_void,
    _reserve_size: usize,
) -> Result {
    let after = after(ops, activation)?;
    let running = [running_mean, running_variance];
    let saved = [saved_mean, saved_inverse];
    let statistics = Statistics {
        scale,
        bias,
        running,
        saved,
        weight,
        epsilon,
    };
    let (x, y, z) = ([x_desc, x], [y_desc, y], [z_desc, z]);
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        training(
            handle,
            mode,
            (alpha, beta),
            x,
            y,
            z,
            desc,
            &statistics,
            after,
        )
    }
}

pub(crate) unsafe fn cudnnBatchNormalizationBackward(
    handle: *mut c_void,
    mode: u32,
    alpha_data: *const c_void,
    beta_data: *const c_void,
    alpha_param: *const c_void,
    beta_param: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    dx_desc: *mut c_void,
    dx: *mut c_void,
    desc: *mut c_void,
    scale: *mut c_void,
    dscale: *mut c_void,
    dbias: *mut c_void,
    epsilon: f64,
    saved_mean: *mut c_void,
    saved_inverse: *mut c_void,
) -> Result {
    let gradients = Gradients {
        scale,
        dscale,
        dbias,
        saved: [saved_mean, saved_inverse],
        epsilon,
    };
    let (data, parameters) = ((alpha_data, beta_data), (alpha_param, beta_param));
    let (x, dy, dx) = ([x_desc, x], [dy_desc, dy], [dx_desc, dx]);
    let no = (false, false);
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        backward(
            handle, mode, data, parameters, x, NONE, dy, NONE, dx, desc, &gradients, no,
        )
    }
}

pub(crate) unsafe fn cudnnBatchNormalizationBackwardEx(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    alpha_data: *const c_void,
    beta_data: *const c_void,
    alpha_param: *const c_void,
    beta_param: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    dz_desc: *mut c_void,
    dz: *mut c_void,
    dx_desc: *mut c_void,
    dx: *mut c_void,
    desc: *mut c_void,
    scale: *mut c_void,
    _bias: *mut c_void,
    dscale: *mut c_void,
    dbias: *mut c_void,
    epsilon: f64,
    saved_mean: *mut c_void,
    saved_inverse: *mut c_void,
    activation: *mut c_void,
    _workspace: *mut c_void,
    _workspace_size: usize,
    _reserve: *mut c_void,
    _reserve_size: usize,
) -> Result {
    let after = after(ops, activation)?;
    let gradients = Gradients {
        scale,
        dscale,
        dbias,
        saved: [saved_mean, saved_inverse],
        epsilon,
    };
    let (data, parameters) = ((alpha_data, beta_data), (alpha_param, beta_param));
    let (x, y, dy, dz, dx) = (
        [x_desc, x],
        [y_desc, y],
        [dy_desc, dy],
        [dz_desc, dz],
        [dx_desc, dx],
    );
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        backward(
            handle, mode, data, parameters, x, y, dy, dz, dx, desc, &gradients, after,
        )
    }
}

pub(crate) unsafe fn cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    x_desc: *mut c_void,
    _z_desc: *mut c_void,
    _y_desc: *mut c_void,
    desc: *mut c_void,
    activation: *mut c_void,
    size: *mut usize,
) -> Result {
    get::<Context>(handle)?;
    after(ops, activation)?;
    fitting(desc, &tensor_layout(x_desc)?, mode)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put(size, 0) };
    Ok(())
}

pub(crate) unsafe fn cudnnGetBatchNormalizationBackwardExWorkspaceSize(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    x_desc: *mut c_void,
    _y_desc: *mut c_void,
    _dy_desc: *mut c_void,
    _dz_desc: *mut c_void,
    _dx_desc: *mut c_void,
    desc: *mut c_void,
    activation: *mut c_void,
    size: *mut usize,
) -> Result {
    get::<Context>(handle)?;
    after(ops, activation)?;
    fitting(desc, &tensor_layout(x_desc)?, mode)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put(size, 0) };
    Ok(())
}

pub(crate) unsafe fn cudnnGetBatchNormalizationTrainingExReserveSpaceSize(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    activation: *mut c_void,
    x_desc: *mut c_void,
    size: *mut usize,
) -> Result {
    get::<Context>(handle)?;
    after(ops, activation)?;
    parameters(&tensor_layout(x_desc)?, mode)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put(size, 0) };
    Ok(())
}

pub(crate) unsafe fn cudnnNormalizationForwardInference(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    _algo: u32,
    alpha: *const c_void,
    beta: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    desc: *mut c_void,
    scale: *mut c_void,
    bias: *mut c_void,
    mean_desc: *mut c_void,
    mean: *mut c_void,
    variance: *mut c_void,
    z_desc: *mut c_void,
    z: *mut c_void,
    activation: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    epsilon: f64,
    groups: i32,
) -> Result {
    require(groups == 1 && mode <= 1 && tensor_layout(desc)? == tensor_layout(mean_desc)?)?;
    let after = after(ops, activation)?;
    let pointers = [scale, bias, mean, variance];
    let (x, y, z) = ([x_desc, x], [y_desc, y], [z_desc, z]);
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        inference(
            handle,
            mode,
            (alpha, beta),
            x,
            y,
            z,
            desc,
            pointers,
            epsilon,
            after,
        )
    }
}

pub(crate) unsafe fn cudnnNormalizationForwardTraining(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    _algo: u32,
    alpha: *const c_void,
    beta: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    desc: *mut c_void,
    scale: *mut c_void,
    bias: *mut c_void,
    weight: f64,
    mean_desc: *mut c_void,
    running_mean: *mut c_void,
    running_variance: *mut c_void,
    epsilon: f64,
    saved_mean: *mut c_void,
    saved_inverse: *mut c_void,
    activation: *mut c_void,
    z_desc: *mut c_void,
    z: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    _workspace: *mut c_void,
    _workspace_size: usize,
    _reserve: *mut c_void,
    _reserve_size: usize,
    groups: i32,
) -> Result {
    require(groups == 1 && mode <= 1 && tensor_layout(desc)? == tensor_layout(mean_desc)?)?;
    let after = after(ops, activation)?;
    let running = [running_mean, running_variance];
    let saved = [saved_mean, saved_inverse];
    let statistics = Statistics {
        scale,
        bias,
        running,
        saved,
        weight,
        epsilon,
    };
    let (x, y, z) = ([x_desc, x], [y_desc, y], [z_desc, z]);
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        training(
            handle,
            mode,
            (alpha, beta),
            x,
            y,
            z,
            desc,
            &statistics,
            after,
        )
    }
}

pub(crate) unsafe fn cudnnNormalizationBackward(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    _algo: u32,
    alpha_data: *const c_void,
    beta_data: *const c_void,
    alpha_param: *const c_void,
    beta_param: *const c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    dy_desc: *mut c_void,
    dy: *mut c_void,
    dz_desc: *mut c_void,
    dz: *mut c_void,
    dx_desc: *mut c_void,
    dx: *mut c_void,
    desc: *mut c_void,
    scale: *mut c_void,
    _bias: *mut c_void,
    dscale: *mut c_void,
    dbias: *mut c_void,
    epsilon: f64,
    mean_desc: *mut c_void,
    saved_mean: *mut c_void,
    saved_inverse: *mut c_void,
    activation: *mut c_void,
    _workspace: *mut c_void,
    _workspace_size: usize,
    _reserve: *mut c_void,
    _reserve_size: usize,
    groups: i32,
) -> Result {
    require(groups == 1 && mode <= 1 && tensor_layout(desc)? == tensor_layout(mean_desc)?)?;
    let after = after(ops, activation)?;
    let gradients = Gradients {
        scale,
        dscale,
        dbias,
        saved: [saved_mean, saved_inverse],
        epsilon,
    };
    let (data, parameters) = ((alpha_data, beta_data), (alpha_param, beta_param));
    let (x, y, dy, dz, dx) = (
        [x_desc, x],
        [y_desc, y],
        [dy_desc, dy],
        [dz_desc, dz],
        [dx_desc, dx],
    );
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        backward(
            handle, mode, data, parameters, x, y, dy, dz, dx, desc, &gradients, after,
        )
    }
}

pub(crate) unsafe fn cudnnGetNormalizationForwardTrainingWorkspaceSize(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    _algo: u32,
    x_desc: *mut c_void,
    z_desc: *mut c_void,
    y_desc: *mut c_void,
    desc: *mut c_void,
    activation: *mut c_void,
    _mean_desc: *mut c_void,
    size: *mut usize,
    _groups: i32,
) -> Result {
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(
            handle, mode, ops, x_desc, z_desc, y_desc, desc, activation, size,
        )
    }
}

pub(crate) unsafe fn cudnnGetNormalizationBackwardWorkspaceSize(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    _algo: u32,
    x_desc: *mut c_void,
    y_desc: *mut c_void,
    dy_desc: *mut c_void,
    dz_desc: *mut c_void,
    dx_desc: *mut c_void,
    desc: *mut c_void,
    activation: *mut c_void,
    _mean_desc: *mut c_void,
    size: *mut usize,
    _groups: i32,
) -> Result {
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        cudnnGetBatchNormalizationBackwardExWorkspaceSize(
            handle, mode, ops, x_desc, y_desc, dy_desc, dz_desc, dx_desc, desc, activation, size,
        )
    }
}

pub(crate) unsafe fn cudnnGetNormalizationTrainingReserveSpaceSize(
    handle: *mut c_void,
    mode: u32,
    ops: u32,
    _algo: u32,
    activation: *mut c_void,
    x_desc: *mut c_void,
    size: *mut usize,
    _groups: i32,
) -> Result {
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        cudnnGetBatchNormalizationTrainingExReserveSpaceSize(
            handle, mode, ops, activation, x_desc, size,
        )
    }
}
