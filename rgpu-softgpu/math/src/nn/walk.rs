//! Going through several tensors together, in the order of memory, on all threads.

use std::marker::PhantomData;

use rayon::prelude::*;

/// Elements below which one thread does it all.
const GRAIN: usize = 1 << 14;

/// Memory that several threads write, each its own elements.
#[derive(Debug)]
pub struct Shared<'a, T> {
    pointer: *mut T,
    len: usize,
    _life: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<'_, T> {}

// SAFETY: whoever reads or writes elements promises that no two threads do so at once.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// All elements of a slice.
    pub fn new(values: &'a mut [T]) -> Self {
        Self::of(values.as_mut_ptr(), values.len())
    }

    /// `len` elements somewhere; what they are used for is asked of `get` and `set`.
    pub fn of(pointer: *mut T, len: usize) -> Self {
        Self {
            pointer,
            len,
            _life: PhantomData,
        }
    }

    /// The first of them.
    pub fn pointer(self) -> *mut T {
        self.pointer
    }

    /// # Safety
    /// `at` is one of them, and no other thread writes it.
    #[inline(always)]
    pub unsafe fn get(self, at: usize) -> T
    where
        T: Copy,
    {
        debug_assert!(at < self.len, "{at} of {}", self.len);
        // SAFETY: as the caller says.
        unsafe { *self.pointer.add(at) }
    }

    /// # Safety
    /// `at` is one of them, and no other thread reads or writes it.
    #[inline(always)]
    pub unsafe fn set(self, at: usize, value: T)
    where
        T: Copy,
    {
        debug_assert!(at < self.len, "{at} of {}", self.len);
        // SAFETY: as the caller says.
        unsafe { *self.pointer.add(at) = value };
    }

    /// # Safety
    /// All of `start..start + len` are among them, and no other thread reads or writes those.
    #[inline(always)]
    pub unsafe fn part(self, start: usize, len: usize) -> &'a mut [T] {
        debug_assert!(start + len <= self.len, "{start} + {len} of {}", self.len);
        // SAFETY: as the caller says.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), len) }
    }
}

/// The loops of a walk, outermost first: how often, and how far in each tensor.
#[derive(Debug, Clone)]
pub struct Loops<const N: usize> {
    loops: Vec<(usize, [usize; N])>,
}

impl<const N: usize> Loops<N> {
    /// Loops over `dims`, in the order of the strides of the tensor `order`, neighbours joined.
    pub fn new(dims: &[usize], strides: [&[usize]; N], order: usize) -> Self {
        let at = |dim: usize| std::array::from_fn(|tensor| strides[tensor][dim]);
        let mut all: Vec<(usize, [usize; N])> = (0..dims.len())
            .filter(|&dim| dims[dim] != 1)
            .map(|dim| (dims[dim], at(dim)))
            .collect();
        all.sort_by_key(|(_, steps)| std::cmp::Reverse(steps[order]));
        let mut loops: Vec<(usize, [usize; N])> = Vec::with_capacity(all.len());
        for (count, steps) in all {
            match loops.last_mut() {
                Some((outer, far)) if (0..N).all(|tensor| far[tensor] == steps[tensor] * count) => {
                    *outer *= count;
                    *far = steps;
                }
                _ => loops.push((count, steps)),
            }
        }
        if loops.is_empty() {
            loops.push((1, [1; N]));
        }
        Self { loops }
    }

    /// How many times the innermost loop runs.
    pub fn rows(&self) -> usize {
        self.outer().iter().map(|(count, _)| count).product()
    }

    /// How often the innermost loop goes round, and its steps.
    pub fn inner(&self) -> (usize, [usize; N]) {
        self.loops[self.loops.len() - 1]
    }

    fn outer(&self) -> &[(usize, [usize; N])] {
        &self.loops[..self.loops.len() - 1]
    }

    /// Where the innermost loop starts its run number `row`.
    pub fn start(&self, mut row: usize) -> [usize; N] {
        let mut start = [0; N];
        for (count, steps) in self.outer().iter().rev() {
            let index = row % count;
            row /= count;
            for tensor in 0..N {
                start[tensor] += index * steps[tensor];
            }
        }
        start
    }
}

/// Calls `each(starts, count, steps)` for runs of elements that together are all elements of `dims`, each once; on all
/// threads if there are many. The runs follow the first tensor's memory.
#[expect(
    clippy::needless_pass_by_value,
    reason = "an array of references, made for the call"
)]
pub fn walk<const N: usize, S: AsRef<[usize]>>(
    dims: &[usize],
    strides: [S; N],
    each: impl Fn([usize; N], usize, [usize; N]) + Sync,
) {
    let total: usize = dims.iter().product();
    if total == 0 {
        return;
    }
    let loops = Loops::new(
        dims,
        std::array::from_fn(|tensor| strides[tensor].as_ref()),
        0,
    );
    let (count, steps) = loops.inner();
    let rows = loops.rows();
    if total <= GRAIN {
        for row in 0..rows {
            each(loops.start(row), count, steps);
        }
    } else if count >= GRAIN {
        // Long runs are cut; whole multiples of a cache line.
        let pieces = count.div_ceil(GRAIN);
        (0..rows * pieces).into_par_iter().for_each(|piece| {
            let first = piece % pieces * GRAIN;
            let mut start = loops.start(piece / pieces);
            for tensor in 0..N {
                start[tensor] += first * steps[tensor];
            }
            each(start, GRAIN.min(count - first), steps);
        });
    } else {
        let at_once = (GRAIN / count).max(1);
        (0..rows.div_ceil(at_once))
            .into_par_iter()
            .for_each(|chunk| {
                for row in chunk * at_once..rows.min((chunk + 1) * at_once) {
                    each(loops.start(row), count, steps);
                }
            });
    }
}
