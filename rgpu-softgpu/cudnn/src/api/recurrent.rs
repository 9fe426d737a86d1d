//! Recurrent networks: their weights, the memory they need, and their passes.
//!
//! Lengths of sequences are those of the descriptors; programs give them once more in device memory, where they are the
//! same.

use std::ffi::c_void;

use rgpu_softgpu_math::nn::rnn::parameters::Place;
use rgpu_softgpu_math::nn::rnn::sequence::Sequences;
use rgpu_softgpu_math::nn::rnn::{
    self, Cell, Network, Number, States, backward_data, backward_weights, forward, reserve,
};
use rgpu_softgpu_math::nn::tensor::{Layout, Tensor, Type};
use rgpu_softgpu_math::nn::{self, dropout};
use rgpu_softgpu_math::queue::Span;

use super::recurrent_descriptor::{Held, network, sequences};
use crate::objects::{Context, get, submit, with};
use crate::status::{Result, Status, require};
use crate::types::{TensorDescriptor, at, put, tensor_layout};

/// Bytes of what is computed with.
fn number_size(kind: Type) -> usize {
    if kind == Type::F64 { 8 } else { 4 }
}

pub(crate) unsafe fn cudnnGetRNNWeightSpaceSize(
    handle: *mut c_void,
    descriptor: *mut c_void,
    size: *mut usize,
) -> Result {
    get::<Context>(handle)?;
    let held = network(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put(size, held.network.weights() * held.kind.size()) };
    Ok(())
}

pub(crate) unsafe fn cudnnGetRNNTempSpaceSizes(
    handle: *mut c_void,
    descriptor: *mut c_void,
    training: u32,
    x_desc: *mut c_void,
    work: *mut usize,
    kept: *mut usize,
) -> Result {
    get::<Context>(handle)?;
    require(training <= 1)?;
    let (held, x) = (network(descriptor)?, sequences(x_desc)?);
    let bytes = match training {
        0 => 0,
        _ => reserve::len(&held.network, &x.extent) * number_size(held.kind),
    };
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(work, 0);
        put(kept, bytes);
    }
    Ok(())
}

pub(crate) unsafe fn cudnnBuildRNNDynamic(
    handle: *mut c_void,
    descriptor: *mut c_void,
    _batch: i32,
) -> Result {
    get::<Context>(handle)?;
    network(descriptor).map(|_| ())
}

pub(crate) unsafe fn cudnnGetRNNWeightParams(
    handle: *mut c_void,
    descriptor: *mut c_void,
    lane: i32,
    bytes: usize,
    weights: usize,
    number: i32,
    matrix_desc: *mut c_void,
    matrix_at: *mut usize,
    bias_desc: *mut c_void,
    bias_at: *mut usize,
) -> Result {
    get::<Context>(handle)?;
    let Held { network, kind, .. } = network(descriptor)?;
    let index = |value: i32, count: usize| -> Result<usize> {
        let value = usize::try_from(value).map_err(|_| Status::BAD_PARAM)?;
        require(value < count)?;
        Ok(value)
    };
    let lane = index(lane, network.lanes())?;
    let number = index(number, 2 * network.cell.gates())?;
    require(bytes >= network.weights() * kind.size())?;
    let [matrix, bias] = network.matrix(lane, number);
    for (place, descriptor, address) in
        [(matrix, matrix_desc, matrix_at), (bias, bias_desc, bias_at)]
    {
        let layout =
            place.map(|place: Place| Layout::packed(kind, &[1, place.rows, place.columns]));
        with(descriptor, |held: &mut TensorDescriptor| {
            held.0 = layout;
            Ok(())
        })?;
        // Nothing is read there, so that programs may pass any number: 0 for the distance.
        let start = place.map_or(0, |place| weights.wrapping_add(place.start * kind.size()));
        // SAFETY: the caller keeps the contract of the C function.
        unsafe { put(address, start) };
    }
    Ok(())
}

/// What all passes have in common, checked.
struct Pass {
    context: Context,
    held: Held,
    /// Of the input and output.
    sides: [Sequences; 2],
}

impl Pass {
    fn new(handle: *mut c_void, descriptor: *mut c_void, sides: [*mut c_void; 2]) -> Result<Self> {
        let (context, held) = (get::<Context>(handle)?, network(descriptor)?);
        let sides = [sequences(sides[0])?, sequences(sides[1])?];
        let widths = [held.network.input, held.network.output()];
        for (side, width) in sides.iter().zip(widths) {
            require(side.width == width && side.kind == held.kind)?;
        }
        require(sides[0].extent == sides[1].extent)?;
        Ok(Self {
            context,
            held,
            sides,
        })
    }

    fn network(&self) -> &Network {
        &self.held.network
    }

    fn doubles(&self) -> bool {
        self.held.kind == Type::F64
    }

    fn weights(&self, bytes: usize, pointer: *const c_void) -> Result<Tensor> {
        let len = self.network().weights();
        require(bytes >= len * self.held.kind.size())?;
        at(Layout::packed(self.held.kind, &[len]), pointer)
    }

    fn sequences(&self, side: usize, pointer: *const c_void) -> Result<Tensor> {
        at(self.sides[side].layout(), pointer)
    }

    /// States of all lanes; none, where there are none.
    fn states(&self, descriptor: *mut c_void, pointer: *const c_void) -> Result<Option<Tensor>> {
        if pointer.is_null() {
            return Ok(None);
        }
        let network = self.network();
        let dims = [
            network.lanes(),
            self.sides[0].extent.batch(),
            network.hidden,
        ];
        let layout = tensor_layout(descriptor)?;
        require(layout == Layout::packed(self.held.kind, &dims))?;
        at(layout, pointer).map(Some)
    }

    /// States and, of an LSTM, cells.
    fn both(
        &self,
        [h_desc, c_desc]: [*mut c_void; 2],
        [h, c]: [*mut c_void; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        let cells = match self.network().cell {
            Cell::Lstm => self.states(c_desc, c)?,
            _ => None,
        };
        Ok([self.states(h_desc, h)?, cells])
    }

    fn reserve(&self, bytes: usize, pointer: *mut c_void) -> Result<Span<u8>> {
        let len = reserve::len(self.network(), &self.sides[0].extent);
        let needed = len * number_size(self.held.kind);
        require(bytes >= needed && pointer.addr().is_multiple_of(16))?;
        Ok(Span::new(pointer.cast::<u8>().cast_const(), needed)?)
    }
}

/// The reserve of a pass, for use when the work runs.
///
/// # Safety
/// It was made for this type, and nobody else uses it meanwhile.
unsafe fn open<'a, T>(span: Span<u8>) -> &'a mut [T] {
    // SAFETY: aligned as checked, memory that the driver has vouched for, and the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(span.pointer().cast(), span.len() / size_of::<T>()) }
}

fn read<T: Number>([hidden, cell]: &[Option<Tensor>; 2]) -> States<T> {
    let values = |tensor: &Option<Tensor>| Some(tensor.as_ref()?.read::<T>().into_owned());
    States {
        hidden: values(hidden),
        cell: values(cell),
    }
}

/// Stores the states that are wanted.
fn write<T: Number>([hidden, cell]: &[Option<Tensor>; 2], states: &States<T>) {
    for (tensor, values) in [(hidden, &states.hidden), (cell, &states.cell)] {
        if let (Some(tensor), Some(values)) = (tensor, values) {
            let mut output = tensor.output::<T>(1.0, 0.0, &[]);
            output.values().copy_from_slice(values);
            output.finish();
        }
    }
}

pub(crate) unsafe fn cudnnRNNForward(
    handle: *mut c_void,
    descriptor: *mut c_void,
    training: u32,
    _lengths: *mut c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    y_desc: *mut c_void,
    y: *mut c_void,
    h_desc: *mut c_void,
    hx: *mut c_void,
    hy: *mut c_void,
    c_desc: *mut c_void,
    cx: *mut c_void,
    cy: *mut c_void,
    weight_bytes: usize,
    weights: *mut c_void,
    _work_bytes: usize,
    _work: *mut c_void,
    reserve_bytes: usize,
    reserve_at: *mut c_void,
) -> Result {
    require(training <= 1)?;
    let mut pass = Pass::new(handle, descriptor, [x_desc, y_desc])?;
    let (x, y) = (pass.sequences(0, x)?, pass.sequences(1, y)?);
    let weights = pass.weights(weight_bytes, weights)?;
    let descs = [h_desc, c_desc];
    let (before, after) = (pass.both(descs, [hx, cx])?, pass.both(descs, [hy, cy])?);
    let kept = match training {
        0 => {
            pass.held.network.dropout = 0.0;
            None
        }
        _ => Some(pass.reserve(reserve_bytes, reserve_at)?),
    };
    let dropout = pass.held.dropout()?;
    submit!(pass.context, "cudnnRNNForward", pass.doubles(), T => {
        let (network, extent) = (pass.network(), &pass.sides[0].extent);
        let mut own = Vec::new();
        let kept = match kept {
            // SAFETY: it is this stream's alone until the passes are over.
            Some(span) => unsafe { open::<T>(span) },
            None => {
                own.resize(reserve::len(network, extent), T::default());
                &mut own
            }
        };
        let rate = network.dropout;
        let drawn = match rate > 0.0 {
            true => dropout.draw((network.layers - 1) * extent.rows() * network.output())?,
            false => (0, 0),
        };
        let mut factors = dropout::factors(rate, drawn);
        let mask = move || <T as nn::tensor::Real>::of(factors());
        let input = pass.sides[0].gather::<T>(&x);
        let (output, left) = forward(network, extent, &weights.read::<T>(), &input, &read(&before), mask, kept);
        pass.sides[1].scatter(&output, &y);
        write(&after, &left);
        Ok(())
    })
}

pub(crate) unsafe fn cudnnRNNBackwardData_v8(
    handle: *mut c_void,
    descriptor: *mut c_void,
    _lengths: *mut c_void,
    y_desc: *mut c_void,
    _y: *mut c_void,
    dy: *mut c_void,
    x_desc: *mut c_void,
    dx: *mut c_void,
    h_desc: *mut c_void,
    hx: *mut c_void,
    dhy: *mut c_void,
    dhx: *mut c_void,
    c_desc: *mut c_void,
    cx: *mut c_void,
    dcy: *mut c_void,
    dcx: *mut c_void,
    weight_bytes: usize,
    weights: *mut c_void,
    _work_bytes: usize,
    _work: *mut c_void,
    reserve_bytes: usize,
    reserve_at: *mut c_void,
) -> Result {
    let pass = Pass::new(handle, descriptor, [x_desc, y_desc])?;
    let (dx, dy) = (pass.sequences(0, dx)?, pass.sequences(1, dy)?);
    let weights = pass.weights(weight_bytes, weights)?;
    let descs = [h_desc, c_desc];
    let before = pass.both(descs, [hx, cx])?;
    let (by_after, by_before) = (pass.both(descs, [dhy, dcy])?, pass.both(descs, [dhx, dcx])?);
    let kept = pass.reserve(reserve_bytes, reserve_at)?;
    submit!(pass.context, "cudnnRNNBackwardData_v8", pass.doubles(), T => {
        let (network, extent) = (pass.network(), &pass.sides[0].extent);
        // SAFETY: it is this stream's alone until the passes are over.
        let kept = unsafe { open::<T>(kept) };
        let gradient = pass.sides[1].gather::<T>(&dy);
        let (initial, left) = (read(&before), read(&by_after));
        let rnn::Gradients { input, states } =
            backward_data(network, extent, &weights.read::<T>(), &initial, &gradient, &left, kept);
        pass.sides[0].scatter(&input, &dx);
        write(&by_before, &states);
        Ok(())
    })
}

pub(crate) unsafe fn cudnnRNNBackwardWeights_v8(
    handle: *mut c_void,
    descriptor: *mut c_void,
    add: u32,
    _lengths: *mut c_void,
    x_desc: *mut c_void,
    x: *mut c_void,
    h_desc: *mut c_void,
    hx: *mut c_void,
    y_desc: *mut c_void,
    _y: *mut c_void,
    weight_bytes: usize,
    weights: *mut c_void,
    _work_bytes: usize,
    _work: *mut c_void,
    reserve_bytes: usize,
    reserve_at: *mut c_void,
) -> Result {
    require(add <= 1)?;
    let pass = Pass::new(handle, descriptor, [x_desc, y_desc])?;
    let x = pass.sequences(0, x)?;
    let weights = pass.weights(weight_bytes, weights)?;
    let before = [pass.states(h_desc, hx)?, None];
    let kept = pass.reserve(reserve_bytes, reserve_at)?;
    // CUDNN_WGRAD_MODE_ADD is 0, and CUDNN_WGRAD_MODE_SET 1.
    let beta = if add == 0 { 1.0 } else { 0.0 };
    submit!(pass.context, "cudnnRNNBackwardWeights_v8", pass.doubles(), T => {
        // SAFETY: it is this stream's alone until the passes are over.
        let kept = unsafe { open::<T>(kept) };
        let input = pass.sides[0].gather::<T>(&x);
        let mut output = weights.output::<T>(1.0, beta, &[]);
        output.values().fill(T::default());
        let (network, extent) = (pass.network(), &pass.sides[0].extent);
        backward_weights(network, extent, &input, &read(&before), kept, output.values());
        output.finish();
        Ok(())
    })
}
