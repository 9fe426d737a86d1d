//! BLAS beside products of general matrices, against what can be worked out by hand or by its definition.

use rgpu_softgpu_math::blas::factors::{
    Equation, factor_lu, factor_qr, invert_lu, least_squares, solve_lu,
};
use rgpu_softgpu_math::blas::level3::{Update, multiply_triangular, solve};
use rgpu_softgpu_math::blas::structured::{Form, Meaning, Structured};
use rgpu_softgpu_math::blas::vector::{Vector, make_modified};
use rgpu_softgpu_math::blas::{Diagonal, Triangle};
use rgpu_softgpu_math::element::c64;
use rgpu_softgpu_math::gemm::{Matrix, Threads};

/// Small whole numbers, so that sums are exact.
fn number(seed: usize) -> f64 {
    ((seed * 7919 + 13) % 11) as f64 - 5.0
}

fn complex(seed: usize) -> c64 {
    c64::new(number(seed), number(seed + 5))
}

#[test]
fn a_matrix_is_factored_and_inverted() {
    // Rows (2 1), (4 3): the second is the larger, so that they change places; 2 / 4 of it leaves 1 - 3 / 2.
    let mut a = [2.0, 4.0, 1.0, 3.0];
    let mut pivots = [0; 2];
    let view = Matrix::columns(a.as_mut_ptr(), 2);
    // SAFETY: a matrix and two pivots.
    let singular = unsafe { factor_lu(2, view, Some(pivots.as_mut_ptr()), Threads::One) };
    assert_eq!((singular, a, pivots), (0, [4.0, 0.5, 3.0, -0.5], [2, 2]));
    // The determinant is 2: rows (1.5 -0.5), (-2 1).
    let mut inverse = [0.0; 4];
    let target = Matrix::columns(inverse.as_mut_ptr(), 2);
    // SAFETY: as above.
    let singular = unsafe { invert_lu(2, view, Some(pivots.as_ptr()), target, Threads::One) };
    assert_eq!((singular, inverse), (0, [1.5, -2.0, -0.5, 1.0]));
    // Transposed: 2 x + 4 y = 10 and x + 3 y = 7 for x = 1, y = 2.
    let mut b = [10.0, 7.0];
    let side = Matrix::columns(b.as_mut_ptr(), 2);
    let pivots = Some(pivots.as_ptr());
    // SAFETY: as above.
    unsafe {
        solve_lu(
            Equation::Transposed,
            (2, 1),
            view,
            pivots,
            side,
            Threads::One,
        )
    };
    assert_eq!(b, [1.0, 2.0]);
}

#[test]
fn a_zero_pivot_is_named_and_the_rest_factored() {
    let mut a = [0.0, 0.0, 3.0, 5.0];
    let mut pivots = [0; 2];
    let view = Matrix::columns(a.as_mut_ptr(), 2);
    // SAFETY: a matrix and two pivots.
    let singular = unsafe { factor_lu(2, view, Some(pivots.as_mut_ptr()), Threads::One) };
    assert_eq!((singular, a, pivots), (1, [0.0, 0.0, 3.0, 5.0], [1, 2]));
}

#[test]
fn a_column_is_reflected() {
    // (3 4) becomes (-5 0): the vector is (1, 4 / 8), its factor 1 + 3 / 5.
    let (mut a, mut tau) = ([3.0, 4.0], [0.0]);
    // SAFETY: a matrix of one column.
    unsafe { factor_qr((2, 1), Matrix::columns(a.as_mut_ptr(), 2), tau.as_mut_ptr()) };
    assert_eq!((a, tau), ([-5.0, 0.5], [1.6]));
}

#[test]
fn a_line_is_fitted() {
    // Through (0, 1), (1, 3), (2, 5) goes 1 + 2 x.
    let mut a = [1.0, 1.0, 1.0, 0.0, 1.0, 2.0];
    let mut c = [1.0, 3.0, 5.0];
    let (view, side) = (
        Matrix::columns(a.as_mut_ptr(), 3),
        Matrix::columns(c.as_mut_ptr(), 3),
    );
    // SAFETY: three equations with two unknowns.
    let singular = unsafe { least_squares((3, 2, 1), view, side, Threads::One) };
    assert_eq!(singular, 0);
    assert!(
        (c[0] - 1.0_f64).abs() < 1e-14 && (c[1] - 2.0_f64).abs() < 1e-14,
        "{c:?}"
    );
}

#[test]
fn a_modified_rotation_is_made() {
    // d = 1, 1 and (3, 4): y is the larger, so that h11 = h22 = 3 / 4 and u = 1 + 9 / 16.
    let (values, parameters) = make_modified([1.0, 1.0, 3.0], 4.0);
    assert_eq!(values, [0.64, 0.64, 6.25]);
    assert_eq!(parameters, [1.0, 0.75, 0.0, 0.0, 0.75]);
    // x is the larger: h21 = -1 / 2, h12 = 1 / 2, u = 5 / 4.
    let (values, parameters) = make_modified([1.0, 1.0, 2.0], 1.0);
    assert_eq!(values, [0.8, 0.8, 2.5]);
    assert_eq!(parameters, [0.0, 0.0, -0.5, 0.5, 0.0]);
}

#[test]
fn triangles_larger_than_a_block_are_multiplied_and_solved() {
    let (n, columns) = (70, 5);
    for triangle in [Triangle::Lower, Triangle::Upper] {
        for diagonal in [Diagonal::Stored, Diagonal::Unit] {
            let meant = |row: usize, column: usize| match (triangle.has(row, column), diagonal) {
                (false, _) => 0.0,
                (true, Diagonal::Unit) if row == column => 1.0,
                (true, _) if row == column => 4.0,
                (true, _) => number(row * 31 + column) / 8.0,
            };
            let stored = |row, column| match triangle.has(row, column) && row != column {
                true => meant(row, column),
                // Must not be read with a unit diagonal, or ever on the other side.
                false if row == column && diagonal == Diagonal::Stored => 4.0,
                false => f64::NAN,
            };
            let mut a: Vec<f64> = (0..n * n).map(|at| stored(at % n, at / n)).collect();
            let x: Vec<f64> = (0..n * columns).map(number).collect();
            let mut b = x.clone();
            let (a, view) = (
                Matrix::columns(a.as_mut_ptr(), n),
                Matrix::columns(b.as_mut_ptr(), n),
            );
            // SAFETY: matrices of these sizes.
            unsafe { multiply_triangular(triangle, diagonal, n, columns, a, view, Threads::One) };
            for column in 0..columns {
                for row in 0..n {
                    let want: f64 = (0..n).map(|k| meant(row, k) * x[column * n + k]).sum();
                    assert_eq!(
                        b[column * n + row],
                        want,
                        "{triangle:?} {diagonal:?} {row} {column}"
                    );
                }
            }
            let view = Matrix::columns(b.as_mut_ptr(), n);
            if diagonal == Diagonal::Unit {
                continue;
            }
            // SAFETY: as above.
            unsafe { solve(triangle, diagonal, n, columns, a, view, Threads::One) };
            let worst = b.iter().zip(&x).map(|(b, x)| (b - x).abs());
            assert!(worst.fold(0.0, f64::max) < 1e-6, "{triangle:?}");
        }
    }
}

#[test]
fn one_triangle_of_a_hermitian_product_is_updated() {
    let (n, k) = (70, 9);
    for triangle in [Triangle::Lower, Triangle::Upper] {
        for (twice, hermitian) in [(false, true), (true, true), (true, false)] {
            let mut a: Vec<c64> = (0..n * k).map(complex).collect();
            let mut b: Vec<c64> = (0..n * k).map(|at| complex(at * 3)).collect();
            let before: Vec<c64> = (0..n * n).map(|at| complex(at * 5)).collect();
            let mut c = before.clone();
            let update = Update {
                triangle,
                hermitian,
                twice,
                alpha: c64::new(2.0, 1.0),
                beta: c64::new(3.0, 0.0),
            };
            let at = |values: &mut Vec<c64>| Matrix::columns(values.as_mut_ptr(), n);
            let (left, right, sums) = (at(&mut a), at(&mut b), at(&mut c));
            // SAFETY: matrices of these sizes.
            unsafe { update.apply((n, k), left, right, sums, Threads::One) };
            let star = |value: c64| if hermitian { value.conj() } else { value };
            let product = |row: usize, column: usize| {
                let term = |k: usize| a[k * n + row] * star(b[k * n + column]);
                update.alpha * (0..k).map(term).sum::<c64>()
            };
            for at in 0..n * n {
                let (row, column) = (at % n, at / n);
                let mut want = before[at];
                if triangle.has(row, column) {
                    want = want * 3.0 + product(row, column);
                    if twice {
                        want += star(product(column, row));
                    }
                    if hermitian && row == column {
                        want.im = 0.0;
                    }
                }
                assert_eq!(c[at], want, "{triangle:?} {twice} {row} {column}");
            }
        }
    }
}

#[test]
fn a_packed_triangle_is_updated() {
    // The lower triangle of (1, 2) (1, 2)' is 1, 2, 4.
    let (mut packed, mut x) = ([10.0, 20.0, 30.0], [1.0, 2.0]);
    let matrix = Structured {
        pointer: packed.as_mut_ptr(),
        rows: 2,
        columns: 2,
        form: Form::Packed(Triangle::Lower),
        meaning: Meaning::Symmetric(Triangle::Lower),
        transposed: false,
        conjugate: false,
    };
    // SAFETY: three elements, and a vector of two.
    unsafe { matrix.update(3.0, Vector::new(x.as_mut_ptr(), 2, 1), None) };
    assert_eq!(packed, [13.0, 26.0, 42.0]);
}
