"""Matrices and vectors."""

import numpy

from blas_device import *


def test_level2(device, random):
    for letter, dtype in TYPES.items():
        m, n = (int(size) for size in random.integers(1, 40, 2))
        operation = int(random.integers(0, 3))
        a, av, lda = stored(random, m, n, dtype)
        rows, columns = (m, n) if operation == 0 else (n, m)
        x, y = normal(random, columns, dtype), normal(random, rows, dtype)
        alpha, beta = normal(random, 2, dtype)
        da, dx, dy = device.array(a), device.array(x), device.array(y)
        square, view, ld = stored(random, n, n, dtype)
        square[:n] += 4 * numpy.eye(n, dtype=dtype)
        uplo = int(random.integers(2))
        half = numpy.tril(view) if uplo == 0 else numpy.triu(view)
        full = half + half.T - numpy.diag(numpy.diag(half))
        ds, v = device.array(square), normal(random, n, dtype)
        w = normal(random, n, dtype)
        with Scalar(device, random) as scalar:
            device.blas(f"cublas{letter}gemv_v2", device.handle, operation, m, n, scalar(alpha, dtype), da.p, lda, dx.p, 1,
                        scalar(beta, dtype), dy.p, 1)
            close(dy.get(), alpha * (operated(av, operation) @ x) + beta * y, dtype, letter + "gemv", columns)
            dv, dw = device.array(v), device.array(w)
            device.blas(f"cublas{letter}symv_v2", device.handle, uplo, n, scalar(alpha, dtype), ds.p, ld, dv.p, 1,
                        scalar(beta, dtype), dw.p, 1)
            close(dw.get(), alpha * (full @ v) + beta * w, dtype, letter + "symv", n)
            device.blas(f"cublas{letter}trmv_v2", device.handle, uplo, operation, 0, n, ds.p, ld, dv.p, 1)
            close(dv.get(), operated(half, operation) @ v, dtype, letter + "trmv", n)


def test_packed_and_banded(device, random):
    for letter, dtype in TYPES.items():
        n, k, uplo, operation = int(random.integers(1, 30)), int(random.integers(0, 5)), int(random.integers(2)), int(random.integers(3))
        full = normal(random, (n, n), dtype) + 4 * numpy.eye(n, dtype=dtype)
        half = numpy.tril(full) if uplo == 0 else numpy.triu(full)
        near = numpy.abs(numpy.subtract.outer(numpy.arange(n), numpy.arange(n))) <= k
        packed = numpy.concatenate([full[j:, j] if uplo == 0 else full[:j + 1, j] for j in range(n)])
        band = numpy.zeros((k + 1, n), dtype)
        for i, j in zip(*numpy.nonzero(near & (half != 0))):
            band[i - j if uplo == 0 else k + i - j, j] = half[i, j]
        x, zero, one = normal(random, n, dtype), numpy.zeros(n, dtype), normal(random, 1, dtype)[0]
        mirror = lambda part: part + part.conj().T - numpy.diag(numpy.diag(part).real).astype(dtype) - 1j * numpy.diag(numpy.diag(part).imag * 0) \
            if letter in "CZ" else part + part.T - numpy.diag(numpy.diag(part))
        real_diagonal = lambda part: part - 1j * numpy.diag(numpy.diag(part).imag) if letter in "CZ" else part
        dp, db = device.array(packed), device.array(band)
        kind = "h" if letter in "CZ" else "s"
        with Scalar(device, random) as scalar:
            for name, array, arguments, part in [("p", dp, [], half), ("b", db, [k], half * near)]:
                ld = [k + 1] if name == "b" else []
                dx, dy = device.array(x), device.array(zero)
                device.blas(f"cublas{letter}{kind}{name if kind == 'h' or name == 'b' else 'p'}mv_v2", device.handle, uplo, n,
                            *arguments, scalar(one, dtype), array.p, *ld, dx.p, 1, scalar(0, dtype), dy.p, 1)
                close(dy.get(), one * (mirror(real_diagonal(part)) @ x), dtype, letter + kind + name + "mv", n)
                device.blas(f"cublas{letter}t{name}mv_v2", device.handle, uplo, operation, 0, n, *arguments, array.p, *ld, dx.p, 1)
                product = operated(part, operation) @ x
                close(dx.get(), product, dtype, letter + "t" + name + "mv", n)
                device.blas(f"cublas{letter}t{name}sv_v2", device.handle, uplo, operation, 0, n, *arguments, array.p, *ld, dx.p, 1)
                close(operated(part, operation) @ dx.get(), product, dtype, letter + "t" + name + "sv", n * 20)
