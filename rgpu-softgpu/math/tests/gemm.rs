//! Products of random shapes, layouts and types against sums of one product after another.

use proptest::prelude::*;
use rgpu_softgpu_math::cpu::compute;
use rgpu_softgpu_math::element::{Compute, Element, bf16, c32, c64, f16};
use rgpu_softgpu_math::gemm::{Matrix, Shape, Threads, batch, gemm};

/// A matrix with gaps between its columns (or rows), with small whole numbers that every type can hold.
struct Stored<T> {
    data: Vec<T>,
    ld: usize,
    by_rows: bool,
    conjugate: bool,
}

impl<T: Copy> Stored<T> {
    fn new(rows: usize, columns: usize, layout: Layout, mut element: impl FnMut() -> T) -> Self {
        let (length, lines) = match layout.by_rows {
            true => (columns, rows),
            false => (rows, columns),
        };
        let ld = length + layout.gap;
        Self {
            data: (0..ld * lines).map(|_| element()).collect(),
            ld,
            by_rows: layout.by_rows,
            conjugate: layout.conjugate,
        }
    }

    fn view(&mut self) -> Matrix<T> {
        let pointer = self.data.as_mut_ptr();
        let view = match self.by_rows {
            true => Matrix::rows(pointer, self.ld),
            false => Matrix::columns(pointer, self.ld),
        };
        if self.conjugate {
            view.conjugated()
        } else {
            view
        }
    }

    fn index(&self, row: usize, column: usize) -> usize {
        match self.by_rows {
            true => row * self.ld + column,
            false => column * self.ld + row,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Layout {
    by_rows: bool,
    conjugate: bool,
    gap: usize,
}

fn layout() -> impl Strategy<Value = Layout> {
    (any::<bool>(), any::<bool>(), 0usize..4).prop_map(|(by_rows, conjugate, gap)| Layout {
        by_rows,
        conjugate,
        gap,
    })
}

/// Numbers from -4 to 4, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) % 9) as f64 - 4.0
    }

    fn complex(&mut self) -> c64 {
        c64::new(self.next(), self.next())
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    shape: Shape,
    layouts: [Layout; 3],
    alpha: i8,
    beta: i8,
    seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (0usize..40, 0usize..40, 0usize..40).prop_map(|(m, n, k)| Shape { m, n, k });
    let layouts = [layout(), layout(), layout()];
    (shape, layouts, -2i8..3, -2i8..3, any::<u64>()).prop_map(
        |(shape, layouts, alpha, beta, seed)| Case {
            shape,
            layouts,
            alpha,
            beta,
            seed,
        },
    )
}

/// Runs `case` with elements of type T and sums of type S; all values are whole and small, so that the result must be
/// exact. `value` makes an element, `plain` tells what it is.
fn check<S: Compute, T: Element<S>>(
    case: Case,
    real: impl Fn(i8) -> S,
    value: impl Fn(c64) -> T,
    plain: impl Fn(T) -> c64,
) {
    let Shape { m, n, k } = case.shape;
    let mut numbers = Numbers(case.seed);
    let mut element = || value(numbers.complex());
    let [la, lb, lc] = case.layouts;
    let lc = Layout {
        conjugate: false,
        ..lc
    };
    let mut a = Stored::new(m, k, la, &mut element);
    let mut b = Stored::new(k, n, lb, &mut element);
    let mut c = Stored::new(m, n, lc, &mut element);
    let before: Vec<c64> = c.data.iter().map(|&element| plain(element)).collect();
    let mut want = before.clone();
    let part = |matrix: &Stored<T>, row, column| {
        let value = plain(matrix.data[matrix.index(row, column)]);
        if matrix.conjugate {
            value.conj()
        } else {
            value
        }
    };
    for row in 0..m {
        for column in 0..n {
            let sum: c64 = (0..k)
                .map(|at| part(&a, row, at) * part(&b, at, column))
                .sum();
            let at = c.index(row, column);
            want[at] = sum * f64::from(case.alpha) + before[at] * f64::from(case.beta);
        }
    }
    let (av, bv, cv) = (a.view(), b.view(), c.view());
    let (alpha, beta) = (real(case.alpha), real(case.beta));
    // SAFETY: the views are of vectors that are large enough and live on.
    compute(move || unsafe { gemm(case.shape, alpha, av, bv, beta, cv, Threads::Pool) });
    let got: Vec<c64> = c.data.iter().map(|&element| plain(element)).collect();
    assert_eq!(got, want, "{case:?}");
}

proptest! {
    #[test]
    fn single(case in case()) {
        check::<f32, f32>(case, f32::from, |z| z.re as f32, |x| c64::new(x.into(), 0.0));
    }

    #[test]
    fn double(case in case()) {
        check::<f64, f64>(case, f64::from, |z| z.re, |x| c64::new(x, 0.0));
    }

    #[test]
    fn complex_single(case in case()) {
        let value = |z: c64| c32::new(z.re as f32, z.im as f32);
        let plain = |z: c32| c64::new(z.re.into(), z.im.into());
        check::<c32, c32>(case, |x| c32::new(x.into(), 0.0), value, plain);
    }

    #[test]
    fn complex_double(case in case()) {
        check::<c64, c64>(case, |x| c64::new(x.into(), 0.0), |z| z, |z| z);
    }

    /// Halves hold whole numbers up to 2048, so the sums are exact only where they stay below.
    #[test]
    fn half(case in case()) {
        let shape = Shape { k: case.shape.k.min(20), ..case.shape };
        let case = Case { shape, ..case };
        check::<f32, f16>(case, f32::from, |z| f16::from_f64(z.re), |x| c64::new(x.to_f64(), 0.0));
    }

    /// Brain floats hold whole numbers up to 256.
    #[test]
    fn brain(case in case()) {
        let shape = Shape { k: case.shape.k.min(6), ..case.shape };
        let case = Case { shape, ..case };
        check::<f32, bf16>(case, f32::from, |z| bf16::from_f64(z.re), |x| c64::new(x.to_f64(), 0.0));
    }
}

#[test]
fn the_sums_of_halves_are_singles() {
    // 2048 + 1 is no half, but 4096 ones are a sum of singles.
    let k = 4096;
    let (mut a, mut b) = (vec![f16::ONE; k], vec![f16::ONE; k]);
    let mut c = [f16::ZERO];
    let shape = Shape { m: 1, n: 1, k };
    let (a, b) = (
        Matrix::rows(a.as_mut_ptr(), k),
        Matrix::columns(b.as_mut_ptr(), k),
    );
    // SAFETY: the matrices are the vectors above.
    unsafe {
        gemm(
            shape,
            1f32,
            a,
            b,
            0.0,
            Matrix::columns(c.as_mut_ptr(), 1),
            Threads::One,
        )
    };
    assert_eq!(c[0], f16::from_f32(4096.0));
}

#[test]
fn bytes_are_summed_exactly() {
    // 127 * 127 * 3000 is beyond the whole numbers of a single.
    let k = 3000;
    let (mut a, mut b) = (vec![127i8; k], vec![127i8; k]);
    let mut c = [0i32];
    let shape = Shape { m: 1, n: 1, k };
    let (a, b) = (
        Matrix::rows(a.as_mut_ptr(), k),
        Matrix::columns(b.as_mut_ptr(), k),
    );
    // SAFETY: the matrices are the vectors above.
    unsafe {
        gemm(
            shape,
            1f64,
            a,
            b,
            0.0,
            Matrix::columns(c.as_mut_ptr(), 1),
            Threads::One,
        )
    };
    assert_eq!(c[0], 127 * 127 * 3000);
}

#[test]
fn zero_scalars_read_nothing() {
    let mut nan = [f32::NAN; 4];
    let mut c = [f32::NAN; 4];
    let (nan, view) = (
        Matrix::columns(nan.as_mut_ptr(), 2),
        Matrix::columns(c.as_mut_ptr(), 2),
    );
    let shape = Shape { m: 2, n: 2, k: 2 };
    // SAFETY: the matrices are the arrays above.
    unsafe { gemm(shape, 0.0, nan, nan, 0.0, view, Threads::One) };
    assert_eq!(c, [0.0; 4]);
    let mut one = [1f32; 4];
    c = [f32::NAN; 4];
    let one = Matrix::columns(one.as_mut_ptr(), 2);
    // SAFETY: the matrices are the arrays above.
    unsafe { gemm(shape, 1.0, one, one, 0.0, view, Threads::One) };
    assert_eq!(c, [2.0; 4]);
}

#[test]
fn a_batch_has_every_product_once() {
    for count in [0, 1, 2, 100] {
        let done: Vec<_> = (0..count)
            .map(|_| std::sync::atomic::AtomicU32::new(0))
            .collect();
        compute(|| {
            batch(count, |index, _| {
                done[index].fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            });
        });
        assert!(done.into_iter().all(|times| times.into_inner() == 1));
    }
}
