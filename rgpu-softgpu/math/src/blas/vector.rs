//! Vectors, and what level 1 of BLAS does with them.

use crate::element::{Compute, Element};
use num_traits::Float;

/// A vector: where its first element is, and how far apart the next.
#[derive(Debug, Clone, Copy)]
pub struct Vector<T> {
    /// The first element.
    pub pointer: *mut T,
    /// From one element to the next.
    pub step: isize,
    /// How many there are.
    pub len: usize,
}

// SAFETY: a pointer and numbers; whoever follows it must know that it may.
unsafe impl<T: Send> Send for Vector<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Vector<T> {}

impl<T> Vector<T> {
    /// `len` elements of which the lowest in memory is at `pointer`. With a negative step it is the last, as in BLAS.
    pub fn new(pointer: *mut T, len: usize, step: isize) -> Self {
        let first = if step < 0 {
            (1 - len as isize) * step
        } else {
            0
        };
        Self {
            pointer: pointer.wrapping_offset(first),
            step,
            len,
        }
    }

    fn at(self, index: usize) -> *mut T {
        self.pointer.wrapping_offset(index as isize * self.step)
    }

    /// An element.
    ///
    /// # Safety
    /// It lies in memory that may be read.
    pub unsafe fn load<S>(self, index: usize) -> S
    where
        T: Element<S>,
    {
        // SAFETY: the caller's promise.
        unsafe { self.at(index).read() }.load()
    }

    /// Stores an element.
    ///
    /// # Safety
    /// It lies in memory that may be written.
    pub unsafe fn store<S>(self, index: usize, value: S)
    where
        T: Element<S>,
    {
        // SAFETY: the caller's promise.
        unsafe { self.at(index).write(T::store(value)) };
    }
}

/// The sum of `term(0)` to `term(len - 1)`, in pairs, so that errors grow with the logarithm of the length.
fn sum<S: Compute>(from: usize, len: usize, term: &impl Fn(usize) -> S) -> S {
    const BLOCK: usize = 128;
    match len <= BLOCK {
        true => (from..from + len).fold(S::zero(), |sum, index| sum + term(index)),
        false => sum(from, len / 2, term) + sum(from + len / 2, len - len / 2, term),
    }
}

/// y += alpha x
///
/// # Safety
/// The vectors are of the same length and lie in memory that may be read and, for y, written. This holds for all
/// functions of this module.
pub unsafe fn axpy<S: Compute, X: Element<S>, Y: Element<S>>(alpha: S, x: Vector<X>, y: Vector<Y>) {
    for index in 0..x.len {
        // SAFETY: the caller's promise.
        unsafe { y.store(index, y.load::<S>(index) + alpha * x.load(index)) };
    }
}

/// x = alpha x
///
/// # Safety
/// As [`axpy`].
pub unsafe fn scale<S: Compute, X: Element<S>>(alpha: S, x: Vector<X>) {
    for index in 0..x.len {
        // SAFETY: the caller's promise.
        unsafe { x.store(index, alpha * x.load::<S>(index)) };
    }
}

/// y = x
///
/// # Safety
/// As [`axpy`].
pub unsafe fn copy<T: Copy>(x: Vector<T>, y: Vector<T>) {
    for index in 0..x.len {
        // SAFETY: the caller's promise.
        unsafe { y.at(index).write(x.at(index).read()) };
    }
}

/// Exchanges x and y.
///
/// # Safety
/// As [`axpy`].
pub unsafe fn swap<T: Copy>(x: Vector<T>, y: Vector<T>) {
    for index in 0..x.len {
        // SAFETY: the caller's promise.
        unsafe {
            let value = x.at(index).read();
            x.at(index).write(y.at(index).read());
            y.at(index).write(value);
        }
    }
}

/// The sum of the products of x (or its conjugates) and y.
///
/// # Safety
/// As [`axpy`].
pub unsafe fn dot<S: Compute, X: Element<S>, Y: Element<S>>(
    x: Vector<X>,
    y: Vector<Y>,
    conjugate: bool,
) -> S {
    sum(0, x.len, &|index| {
        // SAFETY: the caller's promise.
        let (x, y): (S, S) = unsafe { (x.load(index), y.load(index)) };
        if conjugate { x.conj() * y } else { x * y }
    })
}

/// The Euclidean norm, without overflow on the way.
///
/// # Safety
/// As [`axpy`].
pub unsafe fn norm<S: Compute, X: Element<S>>(x: Vector<X>) -> S::Real {
    // SAFETY: the caller's promise.
    let size = |index| unsafe { x.load::<S>(index) }.modulus();
    let largest = (0..x.len)
        .map(size)
        .fold(S::Real::default(), |largest, size| {
            if size > largest || size.is_nan() {
                size
            } else {
                largest
            }
        });
    if largest == S::Real::default() || !largest.is_finite() {
        return largest;
    }
    let squares = sum::<S::Real>(0, x.len, &|index| {
        let part = size(index) / largest;
        part * part
    });
    largest * squares.sqrt()
}

/// The sum of the absolute values of all parts.
///
/// # Safety
/// As [`axpy`].
pub unsafe fn sizes<S: Compute, X: Element<S>>(x: Vector<X>) -> S::Real {
    // SAFETY: the caller's promise.
    sum(0, x.len, &|index| unsafe { x.load::<S>(index) }.size())
}

/// The first index of the largest (or smallest) element, counted from 1; 0 if there is none.
///
/// # Safety
/// As [`axpy`].
pub unsafe fn extreme<S: Compute, X: Element<S>>(x: Vector<X>, largest: bool) -> usize {
    let mut best = None;
    for index in 0..x.len {
        // SAFETY: the caller's promise.
        let size = unsafe { x.load::<S>(index) }.size();
        let better = |known: S::Real| if largest { size > known } else { size < known };
        if best.is_none_or(|(_, known)| better(known)) {
            best = Some((index + 1, size));
        }
    }
    best.map_or(0, |(index, _)| index)
}

/// x, y = c x + s y, c y - conj(s) x
///
/// # Safety
/// As [`axpy`].
pub unsafe fn rotate<S: Compute, X: Element<S>>(x: Vector<X>, y: Vector<X>, c: S, s: S) {
    for index in 0..x.len {
        // SAFETY: the caller's promise.
        unsafe {
            let (a, b) = (x.load::<S>(index), y.load::<S>(index));
            x.store(index, c * a + s * b);
            y.store(index, c * b - s.conj() * a);
        }
    }
}

/// A modified rotation: a flag and the matrix H, as BLAS packs them.
pub type Modified<R> = [R; 5];

/// The matrix H of a modified rotation, row by row; none where it is the identity.
fn modified<R: Float>([flag, h11, h21, h12, h22]: Modified<R>) -> Option<[R; 4]> {
    let one = R::one();
    match flag {
        flag if flag == -one => Some([h11, h12, h21, h22]),
        flag if flag == R::zero() => Some([one, h12, h21, one]),
        flag if flag == one => Some([h11, one, -one, h22]),
        _ => None,
    }
}

/// x, y = H (x, y)
///
/// # Safety
/// As [`axpy`].
pub unsafe fn rotate_modified<S: Compute<Real = S> + Float, X: Element<S>>(
    x: Vector<X>,
    y: Vector<X>,
    parameters: Modified<S>,
) {
    let Some([h11, h12, h21, h22]) = modified(parameters) else {
        return;
    };
    for index in 0..x.len {
        // SAFETY: the caller's promise.
        unsafe {
            let (a, b) = (x.load::<S>(index), y.load::<S>(index));
            x.store(index, h11 * a + h12 * b);
            y.store(index, h21 * a + h22 * b);
        }
    }
}

/// The rotation that makes b zero: r, z, c and s. For complex numbers z is b, as it was.
pub fn make_rotation<S: Compute>(a: S, b: S) -> (S, S, S::Real, S) {
    let (one, zero) = (<S::Real as num_traits::One>::one(), S::Real::default());
    if S::COMPLEX {
        if a.modulus() == zero {
            return (b, b, zero, S::one());
        }
        let norm = a.modulus().hypot(b.modulus());
        let phase = a / S::of_real(a.modulus());
        let s = phase * b.conj() / S::of_real(norm);
        return (phase * S::of_real(norm), b, a.modulus() / norm, s);
    }
    let (a, b) = (a.re(), b.re());
    if a == zero && b == zero {
        return (S::zero(), S::zero(), one, S::zero());
    }
    let roe = if a.abs() > b.abs() { a } else { b };
    let r = a.hypot(b).copysign(roe);
    let (c, s) = (a / r, b / r);
    let z = match () {
        () if a.abs() > b.abs() => s,
        () if c != zero => one / c,
        () => one,
    };
    (S::of_real(r), S::of_real(z), c, S::of_real(s))
}

/// The modified rotation that makes y1 zero in (sqrt(d1) x1, sqrt(d2) y1): d1, d2 and x1 as they are then, and its
/// parameters.
pub fn make_modified<R: Float>([mut d1, mut d2, mut x1]: [R; 3], y1: R) -> ([R; 3], Modified<R>) {
    let (zero, one) = (R::zero(), R::one());
    let none = ([zero; 3], [-one, zero, zero, zero, zero]);
    if d1 < zero {
        return none;
    }
    let (p1, p2) = (d1 * x1, d2 * y1);
    if p2 == zero {
        return ([d1, d2, x1], [-(one + one), zero, zero, zero, zero]);
    }
    // Which two of its elements are 1 and -1, and h11, h12, h21, h22.
    let (mut flag, mut h);
    if (p1 * x1).abs() > (p2 * y1).abs() {
        h = [one, p2 / p1, -y1 / x1, one];
        flag = zero;
        let u = one - h[1] * h[2];
        if u <= zero {
            return none;
        }
        (d1, d2, x1) = (d1 / u, d2 / u, x1 * u);
    } else {
        if p2 * y1 < zero {
            return none;
        }
        h = [p1 / p2, one, -one, x1 / y1];
        flag = one;
        let u = one + h[0] * h[3];
        (d1, d2, x1) = (d2 / u, d1 / u, y1 * u);
    }
    // Keeps d1 and d2 away from overflow and underflow; after that no element is known.
    let by = R::from(4096).unwrap_or(one);
    let (small, large) = ((by * by).recip(), by * by);
    let mut scaled = |d: &mut R, row: &mut [R], x: Option<&mut R>| {
        let mut all = one;
        while *d != zero && (d.abs() <= small || d.abs() >= large) {
            let (square, step) = match d.abs() <= small {
                true => (large, by.recip()),
                false => (small, by),
            };
            *d = *d * square;
            all = all * step;
            flag = -one;
        }
        row.iter_mut()
            .chain(x)
            .for_each(|value| *value = *value * all);
    };
    let (first, second) = h.split_at_mut(2);
    scaled(&mut d1, first, Some(&mut x1));
    scaled(&mut d2, second, None);
    let [h11, h12, h21, h22] = h;
    let parameters = match () {
        () if flag == zero => [flag, zero, h21, h12, zero],
        () if flag == one => [flag, h11, zero, zero, h22],
        () => [flag, h11, h21, h12, h22],
    };
    ([d1, d2, x1], parameters)
}
