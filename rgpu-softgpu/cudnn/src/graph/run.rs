//! A graph on the tensors of a variant pack.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

use rgpu_softgpu_math::gemm::{Matrix, Shape, Threads, gemm};
use rgpu_softgpu_math::nn;
use rgpu_softgpu_math::nn::conv;
use rgpu_softgpu_math::nn::pointwise::unary;
use rgpu_softgpu_math::nn::product::Tile;
use rgpu_softgpu_math::nn::reduce::reduce;
use rgpu_softgpu_math::nn::tensor::{Layout, Real, Tensor, Type};

use super::build::{Direction, Graph, Operation};
use crate::objects::Context;
use crate::status::{Result, Status};
use crate::types::at;

/// Puts the graph into the stream, on tensors at these pointers.
///
/// # Safety
/// Pointers of tensors that are passed by value may be read.
pub(crate) unsafe fn submit(
    context: Context,
    graph: &Arc<Graph>,
    pointers: &HashMap<i64, *const c_void>,
) -> Result {
    let mut tensors = HashMap::new();
    let mut values = HashMap::new();
    for tensor in graph.tensors.values().filter(|tensor| !tensor.is_virtual) {
        let pointer = pointers
            .get(&tensor.id)
            .copied()
            .filter(|pointer| !pointer.is_null());
        let pointer = pointer.ok_or(Status::BAD_PARAM_NULL_POINTER)?;
        if tensor.by_value {
            let mut room = vec![0u64; tensor.layout.bytes().div_ceil(8)];
            // SAFETY: the promise of this function; there is room for as much.
            unsafe {
                let target = room.as_mut_ptr().cast::<u8>();
                std::ptr::copy_nonoverlapping(pointer.cast(), target, tensor.layout.bytes());
            }
            values.insert(tensor.id, room);
        } else {
            tensors.insert(tensor.id, at(tensor.layout.clone(), pointer)?);
        }
    }
    let doubles = graph
        .tensors
        .values()
        .any(|tensor| tensor.layout.kind == Type::F64);
    let graph = Arc::clone(graph);
    context.submit("cudnnBackendExecute", move |_| match doubles {
        true => run::<f64>(&graph, tensors, values),
        false => run::<f32>(&graph, tensors, values),
    })
}

fn run<T: Tile + rgpu_softgpu_math::element::Compute>(
    graph: &Graph,
    mut tensors: HashMap<i64, Tensor>,
    mut values: HashMap<i64, Vec<u64>>,
) -> nn::Result {
    // Virtual tensors hold what is computed with.
    for tensor in graph.tensors.values().filter(|tensor| tensor.is_virtual) {
        let layout = Layout {
            kind: T::KIND,
            ..tensor.layout.clone()
        };
        values.insert(tensor.id, vec![0; layout.bytes().div_ceil(8)]);
    }
    for (id, room) in &mut values {
        let tensor = &graph.tensors[id];
        let kind = if tensor.is_virtual {
            T::KIND
        } else {
            tensor.layout.kind
        };
        let layout = Layout {
            kind,
            ..tensor.layout.clone()
        };
        // SAFETY: the room is as large, and kept until the graph has run.
        tensors.insert(*id, unsafe {
            Tensor::trusted(layout, room.as_mut_ptr().cast())
        });
    }
    for operation in &graph.operations {
        let output = &tensors[&operation.output()];
        let inputs: Vec<&Tensor> = operation.inputs().iter().map(|id| &tensors[id]).collect();
        match operation {
            Operation::Convolution {
                direction,
                conv,
                blend,
                ..
            } => match direction {
                Direction::Forward => {
                    conv::forward::<T>(conv, *blend, inputs[0], inputs[1], output)
                }
                Direction::Data => {
                    conv::backward_data::<T>(conv, *blend, inputs[0], inputs[1], output)
                }
                Direction::Filter => {
                    conv::backward_filter::<T>(conv, *blend, inputs[0], inputs[1], output)
                }
            },
            Operation::Pointwise {
                function, factors, ..
            } => function.apply::<T>(&inputs, output, *factors),
            Operation::Matmul { .. } => matmul::<T>(inputs[0], inputs[1], output),
            Operation::Reduction { reduction, .. } => {
                reduce::<T>(*reduction, (1.0, 0.0), inputs[0], output)
            }
            Operation::Reshape { .. } => reshape::<T>(inputs[0], output),
        }?;
    }
    Ok(())
}

/// `C = A B` in the last two dimensions, for each index of the others.
fn matmul<T: Real + rgpu_softgpu_math::element::Compute>(
    a: &Tensor,
    b: &Tensor,
    c: &Tensor,
) -> nn::Result {
    let dims = &c.layout.dims;
    let rank = dims.len();
    if rank < 2 || a.layout.dims.len() != rank || b.layout.dims.len() != rank {
        return Err(nn::Error::Shape);
    }
    let (da, db) = (&a.layout.dims, &b.layout.dims);
    let shape = Shape {
        m: dims[rank - 2],
        n: dims[rank - 1],
        k: da[rank - 1],
    };
    if da[rank - 2] != shape.m || db[rank - 2] != shape.k || db[rank - 1] != shape.n {
        return Err(nn::Error::Shape);
    }
    let outer = |tensor: &Tensor| {
        let layout = &tensor.layout;
        let part = Layout {
            kind: layout.kind,
            dims: layout.dims[..rank - 2].to_vec(),
            strides: layout.strides[..rank - 2].to_vec(),
        };
        part.broadcast(&dims[..rank - 2])
    };
    let strides = [outer(a)?, outer(b)?, c.layout.strides[..rank - 2].to_vec()];
    let (va, vb) = (a.read::<T>(), b.read::<T>());
    let mut output = c.output::<T>(1.0, 0.0, &[a, b]);
    let target = output.values().as_mut_ptr();
    let matrix = |pointer: *const T, layout: &Layout| Matrix {
        pointer: pointer.cast_mut(),
        row: layout.strides[rank - 2] as isize,
        column: layout.strides[rank - 1] as isize,
        conjugate: false,
    };
    for index in 0..dims[..rank - 2].iter().product() {
        let (mut rest, mut starts): (usize, [usize; 3]) = (index, [0; 3]);
        for dim in (0..rank - 2).rev() {
            (0..3).for_each(|tensor| starts[tensor] += rest % dims[dim] * strides[tensor][dim]);
            rest /= dims[dim];
        }
        // SAFETY: matrices inside of the tensors' extents; the output shares memory with neither input.
        unsafe {
            gemm::<T, T, T, T>(
                shape,
                T::of(1.0),
                matrix(va.as_ptr().add(starts[0]), &a.layout),
                matrix(vb.as_ptr().add(starts[1]), &b.layout),
                T::of(0.0),
                matrix(target.add(starts[2]), &c.layout),
                Threads::Pool,
            );
        }
    }
    output.finish();
    Ok(())
}

/// The same elements in the same order, with other dimensions.
fn reshape<T: Real>(x: &Tensor, y: &Tensor) -> nn::Result {
    let packed = |layout: &Layout| Layout::packed(T::KIND, &layout.dims);
    let mut memory = vec![T::of(0.0); x.layout.elements()];
    let pointer = memory.as_mut_ptr().cast();
    // SAFETY: the memory has as many elements, and outlives both tensors.
    let (one, two) = unsafe {
        (
            Tensor::trusted(packed(&x.layout), pointer),
            Tensor::trusted(packed(&y.layout), pointer),
        )
    };
    unary((1.0, 0.0), x, &one, |x: T| x)?;
    unary((1.0, 0.0), &two, y, |x: T| x)
}
