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
            (pa, ra), (pb, _), (pc, rc), (ps, rs) = [scalar.result(kind) for kind in (dtype, dtype, real, dtype)]
            for place, value in ((pa, a), (pb, b)):
                source = numpy.array([value], dtype)
                if scalar.where:
                    device.cuda("cuMemcpyHtoD_v2", place, source.ctypes.data_as(pointer), i64(source.nbytes))
                else:
                    ctypes.memmove(place, source.ctypes.data, source.nbytes)
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
