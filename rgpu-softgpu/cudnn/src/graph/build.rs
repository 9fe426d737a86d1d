//! Operations from descriptors, once a graph is complete.

use std::collections::HashMap;

use rgpu_softgpu_math::nn::conv::Convolution;
use rgpu_softgpu_math::nn::reduce::Reduction;
use rgpu_softgpu_math::nn::tensor::{Layout, Type};

use super::descriptor::Descriptor;
use super::names::*;
use super::pointwise::Function;
use crate::api::reduction;
use crate::status::{Result, Status, require};
use crate::types::data_type;

/// A tensor of a graph.
#[derive(Debug, Clone)]
pub(crate) struct GraphTensor {
    pub(crate) id: i64,
    pub(crate) layout: Layout,
    /// A result that no pointer is given for.
    pub(crate) is_virtual: bool,
    /// Its element is in host memory, and read when the graph is put into the stream.
    pub(crate) by_value: bool,
}

/// The three products of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Data,
    Filter,
}

/// An operation; tensors by their ids.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Convolution {
        direction: Direction,
        conv: Convolution,
        inputs: [i64; 2],
        output: i64,
        blend: (f64, f64),
    },
    Pointwise {
        function: Function,
        inputs: Vec<i64>,
        output: i64,
        factors: [f64; 2],
    },
    Matmul {
        inputs: [i64; 2],
        output: i64,
    },
    Reduction {
        reduction: Reduction,
        input: i64,
        output: i64,
    },
    Reshape {
        input: i64,
        output: i64,
    },
}

impl Operation {
    pub(crate) fn inputs(&self) -> &[i64] {
        match self {
            Self::Convolution { inputs, .. } | Self::Matmul { inputs, .. } => inputs,
            Self::Pointwise { inputs, .. } => inputs,
            Self::Reduction { input, .. } | Self::Reshape { input, .. } => {
                std::slice::from_ref(input)
            }
        }
    }

    pub(crate) fn output(&self) -> i64 {
        match self {
            Self::Convolution { output, .. }
            | Self::Pointwise { output, .. }
            | Self::Matmul { output, .. }
            | Self::Reduction { output, .. }
            | Self::Reshape { output, .. } => *output,
        }
    }
}

/// A graph of operations, each after those whose results it needs.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) tensors: HashMap<i64, GraphTensor>,
    pub(crate) operations: Vec<Operation>,
    /// Why it cannot run, if it cannot.
    refused: Option<Status>,
}

/// The tensor of a descriptor.
pub(crate) fn tensor(held: &Descriptor) -> Result<GraphTensor> {
    let kind = data_type(held.number(TENSOR_DATA_TYPE).ok_or(Status::BAD_PARAM)?)?;
    let (dims, strides) = (held.sizes(TENSOR_DIMENSIONS)?, held.sizes(TENSOR_STRIDES)?);
    require(
        !dims.is_empty() && dims.len() <= 8 && dims.len() == strides.len() && !dims.contains(&0),
    )?;
    let id = held.integers(TENSOR_UNIQUE_ID);
    require(id.len() == 1)?;
    let vectors = held
        .integers(TENSOR_VECTOR_COUNT)
        .first()
        .is_some_and(|&count| count > 1);
    let reordered = held
        .number(TENSOR_REORDERING_MODE)
        .is_some_and(|mode| mode != 0);
    if vectors || reordered || !held.parts(TENSOR_RAGGED_OFFSET).is_empty() {
        return Err(Status::NOT_SUPPORTED);
    }
    Ok(GraphTensor {
        id: id[0],
        layout: Layout {
            kind,
            dims,
            strides,
        },
        is_virtual: held.flag(TENSOR_IS_VIRTUAL),
        by_value: held.flag(TENSOR_IS_BY_VALUE),
    })
}

impl Graph {
    /// From the descriptor of a graph. One with operations that we lack is a graph too, but has no engine.
    pub(crate) fn build(held: &Descriptor) -> Result<Self> {
        let mut graph = Self::default();
        let parts = held.parts(OPERATIONGRAPH_OPS);
        require(!parts.is_empty())?;
        for part in parts {
            match graph.operation(part) {
                Ok(operation) => graph.operations.push(operation),
                Err(status) if status.0 / 1000 == 3 => graph.refused = Some(status),
                Err(status) => return Err(status),
            }
        }
        if graph.refused.is_none() {
            graph.sort()?;
        }
        Ok(graph)
    }

    /// Whether it can run.
    pub(crate) fn supported(&self) -> Result {
        self.refused.map_or(Ok(()), Err)
    }

    /// Adds the tensor of an attribute.
    fn add(&mut self, held: &Descriptor, name: u32) -> Result<i64> {
        let tensor = tensor(held.part(name, TENSOR)?)?;
        let id = tensor.id;
        self.tensors.insert(id, tensor);
        Ok(id)
    }

    fn operation(&mut self, held: &Descriptor) -> Result<Operation> {
        match held.kind {
            OP_CONVOLUTION_FORWARD => {
                let names = [FORWARD_X, FORWARD_W, FORWARD_Y];
                self.convolution(
                    held,
                    Direction::Forward,
                    FORWARD_CONV,
                    names,
                    [FORWARD_ALPHA, FORWARD_BETA],
                )
            }
            OP_CONVOLUTION_BWD_DATA => {
                let names = [BWD_DATA_W, BWD_DATA_DY, BWD_DATA_DX];
                self.convolution(
                    held,
                    Direction::Data,
                    BWD_DATA_CONV,
                    names,
                    [BWD_DATA_ALPHA, BWD_DATA_BETA],
                )
            }
            OP_CONVOLUTION_BWD_FILTER => {
                let names = [BWD_FILTER_X, BWD_FILTER_DY, BWD_FILTER_DW];
                self.convolution(
                    held,
                    Direction::Filter,
                    BWD_FILTER_CONV,
                    names,
                    [BWD_FILTER_ALPHA, BWD_FILTER_BETA],
                )
            }
            OP_POINTWISE => self.pointwise(held),
            OP_MATMUL => {
                let overrides = [
                    OP_MATMUL_M_OVERRIDE,
                    OP_MATMUL_N_OVERRIDE,
                    OP_MATMUL_K_OVERRIDE,
                ];
                if overrides.iter().any(|&name| !held.parts(name).is_empty()) {
                    return Err(Status::NOT_SUPPORTED);
                }
                let inputs = [self.add(held, OP_MATMUL_A)?, self.add(held, OP_MATMUL_B)?];
                Ok(Operation::Matmul {
                    inputs,
                    output: self.add(held, OP_MATMUL_C)?,
                })
            }
            OP_REDUCTION => {
                let operator = held
                    .part(OP_REDUCTION_DESC, REDUCTION)?
                    .number(REDUCTION_OPERATOR);
                Ok(Operation::Reduction {
                    reduction: reduction(operator.ok_or(Status::BAD_PARAM)?)?,
                    input: self.add(held, OP_REDUCTION_X)?,
                    output: self.add(held, OP_REDUCTION_Y)?,
                })
            }
            OP_RESHAPE => {
                let (input, output) =
                    (self.add(held, OP_RESHAPE_X)?, self.add(held, OP_RESHAPE_Y)?);
                require(
                    self.tensors[&input].layout.elements()
                        == self.tensors[&output].layout.elements(),
                )?;
                Ok(Operation::Reshape { input, output })
            }
            _ => Err(Status::NOT_SUPPORTED_GRAPH_PATTERN),
        }
    }

    fn convolution(
        &mut self,
        held: &Descriptor,
        direction: Direction,
        conv: u32,
        names: [u32; 3],
        [alpha, beta]: [u32; 2],
    ) -> Result<Operation> {
        let parameters = held.part(conv, CONVOLUTION)?;
        let conv = Convolution {
            pad: parameters.sizes(CONVOLUTION_PRE_PADDINGS)?,
            post: parameters.sizes(CONVOLUTION_POST_PADDINGS)?,
            stride: parameters.sizes(CONVOLUTION_FILTER_STRIDES)?,
            dilation: parameters.sizes(CONVOLUTION_DILATIONS)?,
            mirrored: parameters.number(CONVOLUTION_CONV_MODE) == Some(0),
        };
        let rank = conv.pad.len();
        require(
            [&conv.post, &conv.stride, &conv.dilation]
                .iter()
                .all(|values| values.len() == rank),
        )?;
        require(
            conv.stride
                .iter()
                .chain(&conv.dilation)
                .all(|&step| step > 0),
        )?;
        let [one, two, output] = [
            self.add(held, names[0])?,
            self.add(held, names[1])?,
            self.add(held, names[2])?,
        ];
        let [x, w, y] = match direction {
            Direction::Forward => [one, two, output],
            Direction::Data => [output, one, two],
            Direction::Filter => [one, output, two],
        }
        .map(|id| &self.tensors[&id].layout);
        let floating = |layout: &&Layout| {
            matches!(layout.kind, Type::F16 | Type::Bf16 | Type::F32 | Type::F64)
        };
        if ![x, w, y].iter().all(floating) {
            return Err(Status::NOT_SUPPORTED_DATA_TYPE);
        }
        if !(1..=3).contains(&rank) {
            return Err(Status::NOT_SUPPORTED_SHAPE);
        }
        require(conv.output(&x.dims, &w.dims)? == y.dims)?;
        require(
            x.dims[1].is_multiple_of(w.dims[1]) && w.dims[0].is_multiple_of(x.dims[1] / w.dims[1]),
        )?;
        let blend = (
            held.real(alpha).unwrap_or(1.0),
            held.real(beta).unwrap_or(0.0),
        );
        Ok(Operation::Convolution {
            direction,
            conv,
            inputs: [one, two],
            output,
            blend,
        })
    }

    fn pointwise(&mut self, held: &Descriptor) -> Result<Operation> {
        let function = Function::new(held.part(OP_POINTWISE_PW, POINTWISE)?)?;
        // The way back has the gradient in front, and the input or output of the way ahead behind it.
        let (names, output): (&[u32], u32) = match function.operands() {
            _ if function.backward() => {
                let other = if held.parts(OP_POINTWISE_X).is_empty() {
                    OP_POINTWISE_Y
                } else {
                    OP_POINTWISE_X
                };
                let mut inputs = vec![self.add(held, OP_POINTWISE_DY)?];
                inputs.push(self.add(held, other)?);
                let output = self.add(held, OP_POINTWISE_DX)?;
                return self.fitting(held, function, inputs, output);
            }
            1 => (&[OP_POINTWISE_X], OP_POINTWISE_Y),
            2 => (&[OP_POINTWISE_X, OP_POINTWISE_B], OP_POINTWISE_Y),
            _ => (
                &[OP_POINTWISE_X, OP_POINTWISE_B, OP_POINTWISE_T],
                OP_POINTWISE_Y,
            ),
        };
        let mut inputs = Vec::with_capacity(names.len());
        for &name in names {
            inputs.push(self.add(held, name)?);
        }
        let output = self.add(held, output)?;
        self.fitting(held, function, inputs, output)
    }

    /// A pointwise operation whose tensors can be repeated along the output's dimensions. An addend whose factor is 0 is
    /// no operand: TensorFlow gives no pointer for it.
    fn fitting(
        &self,
        held: &Descriptor,
        function: Function,
        inputs: Vec<i64>,
        output: i64,
    ) -> Result<Operation> {
        let dims = &self.tensors[&output].layout.dims;
        for input in &inputs {
            self.tensors[input].layout.broadcast(dims)?;
        }
        let factors =
            [OP_POINTWISE_ALPHA1, OP_POINTWISE_ALPHA2].map(|name| held.real(name).unwrap_or(1.0));
        let (function, inputs, factors) = match (inputs.as_slice(), factors) {
            (&[a, _], [one, 0.0]) if function.adds() => (function.alone(), vec![a], [one, 1.0]),
            (&[_, b], [0.0, two]) if function.adds() => (function.alone(), vec![b], [two, 1.0]),
            _ => (function, inputs, factors),
        };
        Ok(Operation::Pointwise {
            function,
            inputs,
            output,
            factors,
        })
    }

    /// Puts operations behind those whose results they need.
    fn sort(&mut self) -> Result {
        let mut waiting = std::mem::take(&mut self.operations);
        while !waiting.is_empty() {
            let made: Vec<i64> = waiting.iter().map(Operation::output).collect();
            let ready = waiting.iter().position(|operation| {
                let own = operation.output();
                operation
                    .inputs()
                    .iter()
                    .all(|input| *input == own || !made.contains(input))
            });
            // Operations that wait for each other are no graph.
            self.operations
                .push(waiting.remove(ready.ok_or(Status::BAD_PARAM)?));
        }
        let operations = &self.operations;
        self.tensors.retain(|id, _| {
            let mut all = operations.iter();
            all.any(|operation| operation.output() == *id || operation.inputs().contains(id))
        });
        for tensor in self.tensors.values().filter(|tensor| tensor.is_virtual) {
            require(
                self.operations
                    .iter()
                    .any(|operation| operation.output() == tensor.id),
            )?;
        }
        Ok(())
    }
}
