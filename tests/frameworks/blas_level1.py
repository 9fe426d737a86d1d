"""Vectors."""

import ctypes

import numpy

from blas_device import *


def vector(random, n, step, dtype):
    """What lies in memory, and the vector in it, whose elements are `step` apart, backwards if it is negative."""
    full = normal(random, max(n, 1) * max(abs(step), 1), dtype)
    view = full[::abs(step)][:n]
    return full, view if step > 0 else view[::-1]


def test_level1(device, random):
    for letter, dtype in TYPES.items():
        n = int(random.integers(1, 500))
        steps = [int(step) for step in random.choice([-3, -2, -1, 1, 2, 3], 2)]
        (x, xv), (y, yv) = vector(random, n, steps[0], dtype), vector(random, n, steps[1], dtype)
        alpha = normal(random, 1, dtype)[0]
        dx, dy = device.array(x), device.array(y)
        dot = "dot" if letter in "SD" else "dotu"
        with Scalar(device, random) as scalar:
            place, read = scalar.result(dtype)
            device.blas(f"cublas{letter}{dot}_v2", device.handle, n, dx.p, steps[0], dy.p, steps[1], place)
            close(read(), (xv * yv).sum(), dtype, letter + dot, n)
            step = abs(steps[0])
            for name, want in [("nrm2", numpy.linalg.norm(xv)), ("asum", (abs(xv.real) + abs(xv.imag)).sum())]:
                place, read = scalar.result(REAL[letter])
                prefix = {"C": "Sc", "Z": "Dz"}.get(letter, letter)
                device.blas(f"cublas{prefix}{name}_v2", device.handle, n, dx.p, step, place)
                close(read(), want, REAL[letter], prefix + name, n)
            sizes = abs(x[::step][:n].real) + abs(x[::step][:n].imag)
            for name, want in [("amax", sizes.argmax()), ("amin", sizes.argmin())]:
                place, read = scalar.result(numpy.int32)
                device.blas(f"cublasI{letter.lower()}{name}_v2", device.handle, n, dx.p, step, place)
                same(int(read()[0]), int(want) + 1, letter + name)
            want = y.copy()
            vector_view = want[::abs(steps[1])][:n]
            (vector_view if steps[1] > 0 else vector_view[::-1])[:] += alpha * xv
            device.blas(f"cublas{letter}axpy_v2", device.handle, n, scalar(alpha, dtype), dx.p, steps[0], dy.p, steps[1])
            close(dy.get(), want, dtype, letter + "axpy")
            want = x.copy()
            want[::step][:n] *= alpha
            device.blas(f"cublas{letter}scal_v2", device.handle, n, scalar(alpha, dtype), dx.p, step)
            close(dx.get(), want, dtype, letter + "scal")


def test_level1_of_halves(device, random):
    n = int(random.integers(1, 500))
    x, y = (normal(random, n, numpy.float16) for _ in range(2))
    dx, dy = device.array(x), device.array(y)
    with Scalar(device, random) as scalar:
        place, read = scalar.result(numpy.float16)
        device.blas("cublasDotEx", device.handle, n, dx.p, R_16F, 1, dy.p, R_16F, 1, place, R_16F, R_32F)
        close(read(), (x.astype(float) * y).sum(), numpy.float16, "DotEx")
        device.blas("cublasAxpyEx", device.handle, n, scalar(0.5, numpy.float32), R_32F, dx.p, R_16F, 1, dy.p, R_16F, 1, R_32F)
        close(dy.get(), y + 0.5 * x.astype(float), numpy.float16, "AxpyEx")


def test_rotations(device, random):
    for letter, dtype in TYPES.items():
        n = int(random.integers(1, 50))
        x, y = normal(random, n, dtype), normal(random, n, dtype)
        (a, b), real = normal(random, 2, dtype), REAL[letter]
        with Scalar(device, random) as scalar:
            (pa, ra), (pb, _), (pc, rc), (ps, rs) = [
                scalar.result(kind, value=value) for kind, value in ((dtype, a), (dtype, b), (real, 0), (dtype, 0))]
            device.blas(f"cublas{letter}rotg_v2", device.handle, pa, pb, pc, ps)
            r, c, s = ra()[0], rc()[0], rs()[0]
            close(numpy.array([c * a + s * b, c * b - numpy.conj(s) * a]), numpy.array([r, 0]), dtype, letter + "rotg")
            close(c * c + abs(s) ** 2, 1, dtype, letter + "rotg's length")
            dx, dy = device.array(x), device.array(y)
            device.blas(f"cublas{letter}rot_v2", device.handle, n, dx.p, 1, dy.p, 1, scalar(c, real), scalar(s, dtype))
            close(dx.get(), c * x + s * y, dtype, letter + "rot")
            close(dy.get(), c * y - numpy.conj(s) * x, dtype, letter + "rot")
            if letter in "SD":
                h11, h21, h12, h22 = h = normal(random, 4, dtype)
                for flag, matrix in [(-1, [[h11, h12], [h21, h22]]), (0, [[1, h12], [h21, 1]]),
                                     (1, [[h11, 1], [-1, h22]]), (-2, [[1, 0], [0, 1]])]:
                    dx, dy = device.array(x), device.array(y)
                    device.blas(f"cublas{letter}rotm_v2", device.handle, n, dx.p, 1, dy.p, 1, scalar([flag, *h], dtype))
                    want = numpy.array(matrix, dtype) @ numpy.array([x, y])
                    close(numpy.array([dx.get(), dy.get()]), want, dtype, f"{letter}rotm {flag}")


def modified(parameters):
    """The matrix of a modified rotation."""
    flag, h11, h21, h12, h22 = (float(value) for value in parameters)
    return numpy.array({-1: [[h11, h12], [h21, h22]], 0: [[1, h12], [h21, 1]], 1: [[h11, 1], [-1, h22]],
                        -2: [[1, 0], [0, 1]]}[int(flag)])


def check_modified(before, y1, after, parameters, dtype, what):
    """The rotation makes the second number zero and keeps the length."""
    (d1, d2, x1), (e1, e2, z1) = [[float(value) for value in numbers] for numbers in (before, after)]
    rotated = modified(parameters) @ [x1, float(y1)]
    size = max(abs(x1), abs(float(y1)), abs(z1))
    close(rotated / size, numpy.array([z1, 0]) / size, dtype, what)
    length = d1 * x1 * x1 + d2 * float(y1) ** 2
    close(e1 * z1 * z1 / length, 1, dtype, what + "'s length")
    same(all(value == 0 or 4096 ** -2 <= abs(value) <= 4096 ** 2 for value in (e1, e2)), True, what + "'s factors are in range")


def test_modified_rotations(device, random):
    kinds = [("cublasSrotmg_v2", numpy.float32, None), ("cublasDrotmg_v2", numpy.float64, None),
             ("cublasRotmgEx", numpy.float16, R_16F), ("cublasRotmgEx", numpy.float32, R_32F),
             ("cublasRotmgEx", numpy.float64, R_64F)]
    for name, dtype, kind in kinds:
        wide = dtype != numpy.float16 and random.integers(2)
        before = numpy.abs(normal(random, 3, dtype)) + dtype(0.1)
        # So large or small that the factors have to be scaled.
        before[:2] *= dtype(2.0 ** int(random.integers(-30, 31)) if wide else 1)
        y1 = normal(random, 1, dtype)[0] * dtype(2.0 ** int(random.integers(-2, 3)))
        with Scalar(device, random) as scalar:
            (p1, r1), (p2, r2), (px, rx) = [scalar.result(dtype, value=value) for value in before]
            place, read = scalar.result(dtype, 5)
            if kind is None:
                device.blas(name, device.handle, p1, p2, px, scalar(y1, dtype), place)
            else:
                device.blas(name, device.handle, p1, kind, p2, kind, px, kind, scalar(y1, dtype), kind, place, kind,
                            R_64F if kind == R_64F else R_32F)
            check_modified(before, y1, [r1()[0], r2()[0], rx()[0]], read(), dtype, name)
    with Scalar(device, random) as scalar:
        (p1, r1), (p2, r2), (px, rx) = [scalar.result(numpy.float64, value=value) for value in (-1, 2, 3)]
        place, read = scalar.result(numpy.float64, 5)
        device.blas("cublasDrotmg_v2", device.handle, p1, p2, px, scalar(1, numpy.float64), place)
        same([r1()[0], r2()[0], rx()[0], *read()], [0, 0, 0, -1, 0, 0, 0, 0], "a factor below 0")


def test_rotations_of_named_types(device, random):
    n = int(random.integers(1, 50))
    kinds = [(numpy.float16, R_16F, R_32F), (numpy.float32, R_32F, R_32F), (numpy.float64, R_64F, R_64F),
             (numpy.complex64, C_32F, C_32F), (numpy.complex128, C_64F, C_64F)]
    for dtype, kind, execution in kinds:
        x, y = normal(random, n, dtype), normal(random, n, dtype)
        a, b = normal(random, 2, dtype)
        with Scalar(device, random) as scalar:
            (pa, ra), (pb, _), (pc, rc), (ps, rs) = [scalar.result(dtype, value=value) for value in (a, b, 0, 0)]
            device.blas("cublasRotgEx", device.handle, pa, pb, kind, pc, ps, kind, execution)
            r, c, s = ra()[0], rc()[0], rs()[0]
            close(numpy.array([c * a + s * b, c * b - numpy.conj(s) * a]), numpy.array([r, 0]), dtype, "RotgEx")
            close(abs(c) ** 2 + abs(s) ** 2, 1, dtype, "RotgEx's length")
            dx, dy = device.array(x), device.array(y)
            device.blas("cublasRotEx", device.handle, n, dx.p, kind, 1, dy.p, kind, 1, scalar(c, dtype), scalar(s, dtype), kind,
                        execution)
            close(dx.get(), c * x + s * y, dtype, "RotEx")
            close(dy.get(), c * y - numpy.conj(s) * x, dtype, "RotEx")
            if kind in (C_32F, C_64F):
                real, of_real = (numpy.float32, R_32F) if kind == C_32F else (numpy.float64, R_64F)
                dx, dy = device.array(x), device.array(y)
                device.blas("cublasRotEx", device.handle, n, dx.p, kind, 1, dy.p, kind, 1, scalar(0.6, real),
                            scalar(0.8, real), of_real, execution)
                close(dx.get(), 0.6 * x + 0.8 * y, dtype, "RotEx by real numbers")
                continue
            parameters = [-1, *normal(random, 4, dtype)]
            dx, dy = device.array(x), device.array(y)
            device.blas("cublasRotmEx", device.handle, n, dx.p, kind, 1, dy.p, kind, 1, scalar(parameters, dtype), kind, execution)
            want = modified(parameters) @ numpy.array([x, y], numpy.float64)
            close(numpy.array([dx.get(), dy.get()]), want, dtype, "RotmEx")
    one = numpy.ones(1).ctypes.data_as(pointer)
    same(device.code("cublasRotEx", device.handle, n, dx.p, R_16F, 1, dy.p, R_32F, 1, one, one, R_32F, R_32F), NOT_SUPPORTED,
         "RotEx of two types")
