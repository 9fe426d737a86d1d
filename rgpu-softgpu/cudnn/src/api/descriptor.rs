//! Descriptors: what they hold, how it is set and asked.

use std::ffi::c_void;

use rgpu_softgpu_math::nn::conv::Convolution;
use rgpu_softgpu_math::nn::lrn::Lrn;
use rgpu_softgpu_math::nn::pointwise::Activation;
use rgpu_softgpu_math::nn::pool::Pooling;
use rgpu_softgpu_math::nn::tensor::{Layout, MAX_DIMS, Type};

use super::shape::set_tensor;
use crate::objects::{create, descriptors, destroy, get, with};
use crate::status::{Result, Status, require};
use crate::types::{FilterDescriptor, TensorDescriptor, array, data_type, put, tensor_layout};

/// What a convolution descriptor holds.
#[derive(Debug, Clone)]
pub(crate) struct ConvolutionDescriptor {
    pub(crate) conv: Option<Convolution>,
    pub(crate) groups: i32,
    pub(super) compute: u32,
    pub(super) math: u32,
    pub(super) reorder: u32,
}

impl Default for ConvolutionDescriptor {
    fn default() -> Self {
        Self {
            conv: None,
            groups: 1,
            compute: 0,
            math: 0,
            reorder: 0,
        }
    }
}

/// What a pooling descriptor holds: mode and treatment of not-a-numbers as C has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct PoolingDescriptor(pub(crate) Option<(Pooling, u32, u32)>);

/// What an activation descriptor holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActivationDescriptor {
    mode: u32,
    nan: u32,
    coefficient: f64,
    swish: f64,
}

impl ActivationDescriptor {
    pub(crate) fn activation(&self) -> Result<Activation> {
        let nan = self.nan == 1;
        match self.mode {
            0 => Ok(Activation::Sigmoid),
            1 => Ok(Activation::Relu { nan }),
            2 => Ok(Activation::Tanh),
            3 => Ok(Activation::Clipped {
                limit: self.coefficient,
                nan,
            }),
            4 => Ok(Activation::Elu {
                alpha: self.coefficient,
            }),
            5 => Ok(Activation::Identity),
            6 => Ok(Activation::Swish { beta: self.swish }),
            _ => Err(Status::BAD_PARAM),
        }
    }
}

/// What an op-tensor descriptor holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OpTensorDescriptor {
    pub(crate) operation: u32,
    compute: u32,
    nan: u32,
}

/// What a reduction descriptor holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReduceDescriptor {
    pub(crate) operation: u32,
    compute: u32,
    nan: u32,
    pub(crate) indices: u32,
    index_type: u32,
}

/// What an LRN descriptor holds; the values that the manual gives to start with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LrnDescriptor(pub(crate) Lrn);

impl Default for LrnDescriptor {
    fn default() -> Self {
        Self(Lrn {
            width: 5,
            alpha: 1e-4,
            beta: 0.75,
            k: 2.0,
        })
    }
}

/// What a transform descriptor holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct TransformDescriptor {
    pub(crate) before: Vec<i32>,
    pub(crate) after: Vec<i32>,
    pub(crate) fold: Vec<u32>,
}

descriptors! {
    cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor: TensorDescriptor;
    cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor: FilterDescriptor;
    cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor: ConvolutionDescriptor;
    cudnnCreatePoolingDescriptor, cudnnDestroyPoolingDescriptor: PoolingDescriptor;
    cudnnCreateActivationDescriptor, cudnnDestroyActivationDescriptor: ActivationDescriptor;
    cudnnCreateOpTensorDescriptor, cudnnDestroyOpTensorDescriptor: OpTensorDescriptor;
    cudnnCreateReduceTensorDescriptor, cudnnDestroyReduceTensorDescriptor: ReduceDescriptor;
    cudnnCreateLRNDescriptor, cudnnDestroyLRNDescriptor: LrnDescriptor;
    cudnnCreateTensorTransformDescriptor, cudnnDestroyTensorTransformDescriptor: TransformDescriptor;
}

pub(crate) unsafe fn cudnnSetActivationDescriptor(
    descriptor: *mut c_void,
    mode: u32,
    nan: u32,
    coefficient: f64,
) -> Result {
    require(mode <= 6 && nan <= 1)?;
    with(descriptor, |held: &mut ActivationDescriptor| {
        let swish = if mode == 6 && held.swish == 0.0 {
            1.0
        } else {
            held.swish
        };
        *held = ActivationDescriptor {
            mode,
            nan,
            coefficient,
            swish,
        };
        Ok(())
    })
}

pub(crate) unsafe fn cudnnGetActivationDescriptor(
    descriptor: *mut c_void,
    mode: *mut u32,
    nan: *mut u32,
    coefficient: *mut f64,
) -> Result {
    let held = get::<ActivationDescriptor>(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(mode, held.mode);
        put(nan, held.nan);
        put(coefficient, held.coefficient);
    }
    Ok(())
}

pub(crate) unsafe fn cudnnSetActivationDescriptorSwishBeta(
    descriptor: *mut c_void,
    beta: f64,
) -> Result {
    with(descriptor, |held: &mut ActivationDescriptor| {
        held.swish = beta;
        Ok(())
    })
}

pub(crate) unsafe fn cudnnGetActivationDescriptorSwishBeta(
    descriptor: *mut c_void,
    beta: *mut f64,
) -> Result {
    let held = get::<ActivationDescriptor>(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put(beta, held.swish) };
    Ok(())
}

pub(crate) unsafe fn cudnnSetOpTensorDescriptor(
    descriptor: *mut c_void,
    operation: u32,
    compute: u32,
    nan: u32,
) -> Result {
    require(operation <= 5 && nan <= 1)?;
    data_type(compute)?;
    with(descriptor, |held: &mut OpTensorDescriptor| {
        *held = OpTensorDescriptor {
            operation,
            compute,
            nan,
        };
        Ok(())
    })
}

pub(crate) unsafe fn cudnnGetOpTensorDescriptor(
    descriptor: *mut c_void,
    operation: *mut u32,
    compute: *mut u32,
    nan: *mut u32,
) -> Result {
    let held = get::<OpTensorDescriptor>(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(operation, held.operation);
        put(compute, held.compute);
        put(nan, held.nan);
    }
    Ok(())
}

pub(crate) unsafe fn cudnnSetReduceTensorDescriptor(
    descriptor: *mut c_void,
    operation: u32,
    compute: u32,
    nan: u32,
    indices: u32,
    index_type: u32,
) -> Result {
    require(operation <= 8 && nan <= 1 && indices <= 1 && index_type <= 3)?;
    data_type(compute)?;
    with(descriptor, |held: &mut ReduceDescriptor| {
        *held = ReduceDescriptor {
            operation,
            compute,
            nan,
            indices,
            index_type,
        };
        Ok(())
    })
}

pub(crate) unsafe fn cudnnGetReduceTensorDescriptor(
    descriptor: *mut c_void,
    operation: *mut u32,
    compute: *mut u32,
    nan: *mut u32,
    indices: *mut u32,
    index_type: *mut u32,
) -> Result {
    let held = get::<ReduceDescriptor>(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(operation, held.operation);
        put(compute, held.compute);
        put(nan, held.nan);
        put(indices, held.indices);
        put(index_type, held.index_type);
    }
    Ok(())
}

pub(crate) unsafe fn cudnnSetLRNDescriptor(
    descriptor: *mut c_void,
    n: u32,
    alpha: f64,
    beta: f64,
    k: f64,
) -> Result {
    // The limits of the manual.
    require((1..=16).contains(&n) && k >= 1e-5 && beta >= 0.01)?;
    with(descriptor, |held: &mut LrnDescriptor| {
        held.0 = Lrn {
            width: n as usize,
            alpha,
            beta,
            k,
        };
        Ok(())
    })
}

pub(crate) unsafe fn cudnnGetLRNDescriptor(
    descriptor: *mut c_void,
    n: *mut u32,
    alpha: *mut f64,
    beta: *mut f64,
    k: *mut f64,
) -> Result {
    let LrnDescriptor(held) = get::<LrnDescriptor>(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(n, held.width as u32);
        put(alpha, held.alpha);
        put(beta, held.beta);
        put(k, held.k);
    }
    Ok(())
}

pub(crate) unsafe fn cudnnSetTensorTransformDescriptor(
    descriptor: *mut c_void,
    rank: u32,
    format: u32,
    before: *const i32,
    after: *const i32,
    fold: *const u32,
    direction: u32,
) -> Result {
    require((rank as usize) <= MAX_DIMS && format <= 1 && direction <= 1)?;
    let count = |missing: bool| if missing { 0 } else { rank as i32 };
    // SAFETY: the caller keeps the contract of the C function; arrays that are null are left out.
    let held = unsafe {
        TransformDescriptor {
            before: array(before, count(before.is_null()))?,
            after: array(after, count(after.is_null()))?,
            fold: array(fold, count(fold.is_null()))?,
        }
    };
    with(descriptor, |object: &mut TransformDescriptor| {
        *object = held;
        Ok(())
    })
}

/// The parameters of scale and bias that belong to an input, for a mode of normalisation.
pub(crate) fn parameters(x: &Layout, mode: u32) -> Result<Layout> {
    require(x.dims.len() >= 4)?;
    let mut dims: Vec<usize> = x.dims.iter().map(|_| 1).collect();
    match mode {
        0 => dims[1..].copy_from_slice(&x.dims[1..]),
        1 | 2 => dims[1] = x.dims[1],
        _ => return Err(Status::BAD_PARAM),
    }
    let kind = if x.kind == Type::F64 {
        Type::F64
    } else {
        Type::F32
    };
    Ok(Layout::packed(kind, &dims))
}

pub(crate) unsafe fn cudnnDeriveBNTensorDescriptor(
    derived: *mut c_void,
    x: *mut c_void,
    mode: u32,
) -> Result {
    set_tensor(derived, parameters(&tensor_layout(x)?, mode)?)
}

pub(crate) unsafe fn cudnnDeriveNormTensorDescriptor(
    scale_bias: *mut c_void,
    mean_var: *mut c_void,
    x: *mut c_void,
    mode: u32,
    groups: i32,
) -> Result {
    require(groups == 1 && mode <= 1)?;
    let layout = parameters(&tensor_layout(x)?, mode)?;
    set_tensor(scale_bias, layout.clone())?;
    set_tensor(mean_var, layout)
}
