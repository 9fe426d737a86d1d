//! Tensors: types, dimensions, strides, and where they are.

use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::Range;

use num_traits::{Float, NumAssign};

use super::walk::{Shared, walk};
use crate::element::{Element, bf16, f16};
use crate::queue::{self, Span};

/// As many dimensions as a tensor of cuDNN may have.
pub const MAX_DIMS: usize = 8;

/// What elements are stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// IEEE half precision.
    F16,
    /// The upper half of an `f32`.
    Bf16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Signed bytes.
    I8,
    /// Unsigned bytes, also truth values.
    U8,
    /// Integers of 32 bits.
    I32,
    /// Integers of 64 bits.
    I64,
}

impl Type {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }
}

/// Evaluates an expression with `$element` as the type of elements of that kind.
macro_rules! with_type {
    ($kind:expr, $element:ident => $then:expr) => {
        match $kind {
            Type::F16 => {
                type $element = f16;
                $then
            }
            Type::Bf16 => {
                type $element = bf16;
                $then
            }
            Type::F32 => {
                type $element = f32;
                $then
            }
            Type::F64 => {
                type $element = f64;
                $then
            }
            Type::I8 => {
                type $element = i8;
                $then
            }
            Type::U8 => {
                type $element = u8;
                $then
            }
            Type::I32 => {
                type $element = i32;
                $then
            }
            Type::I64 => {
                type $element = i64;
                $then
            }
        }
    };
}

/// A type that is computed with.
pub trait Real:
    Float + NumAssign + Default + Debug + Send + Sync + 'static + Element<Self>
{
    /// As it is stored.
    const KIND: Type;
    /// Rounded to it.
    fn of(value: f64) -> Self;
    /// As a double.
    fn get(self) -> f64;
    /// `self * factor + term`, rounded once or twice, whatever is fast.
    fn fused(self, factor: Self, term: Self) -> Self;
}

macro_rules! real {
    ($($type:ty = $kind:ident),*) => {$(
        impl Real for $type {
            const KIND: Type = Type::$kind;
            fn of(value: f64) -> Self {
                value as Self
            }
            fn get(self) -> f64 {
                self.into()
            }
            #[inline(always)]
            fn fused(self, factor: Self, term: Self) -> Self {
                self.mul_add(factor, term)
            }
        }
    )*};
}

real!(f32 = F32, f64 = F64);

/// Type, dimensions and strides (in elements).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What it holds.
    pub kind: Type,
    /// How many along each dimension.
    pub dims: Vec<usize>,
    /// How far apart.
    pub strides: Vec<usize>,
}

impl Layout {
    /// The last dimension without gaps, the next around it, and so on.
    pub fn packed(kind: Type, dims: &[usize]) -> Self {
        let mut strides = vec![1; dims.len()];
        for at in (1..dims.len()).rev() {
            strides[at - 1] = strides[at] * dims[at];
        }
        Self {
            kind,
            dims: dims.to_vec(),
            strides,
        }
    }

    /// With the second dimension innermost.
    pub fn channels_last(kind: Type, dims: &[usize]) -> Self {
        let mut order = vec![0];
        order.extend(2..dims.len());
        order.push(1);
        let mut strides = vec![1; dims.len()];
        let mut next = 1;
        for &at in order.iter().rev().filter(|&&at| at < dims.len()) {
            strides[at] = next;
            next *= dims[at];
        }
        Self {
            kind,
            dims: dims.to_vec(),
            strides,
        }
    }

    /// How many elements.
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// Elements from the first to behind the last.
    pub fn extent(&self) -> usize {
        if self.elements() == 0 {
            return 0;
        }
        let last = self.dims.iter().zip(&self.strides);
        last.map(|(dim, stride)| (dim - 1) * stride).sum::<usize>() + 1
    }

    /// [`extent`](Self::extent) in bytes.
    pub fn bytes(&self) -> usize {
        self.extent() * self.kind.size()
    }

    /// The strides with which a tensor of `dims` reads this one: none along dimensions that it has once.
    pub fn broadcast(&self, dims: &[usize]) -> super::Result<Vec<usize>> {
        if self.dims.len() > dims.len() {
            return Err(super::Error::Shape);
        }
        let missing = dims.len() - self.dims.len();
        let mut strides = vec![0; missing];
        for (at, &dim) in self.dims.iter().enumerate() {
            match dim {
                1 => strides.push(0),
                _ if dim == dims[missing + at] => strides.push(self.strides[at]),
                _ => return Err(super::Error::Shape),
            }
        }
        Ok(strides)
    }
}

/// A tensor and the memory that holds it.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Its shape.
    pub layout: Layout,
    pointer: *mut u8,
}

// SAFETY: the elements are memory of the device, which belongs to no thread.
unsafe impl Send for Tensor {}
// SAFETY: as above.
unsafe impl Sync for Tensor {}

impl Tensor {
    /// A tensor at `pointer`, all of whose memory the driver vouches for.
    pub fn new(layout: Layout, pointer: *const u8) -> queue::Result<Self> {
        let span = Span::new(pointer, layout.bytes())?;
        let address = pointer.addr();
        if !address.is_multiple_of(layout.kind.size()) {
            return Err(queue::Error::Alignment { address });
        }
        Ok(Self {
            layout,
            pointer: span.pointer(),
        })
    }

    /// A tensor in other memory.
    ///
    /// # Safety
    /// `pointer` is aligned, and `layout.bytes()` there are initialised and outlive the tensor and its copies.
    pub unsafe fn trusted(layout: Layout, pointer: *mut u8) -> Self {
        Self { layout, pointer }
    }

    fn range(&self) -> Range<usize> {
        let start = self.pointer.addr();
        start..start + self.layout.bytes()
    }

    /// Where its first element is.
    pub fn pointer(&self) -> *mut u8 {
        self.pointer
    }

    /// Whether it shares memory with another.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (one, two) = (self.range(), other.range());
        one.start < two.end && two.start < one.end
    }

    /// Its elements as `T`, at their strides.
    pub fn read<T: Real>(&self) -> Cow<'_, [T]> {
        let len = self.layout.extent();
        if self.layout.kind == T::KIND && len > 0 {
            // SAFETY: that many elements of the type T are there (`new`, `trusted`); a program that writes them
            // meanwhile has a race, and any bytes are a value.
            return Cow::Borrowed(unsafe { std::slice::from_raw_parts(self.pointer.cast(), len) });
        }
        let mut values = vec![T::default(); len];
        let target = Shared::new(&mut values);
        let Layout {
            kind,
            dims,
            strides,
        } = &self.layout;
        // Elements that are seen several times are read once.
        let once = dims
            .iter()
            .zip(strides)
            .map(|(&dim, &stride)| if stride == 0 { 1 } else { dim });
        let dims: Vec<usize> = once.collect();
        walk(&dims, [strides, strides], |[from, to], len, [step, _]| {
            with_type!(*kind, E => for at in (0..len).map(|at| at * step) {
                // SAFETY: inside of the tensor's extent, and of `values`, which is as long.
                unsafe {
                    let value = *self.pointer.cast::<E>().add(from + at);
                    target.set(to + at, load::<E, T>(value));
                }
            });
        });
        Cow::Owned(values)
    }

    /// Where a result of `T` is computed that becomes `alpha * result + beta * what is there`. It does not share
    /// memory with the `inputs`.
    pub fn output<T: Real>(&self, alpha: f64, beta: f64, inputs: &[&Self]) -> Output<'_, T> {
        let len = self.layout.extent();
        let own = self.layout.kind == T::KIND
            && beta == 0.0
            && len > 0
            && !inputs.iter().any(|input| input.overlaps(self));
        let memory = if own {
            let pointer = self.pointer.cast();
            // SAFETY: that many elements of T are there, and no input of the operation is among them.
            Memory::Own(unsafe { std::slice::from_raw_parts_mut(pointer, len) })
        } else {
            Memory::Other(vec![T::default(); len])
        };
        Output {
            tensor: self,
            alpha: T::of(alpha),
            beta: T::of(beta),
            memory,
        }
    }
}

/// Converts with the fewest roundings: by way of `f64` only where that is exact anyway.
#[inline(always)]
fn load<E: Element<f32> + Element<f64>, T: Real>(value: E) -> T {
    match T::KIND {
        Type::F32 => T::of(Element::<f32>::load(value).into()),
        _ => T::of(Element::<f64>::load(value)),
    }
}

#[inline(always)]
fn store<E: Element<f32> + Element<f64>, T: Real>(value: T) -> E {
    match T::KIND {
        Type::F32 => <E as Element<f32>>::store(value.get() as f32),
        _ => <E as Element<f64>>::store(value.get()),
    }
}

#[derive(Debug)]
enum Memory<'a, T> {
    Own(&'a mut [T]),
    Other(Vec<T>),
}

/// A result on its way into a tensor.
#[derive(Debug)]
#[must_use = "it is not in the tensor before it is finished"]
pub struct Output<'a, T> {
    tensor: &'a Tensor,
    alpha: T,
    beta: T,
    memory: Memory<'a, T>,
}

impl<T: Real> Output<'_, T> {
    /// The elements, at the tensor's strides. What they hold before the operation sets them is arbitrary.
    pub fn values(&mut self) -> &mut [T] {
        match &mut self.memory {
            Memory::Own(values) => values,
            Memory::Other(values) => values,
        }
    }

    /// Puts the result into the tensor.
    pub fn finish(mut self) {
        let (alpha, beta) = (self.alpha, self.beta);
        let Layout {
            kind,
            dims,
            strides,
        } = &self.tensor.layout;
        match &mut self.memory {
            Memory::Own(_) if alpha == T::one() => {}
            Memory::Own(values) => {
                let values = Shared::new(values);
                walk(dims, [strides], |[at], len, [step]| {
                    for at in (0..len).map(|index| at + index * step) {
                        // SAFETY: inside of the tensor, and each element once.
                        unsafe { values.set(at, alpha * values.get(at)) };
                    }
                });
            }
            Memory::Other(values) => {
                let pointer = Shared::of(self.tensor.pointer, self.tensor.layout.bytes());
                let values = &*values;
                walk(dims, [strides], |[at], len, [step]| {
                    with_type!(*kind, E => for at in (0..len).map(|index| at + index * step) {
                        // SAFETY: inside of the tensor, and each element once.
                        let element = unsafe { pointer.pointer().cast::<E>().add(at) };
                        let mut value = alpha * values[at];
                        if beta != T::zero() {
                            // SAFETY: as above.
                            value += beta * load::<E, T>(unsafe { *element });
                        }
                        // SAFETY: as above.
                        unsafe { *element = store(value) };
                    });
                });
            }
        }
    }
}

/// Whether these tensors are computed with as doubles.
pub fn doubles(tensors: &[&Tensor]) -> bool {
    tensors.iter().any(|tensor| tensor.layout.kind == Type::F64)
}
