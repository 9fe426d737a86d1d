//! Random tensors, and reading and writing them by index.

use half::{bf16, f16};
use rgpu_softgpu_math::nn::tensor::{Layout, Tensor, Type};

/// How dimensions lie in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    First,
    Last,
    /// Channels first, with gaps.
    Gaps,
}

pub(crate) const ORDERS: [Order; 3] = [Order::First, Order::Last, Order::Gaps];

pub(crate) fn layout(kind: Type, dims: &[usize], order: Order) -> Layout {
    match order {
        Order::First => Layout::packed(kind, dims),
        Order::Last => Layout::channels_last(kind, dims),
        Order::Gaps => {
            let wider: Vec<usize> = dims.iter().map(|dim| dim + 1).collect();
            let strides = Layout::packed(kind, &wider).strides;
            let strides = strides.iter().map(|stride| stride * 2).collect();
            Layout {
                kind,
                dims: dims.to_vec(),
                strides,
            }
        }
    }
}

/// A tensor with memory of its own.
pub(crate) struct Own {
    pub(crate) tensor: Tensor,
    _memory: Vec<u64>,
}

impl Own {
    pub(crate) fn new(layout: Layout, mut value: impl FnMut() -> f64) -> Self {
        // All ones: not-a-number in every floating type, so that gaps and what must not be read show.
        let mut memory = vec![u64::MAX; layout.bytes() / 8 + 1];
        // SAFETY: the memory is as large, aligned for every type, and kept as long.
        let tensor = unsafe { Tensor::trusted(layout, memory.as_mut_ptr().cast()) };
        let own = Self {
            tensor,
            _memory: memory,
        };
        for index in indices(&own.tensor.layout.dims) {
            own.set(&index, value());
        }
        own
    }

    fn at(&self, index: &[usize]) -> *mut u8 {
        let Layout {
            kind,
            strides,
            dims,
        } = &self.tensor.layout;
        assert!(index.iter().zip(dims).all(|(at, dim)| at < dim));
        let at: usize = index
            .iter()
            .zip(strides)
            .map(|(at, stride)| at * stride)
            .sum();
        // SAFETY: inside of the tensor.
        unsafe { self.tensor.pointer().add(at * kind.size()) }
    }

    pub(crate) fn get(&self, index: &[usize]) -> f64 {
        let at = self.at(index);
        // SAFETY: an element of that type.
        unsafe {
            match self.tensor.layout.kind {
                Type::F16 => at.cast::<f16>().read().to_f64(),
                Type::Bf16 => at.cast::<bf16>().read().to_f64(),
                Type::F32 => at.cast::<f32>().read().into(),
                Type::F64 => at.cast::<f64>().read(),
                kind => unreachable!("{kind:?}"),
            }
        }
    }

    pub(crate) fn set(&self, index: &[usize], value: f64) {
        let at = self.at(index);
        // SAFETY: an element of that type.
        unsafe {
            match self.tensor.layout.kind {
                Type::F16 => at.cast::<f16>().write(f16::from_f64(value)),
                Type::Bf16 => at.cast::<bf16>().write(bf16::from_f64(value)),
                Type::F32 => at.cast::<f32>().write(value as f32),
                Type::F64 => at.cast::<f64>().write(value),
                kind => unreachable!("{kind:?}"),
            }
        }
    }

    pub(crate) fn values(&self) -> Vec<f64> {
        let dims = &self.tensor.layout.dims;
        indices(dims).iter().map(|index| self.get(index)).collect()
    }

    /// Fails unless the elements are `expected`, in the order of the dimensions.
    pub(crate) fn assert(&self, expected: &[f64], depth: usize) {
        let unit = match self.tensor.layout.kind {
            Type::F16 => 1.0 / 1024.0,
            Type::Bf16 => 1.0 / 128.0,
            Type::F32 => f64::from(f32::EPSILON),
            _ => f64::EPSILON,
        };
        let values = self.values();
        assert_eq!(values.len(), expected.len());
        for (at, (value, expected)) in values.iter().zip(expected).enumerate() {
            let sums = f64::from(f32::EPSILON).min(unit) * 8.0 * (depth as f64 + 8.0);
            let bound = unit * 2.0 * expected.abs() + sums;
            assert!(
                (value - expected).abs() <= bound,
                "element {at}: {value}, not {expected}"
            );
        }
    }
}

/// All indices, the last running fastest.
pub(crate) fn indices(dims: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &dim in dims {
        all = all
            .iter()
            .flat_map(|index| (0..dim).map(move |at| [&index[..], &[at]].concat()))
            .collect();
    }
    all
}

/// Numbers between -1 and 1, the same for the same seed.
pub(crate) fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// Calls `$function::<f64>` where a tensor holds doubles, else `::<f32>`.
macro_rules! by_type {
    ($kind:expr, $($function:ident)::+ ($($argument:expr),* $(,)?)) => {
        match $kind {
            Type::F64 => $($function)::+::<f64>($($argument),*),
            _ => $($function)::+::<f32>($($argument),*),
        }
    };
}
pub(crate) use by_type;
