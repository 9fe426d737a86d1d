//! Descriptors of recurrent networks and of their sequences.

use std::ffi::c_void;

use rgpu_softgpu_math::nn::rnn::sequence::{Order, Sequences};
use rgpu_softgpu_math::nn::rnn::{Bias, Cell, Extent, Network};
use rgpu_softgpu_math::nn::tensor::Type;

use super::layer::DropoutDescriptor;
use crate::objects::{create, descriptors, destroy, get, with};
use crate::status::{Result, Status, require};
use crate::types::{data_type, put, type_code};

/// Numbers that are kept as they were given.
#[derive(Debug, Clone, Copy)]
struct Given {
    algorithm: u32,
    precision: u32,
    math: u32,
    flags: u32,
    dropout: *mut c_void,
}

// SAFETY: the pointer is a number of a table.
unsafe impl Send for Given {}

/// What is known of a network once it was set.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) network: Network,
    pub(super) kind: Type,
    given: Given,
}

impl Held {
    /// Its dropout, as it is now.
    pub(super) fn dropout(&self) -> Result<DropoutDescriptor> {
        match self.given.dropout.is_null() {
            true => Ok(DropoutDescriptor::default()),
            false => get(self.given.dropout),
        }
    }
}

/// What a descriptor of a network holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct RnnDescriptor(Option<Held>);

/// What a descriptor of sequences holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct RnnDataDescriptor(Option<Sequences>);

descriptors! {
    cudnnCreateRNNDescriptor, cudnnDestroyRNNDescriptor: RnnDescriptor;
    cudnnCreateRNNDataDescriptor, cudnnDestroyRNNDataDescriptor: RnnDataDescriptor;
}

/// The network of a descriptor, with the dropout that it has now.
pub(super) fn network(descriptor: *mut c_void) -> Result<Held> {
    let mut held = get::<RnnDescriptor>(descriptor)?
        .0
        .ok_or(Status::BAD_PARAM)?;
    // Only between layers is anything dropped.
    if held.network.layers > 1 {
        held.network.dropout = held.dropout()?.rate.into();
    }
    Ok(held)
}

/// The sequences of a descriptor.
pub(super) fn sequences(descriptor: *mut c_void) -> Result<Sequences> {
    get::<RnnDataDescriptor>(descriptor)?
        .0
        .ok_or(Status::BAD_PARAM)
}

/// A size that is not 0.
fn positive(value: i32) -> Result<usize> {
    usize::try_from(value)
        .ok()
        .filter(|value| *value > 0)
        .ok_or(Status::BAD_PARAM)
}

fn floating(code: u32) -> Result<Type> {
    let kind = data_type(code)?;
    match kind {
        Type::F16 | Type::Bf16 | Type::F32 | Type::F64 => Ok(kind),
        _ => Err(Status::NOT_SUPPORTED),
    }
}

pub(crate) unsafe fn cudnnSetRNNDescriptor_v8(
    descriptor: *mut c_void,
    algorithm: u32,
    cell: u32,
    bias: u32,
    direction: u32,
    input_mode: u32,
    kind: u32,
    precision: u32,
    math: u32,
    input: i32,
    hidden: i32,
    projection: i32,
    layers: i32,
    dropout: *mut c_void,
    flags: u32,
) -> Result {
    require(algorithm <= 3 && direction <= 1 && input_mode <= 1)?;
    let cell = match cell {
        0 => Cell::Relu,
        1 => Cell::Tanh,
        2 => Cell::Lstm,
        3 => Cell::Gru,
        _ => return Err(Status::BAD_PARAM),
    };
    let bias = match bias {
        0 => Bias::None,
        1 => Bias::Input,
        2 => Bias::Both,
        3 => Bias::State,
        _ => return Err(Status::BAD_PARAM),
    };
    let network = Network {
        cell,
        bias,
        bidirectional: direction == 1,
        skip_input: input_mode == 1,
        input: positive(input)?,
        hidden: positive(hidden)?,
        layers: positive(layers)?,
        dropout: 0.0,
    };
    require(!network.skip_input || input == hidden)?;
    // States of another size than the cells have.
    if projection != hidden {
        return Err(Status::NOT_SUPPORTED);
    }
    if !dropout.is_null() {
        get::<DropoutDescriptor>(dropout)?;
    }
    let held = Held {
        network,
        kind: floating(kind)?,
        given: Given {
            algorithm,
            precision,
            math,
            flags,
            dropout,
        },
    };
    with(descriptor, |descriptor: &mut RnnDescriptor| {
        descriptor.0 = Some(held);
        Ok(())
    })
}

pub(crate) unsafe fn cudnnGetRNNDescriptor_v8(
    descriptor: *mut c_void,
    algorithm: *mut u32,
    cell: *mut u32,
    bias: *mut u32,
    direction: *mut u32,
    input_mode: *mut u32,
    kind: *mut u32,
    precision: *mut u32,
    math: *mut u32,
    input: *mut i32,
    hidden: *mut i32,
    projection: *mut i32,
    layers: *mut i32,
    dropout: *mut c_void,
    flags: *mut u32,
) -> Result {
    let Held {
        network,
        kind: held,
        given,
    } = network(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(algorithm, given.algorithm);
        put(cell, network.cell as u32);
        let code = match network.bias {
            Bias::None => 0,
            Bias::Input => 1,
            Bias::Both => 2,
            Bias::State => 3,
        };
        put(bias, code);
        put(direction, network.bidirectional.into());
        put(input_mode, network.skip_input.into());
        put(kind, type_code(held));
        put(precision, given.precision);
        put(math, given.math);
        put(input, network.input as i32);
        put(hidden, network.hidden as i32);
        put(projection, network.hidden as i32);
        put(layers, network.layers as i32);
        put(dropout.cast::<*mut c_void>(), given.dropout);
        put(flags, given.flags);
    }
    Ok(())
}

/// Cells are not clipped here.
fn clip(descriptor: *mut c_void, mode: u32) -> Result {
    network(descriptor)?;
    match mode {
        0 => Ok(()),
        1 => Err(Status::NOT_SUPPORTED),
        _ => Err(Status::BAD_PARAM),
    }
}

pub(crate) unsafe fn cudnnRNNSetClip_v8(
    descriptor: *mut c_void,
    mode: u32,
    _nan: u32,
    _low: f64,
    _high: f64,
) -> Result {
    clip(descriptor, mode)
}

pub(crate) unsafe fn cudnnRNNSetClip_v9(
    descriptor: *mut c_void,
    mode: u32,
    _low: f64,
    _high: f64,
) -> Result {
    clip(descriptor, mode)
}

pub(crate) unsafe fn cudnnSetRNNDataDescriptor(
    descriptor: *mut c_void,
    kind: u32,
    layout: u32,
    steps: i32,
    batch: i32,
    width: i32,
    lengths: *const i32,
    fill: *const c_void,
) -> Result {
    let order = match layout {
        0 => Order::Steps,
        1 => Order::Packed,
        2 => Order::Sequences,
        _ => return Err(Status::BAD_PARAM),
    };
    let (kind, batch) = (floating(kind)?, positive(batch)?);
    require(!lengths.is_null())?;
    // SAFETY: the caller keeps the contract of the C function: as many numbers as sequences.
    let lengths = unsafe { std::slice::from_raw_parts(lengths, batch) };
    let length = |&len: &i32| usize::try_from(len).map_err(|_| Status::BAD_PARAM);
    let held = Sequences {
        kind,
        order,
        width: positive(width)?,
        extent: Extent {
            steps: positive(steps)?,
            lengths: lengths.iter().map(length).collect::<Result<_>>()?,
        },
        // SAFETY: as above: null, or an element.
        fill: unsafe { element(kind, fill) },
    };
    held.check()?;
    with(descriptor, |descriptor: &mut RnnDataDescriptor| {
        descriptor.0 = Some(held);
        Ok(())
    })
}

/// An element in host memory.
///
/// # Safety
/// `pointer` is null or points to one.
unsafe fn element(kind: Type, pointer: *const c_void) -> Option<f64> {
    use rgpu_softgpu_math::element::{Element, bf16, f16};
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe {
        match kind {
            Type::F16 => Element::<f64>::load(pointer.cast::<f16>().read_unaligned()),
            Type::Bf16 => Element::<f64>::load(pointer.cast::<bf16>().read_unaligned()),
            Type::F64 => pointer.cast::<f64>().read_unaligned(),
            _ => pointer.cast::<f32>().read_unaligned().into(),
        }
    })
}

pub(crate) unsafe fn cudnnGetRNNDataDescriptor(
    descriptor: *mut c_void,
    kind: *mut u32,
    layout: *mut u32,
    steps: *mut i32,
    batch: *mut i32,
    width: *mut i32,
    requested: i32,
    lengths: *mut i32,
    fill: *mut c_void,
) -> Result {
    let held = sequences(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(kind, type_code(held.kind));
        put(layout, held.order as u32);
        put(steps, held.extent.steps as i32);
        put(batch, held.extent.batch() as i32);
        put(width, held.width as i32);
        crate::types::put_all(lengths, requested, &held.extent.lengths);
        if let Some(value) = held.fill {
            match held.kind {
                Type::F64 => put(fill.cast(), value),
                Type::F32 => put(fill.cast(), value as f32),
                Type::Bf16 => put(
                    fill.cast(),
                    rgpu_softgpu_math::element::bf16::from_f64(value),
                ),
                _ => put(
                    fill.cast(),
                    rgpu_softgpu_math::element::f16::from_f64(value),
                ),
            }
        }
    }
    Ok(())
}
