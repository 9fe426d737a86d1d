//! Products of matrices whose first factor is looked up, not copied.
//!
//! `C[m][n] += sum over k of A[rows[m] + taps[k]] * B[k][n]`: a convolution is such a product, where `rows` says where an
//! element of the output starts to look at the input and `taps` what it sees from there. Nothing of the input is copied,
//! as it would be for a product of plain matrices (nine times for a filter of 3 by 3).

use super::tensor::Real;

/// Rows of a tile: with two vectors in each they are what fits in 16 registers.
pub const ROWS: usize = 6;

/// A type with a kernel.
pub trait Tile: Real {
    /// Columns of a tile: two vectors of 32 bytes.
    const COLUMNS: usize;

    /// One tile: adds up to [`ROWS`] rows of the product to `c`, or sets them.
    ///
    /// # Safety
    /// Every `rows[i] + taps[k]` is an index of `a`; `b` has `taps.len() * COLUMNS` elements, and `c` has `count` rows
    /// of `COLUMNS` elements, `pitch` apart.
    #[expect(clippy::too_many_arguments, reason = "the operands of a product")]
    unsafe fn tile(
        a: *const Self,
        rows: &[usize; ROWS],
        taps: &[usize],
        b: *const Self,
        c: *mut Self,
        pitch: usize,
        count: usize,
        add: bool,
    );
}

/// # Safety
/// As for [`Tile::tile`].
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the operands of a product")]
unsafe fn tile<T: Real, const N: usize, const FUSED: bool>(
    a: *const T,
    rows: &[usize; ROWS],
    taps: &[usize],
    b: *const T,
    c: *mut T,
    pitch: usize,
    count: usize,
    add: bool,
) {
    let mut sums = [[T::zero(); N]; ROWS];
    // SAFETY: as the caller says; the same holds for all that follows.
    let bases = rows.map(|row| unsafe { a.add(row) });
    let mut next = b.cast::<[T; N]>();
    for &tap in taps {
        // SAFETY: as above.
        let line = unsafe { *next };
        for (sum, base) in sums.iter_mut().zip(bases) {
            // SAFETY: as above.
            let value = unsafe { *base.add(tap) };
            for at in 0..N {
                sum[at] = match FUSED {
                    true => value.fused(line[at], sum[at]),
                    false => sum[at] + value * line[at],
                };
            }
        }
        // SAFETY: as above.
        next = unsafe { next.add(1) };
    }
    for (at, sum) in sums.iter().enumerate().take(count) {
        // SAFETY: as above.
        let target = unsafe { &mut *c.add(at * pitch).cast::<[T; N]>() };
        for at in 0..N {
            target[at] = match add {
                true => target[at] + sum[at],
                false => sum[at],
            };
        }
    }
}

macro_rules! tiles {
    ($($type:ty: $columns:literal, $fast:ident;)*) => {$(
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        #[expect(clippy::too_many_arguments, reason = "the operands of a product")]
        unsafe fn $fast(
            a: *const $type,
            rows: &[usize; ROWS],
            taps: &[usize],
            b: *const $type,
            c: *mut $type,
            pitch: usize,
            count: usize,
            add: bool,
        ) {
            // SAFETY: as the caller says.
            unsafe { tile::<$type, $columns, true>(a, rows, taps, b, c, pitch, count, add) }
        }

        impl Tile for $type {
            const COLUMNS: usize = $columns;

            unsafe fn tile(
                a: *const Self,
                rows: &[usize; ROWS],
                taps: &[usize],
                b: *const Self,
                c: *mut Self,
                pitch: usize,
                count: usize,
                add: bool,
            ) {
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: as the caller says, and the processor has what it needs.
                    return unsafe { $fast(a, rows, taps, b, c, pitch, count, add) };
                }
                // SAFETY: as the caller says.
                unsafe { tile::<$type, $columns, false>(a, rows, taps, b, c, pitch, count, add) }
            }
        }
    )*};
}

tiles! {
    f32: 16, f32_avx2;
    f64: 8, f64_avx2;
}

/// The second factor, cut into panels of as many columns as a tile has; the last one filled up with zeros.
#[derive(Debug, Default)]
pub struct Panels<T> {
    depth: usize,
    columns: usize,
    values: Vec<T>,
}

impl<T: Tile> Panels<T> {
    /// Takes `value(k, n)` for all `depth` by `columns`.
    pub fn pack(&mut self, depth: usize, columns: usize, value: impl Fn(usize, usize) -> T) {
        (self.depth, self.columns) = (depth, columns);
        self.values.clear();
        self.values.reserve(depth * self.pitch());
        for first in (0..columns).step_by(T::COLUMNS) {
            let own = (columns - first).min(T::COLUMNS);
            for k in 0..depth {
                self.values
                    .extend((first..first + own).map(|n| value(k, n)));
                self.values.extend((own..T::COLUMNS).map(|_| T::zero()));
            }
        }
    }

    /// Takes rows that lie without gaps.
    pub fn pack_rows<'a>(&mut self, depth: usize, columns: usize, row: impl Fn(usize) -> &'a [T]) {
        (self.depth, self.columns) = (depth, columns);
        self.values.clear();
        self.values.resize(depth * self.pitch(), T::zero());
        let mut lines = self.values.chunks_exact_mut(T::COLUMNS);
        for first in (0..columns).step_by(T::COLUMNS) {
            let own = (columns - first).min(T::COLUMNS);
            for (k, line) in (0..depth).zip(&mut lines) {
                line[..own].copy_from_slice(&row(k)[first..first + own]);
            }
        }
    }

    /// Columns, those that fill up included: how far apart the rows of a product are.
    pub fn pitch(&self) -> usize {
        self.columns.next_multiple_of(T::COLUMNS)
    }

    /// Adds the product to `c`, whose rows are [`pitch`](Self::pitch) apart, or sets it.
    ///
    /// # Panics
    /// When an index lies outside of `a`, or `c` is too small.
    pub fn multiply(&self, a: &[T], rows: &[usize], taps: &[usize], c: &mut [T], add: bool) {
        let highest = |indices: &[usize]| indices.iter().copied().max();
        let (Some(row), Some(tap)) = (highest(rows), highest(taps)) else {
            if !add {
                c[..rows.len() * self.pitch()].fill(T::zero());
            }
            return;
        };
        assert!(row + tap < a.len(), "a row starts outside of the matrix");
        assert!(taps.len() == self.depth && c.len() >= rows.len() * self.pitch());
        for panel in 0..self.pitch() / T::COLUMNS {
            let b = &self.values[panel * self.depth * T::COLUMNS..][..self.depth * T::COLUMNS];
            for (at, some) in rows.chunks(ROWS).enumerate() {
                // Rows that fill the tile up are computed and dropped.
                let mut tile = [some[0]; ROWS];
                tile[..some.len()].copy_from_slice(some);
                let c = &mut c[at * ROWS * self.pitch() + panel * T::COLUMNS..];
                // SAFETY: the sum of the highest indices lies in `a`; the panel has `depth` lines, one for each tap;
                // `c` has as many rows as `rows`.
                unsafe {
                    T::tile(
                        a.as_ptr(),
                        &tile,
                        taps,
                        b.as_ptr(),
                        c.as_mut_ptr(),
                        self.pitch(),
                        some.len(),
                        add,
                    );
                }
            }
        }
    }
}
