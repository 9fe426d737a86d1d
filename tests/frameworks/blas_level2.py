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


def test_bands_of_general_matrices(device, random):
    for letter, dtype in TYPES.items():
        m, n, below, above = [int(size) for size in random.integers(1, 30, 2)] + [int(size) for size in random.integers(0, 5, 2)]
        operation = int(random.integers(3))
        distance = numpy.subtract.outer(numpy.arange(m), numpy.arange(n))
        full = normal(random, (m, n), dtype) * ((distance <= below) & (-distance <= above))
        band = normal(random, (below + above + 1, n), dtype)
        for i, j in zip(*numpy.nonzero(full)):
            band[above + i - j, j] = full[i, j]
        rows, columns = (m, n) if operation == 0 else (n, m)
        x, y, (alpha, beta) = normal(random, columns, dtype), normal(random, rows, dtype), normal(random, 2, dtype)
        db, dx, dy = device.array(band), device.array(x), device.array(y)
        with Scalar(device, random) as scalar:
            device.blas(f"cublas{letter}gbmv_v2", device.handle, operation, m, n, below, above, scalar(alpha, dtype), db.p,
                        below + above + 1, dx.p, 1, scalar(beta, dtype), dy.p, 1)
        close(dy.get(), alpha * (operated(full, operation) @ x) + beta * y, dtype, letter + "gbmv", n)


def test_gemv_batches(device, random):
    for letter, dtype in TYPES.items():
        m, n, count, operation = [int(size) for size in random.integers(1, 20, 3)] + [int(random.integers(3))]
        rows, columns = (m, n) if operation == 0 else (n, m)
        a, x, y = [normal(random, shape, dtype) for shape in ((count, n, m), (count, columns), (count, rows))]
        alpha, beta = normal(random, 2, dtype)
        want = numpy.array([alpha * (operated(one.T, operation) @ v) + beta * w for one, v, w in zip(a, x, y)])
        da, dx, dy = [device.array(values, "C") for values in (a, x, y)]
        parts = [[device.array(one, "C") for one in values] for values in (a, x)]
        places = [device.pointers(part) for part in parts]
        outs = [device.array(one) for one in y]
        to = device.pointers(outs)
        with Scalar(device, random) as scalar:
            device.blas(f"cublas{letter}gemvStridedBatched", device.handle, operation, m, n, scalar(alpha, dtype), da.p, m,
                        i64(m * n), dx.p, 1, i64(columns), scalar(beta, dtype), dy.p, 1, i64(rows), count)
            device.blas(f"cublas{letter}gemvBatched", device.handle, operation, m, n, scalar(alpha, dtype), places[0].p, m,
                        places[1].p, 1, scalar(beta, dtype), to.p, 1, count)
        close(dy.get(), want, dtype, letter + "gemvStridedBatched", n + m)
        close(numpy.array([out.get() for out in outs]), want, dtype, letter + "gemvBatched", n + m)


def test_hermitian_and_triangular(device, random):
    for letter, dtype in TYPES.items():
        n, uplo, operation = int(random.integers(1, 40)), int(random.integers(2)), int(random.integers(3))
        full, view, ld = stored(random, n, n, dtype)
        view *= 1 / n
        view += 2 * numpy.eye(n, dtype=dtype)
        half = (numpy.tril if uplo == 0 else numpy.triu)(view)
        strict = half - numpy.diag(numpy.diag(half))
        x, da = normal(random, n, dtype), device.array(full)
        dx = device.array(x)
        device.blas(f"cublas{letter}trsv_v2", device.handle, uplo, operation, 0, n, da.p, ld, dx.p, 1)
        close(operated(half, operation) @ dx.get(), x, dtype, letter + "trsv", n)
        if letter in "CZ":
            dx, dy, alpha = device.array(x), device.array(x), normal(random, 1, dtype)[0]
            with Scalar(device, random) as scalar:
                device.blas(f"cublas{letter}hemv_v2", device.handle, uplo, n, scalar(alpha, dtype), da.p, ld, dx.p, 1,
                            scalar(0, dtype), dy.p, 1)
            meant = strict + strict.conj().T + numpy.diag(numpy.diag(half).real)
            close(dy.get(), alpha * (meant @ x), dtype, letter + "hemv", n)
