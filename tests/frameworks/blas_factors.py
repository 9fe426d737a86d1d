"""Factors of batches of matrices, and what is solved with them."""

import numpy

from blas_device import *


def wide(dtype):
    return numpy.complex128 if numpy.issubdtype(dtype, numpy.complexfloating) else numpy.float64


def batch(device, random, rows, columns, count, dtype, gap):
    """Matrices, what holds them, and their addresses in device memory."""
    held = [stored(random, rows, columns, dtype, gap) for _ in range(count)]
    arrays = [device.array(full) for full, _, _ in held]
    return [view for _, view, _ in held], arrays, device.pointers(arrays)


def permuted(pivots):
    """The order of rows after the exchanges that a factorization made, one after another."""
    order = list(range(len(pivots)))
    for step, pivot in enumerate(pivots):
        order[step], order[pivot - 1] = order[pivot - 1], order[step]
    return order


def test_lu(device, random):
    for letter, dtype in TYPES.items():
        n, right, count = int(random.integers(1, 40)), int(random.integers(1, 6)), int(random.integers(1, 5))
        gap, pivoted, operation = int(random.integers(3)), bool(random.integers(2)), int(random.integers(3))
        matrices, arrays, places = batch(device, random, n, n, count, dtype, gap)
        if not pivoted:
            for matrix in matrices:
                matrix += 2 * n * numpy.eye(n, dtype=dtype)
            arrays = [device.array(matrix) for matrix in matrices]
            places, gap = device.pointers(arrays), 0
        ld = n + gap
        exact = [matrix.astype(wide(dtype)) for matrix in matrices]
        pivots = device.array(numpy.zeros(n * count, numpy.int32))
        info = device.array(numpy.full(count, -7, numpy.int32))
        where = pivots.p if pivoted else None
        device.blas(f"cublas{letter}getrfBatched", device.handle, n, places.p, ld, where, info.p, count)
        same(info.get().tolist(), [0] * count, letter + "getrf's info")
        for index, (matrix, array) in enumerate(zip(exact, arrays)):
            lu = array.get()[:n].astype(wide(dtype))
            product = (numpy.tril(lu, -1) + numpy.eye(n)) @ numpy.triu(lu)
            order = permuted(pivots.get()[index * n:index * n + n]) if pivoted else range(n)
            close(product, matrix[list(order)], dtype, letter + "getrf", n)
            if pivoted and not is_complex(dtype):
                same(bool(numpy.all(numpy.abs(numpy.tril(lu, -1)) <= 1)), True, "factors of rows are at most 1")
        sides, results, addresses = batch(device, random, n, right, count, dtype, gap)
        done = ctypes.c_int(-7)
        device.blas(f"cublas{letter}getrsBatched", device.handle, operation, n, right, places.p, ld, where, addresses.p, ld,
                    ctypes.byref(done), count)
        same(done.value, 0, letter + "getrs's info")
        for matrix, side, result in zip(exact, sides, results):
            solved = operated(matrix, operation) @ result.get()[:n]
            close(solved, side, dtype, letter + "getrs", 50 * numpy.linalg.cond(matrix))
        inverses = [device.array(numpy.zeros((n + 1, n), dtype)) for _ in range(count)]
        targets = device.pointers(inverses)
        device.blas(f"cublas{letter}getriBatched", device.handle, n, places.p, ld, where, targets.p, n + 1, info.p, count)
        same(info.get().tolist(), [0] * count, letter + "getri's info")
        for matrix, inverse in zip(exact, inverses):
            close(matrix @ inverse.get()[:n], numpy.eye(n), dtype, letter + "getri", 50 * numpy.linalg.cond(matrix))
            same(bool(numpy.all(inverse.get()[n] == 0)), True, "what lies behind the columns stays")


def is_complex(dtype):
    return numpy.issubdtype(dtype, numpy.complexfloating)


def test_matinv(device, random):
    for letter, dtype in TYPES.items():
        n, count = int(random.integers(1, 33)), int(random.integers(1, 5))
        matrices, arrays, places = batch(device, random, n, n, count, dtype, 1)
        inverses = [device.array(numpy.zeros((n, n), dtype)) for _ in range(count)]
        targets, info = device.pointers(inverses), device.array(numpy.full(count, -7, numpy.int32))
        device.blas(f"cublas{letter}matinvBatched", device.handle, n, places.p, n + 1, targets.p, n, info.p, count)
        same(info.get().tolist(), [0] * count, letter + "matinv's info")
        for matrix, inverse in zip(matrices, inverses):
            matrix = matrix.astype(wide(dtype))
            close(matrix @ inverse.get(), numpy.eye(n), dtype, letter + "matinv", 50 * numpy.linalg.cond(matrix))
    same(device.code("cublasSmatinvBatched", device.handle, 33, places.p, 33, targets.p, 33, info.p, 1), INVALID_VALUE,
         "more than 32 rows")


def test_singular(device, random):
    n = int(random.integers(2, 30))
    zero = int(random.integers(1, n))
    matrix = numpy.triu(normal(random, (n, n), numpy.float64)) + 3 * numpy.eye(n)
    matrix[zero, zero] = 0
    array = device.array(matrix)
    places, pivots = device.pointers([array]), device.array(numpy.zeros(n, numpy.int32))
    info = device.array(numpy.zeros(1, numpy.int32))
    device.blas("cublasDgetrfBatched", device.handle, n, places.p, n, pivots.p, info.p, 1)
    same(int(info.get()[0]), zero + 1, "the pivot that is 0")
    target = device.array(numpy.zeros((n, n)))
    targets = device.pointers([target])
    device.blas("cublasDgetriBatched", device.handle, n, places.p, n, pivots.p, targets.p, n, info.p, 1)
    same(int(info.get()[0]), zero + 1, "the pivot that is 0, of the inverse")


def test_qr(device, random):
    for letter, dtype in TYPES.items():
        m, n, count = int(random.integers(1, 30)), int(random.integers(1, 30)), int(random.integers(1, 4))
        k = min(m, n)
        matrices, arrays, places = batch(device, random, m, n, count, dtype, 2)
        taus = [device.array(numpy.zeros(k, dtype)) for _ in range(count)]
        factors, done = device.pointers(taus), ctypes.c_int(-7)
        device.blas(f"cublas{letter}geqrfBatched", device.handle, m, n, places.p, m + 2, factors.p, ctypes.byref(done), count)
        same(done.value, 0, letter + "geqrf's info")
        for matrix, array, tau in zip(matrices, arrays, taus):
            qr = array.get()[:m].astype(wide(dtype))
            q = numpy.eye(m, dtype=wide(dtype))
            for step in range(k):
                v = numpy.concatenate([numpy.zeros(step), [1], qr[step + 1:, step]])
                q = q @ (numpy.eye(m) - tau.get()[step] * numpy.outer(v, v.conj()))
            close(q.conj().T @ q, numpy.eye(m), dtype, letter + "geqrf's Q", m)
            close(q @ numpy.triu(qr), matrix, dtype, letter + "geqrf", m)


def test_least_squares(device, random):
    for letter, dtype in TYPES.items():
        n, right, count = int(random.integers(1, 20)), int(random.integers(1, 5)), int(random.integers(1, 4))
        m = n + int(random.integers(0, 20))
        matrices, arrays, places = batch(device, random, m, n, count, dtype, 1)
        sides, results, addresses = batch(device, random, m, right, count, dtype, 0)
        done, info = ctypes.c_int(-7), device.array(numpy.full(count, -7, numpy.int32))
        device.blas(f"cublas{letter}gelsBatched", device.handle, 0, m, n, right, places.p, m + 1, addresses.p, m,
                    ctypes.byref(done), info.p, count)
        same((done.value, info.get().tolist()), (0, [0] * count), letter + "gels's info")
        for matrix, side, result in zip(matrices, sides, results):
            want = numpy.linalg.lstsq(matrix.astype(wide(dtype)), side.astype(wide(dtype)), rcond=None)[0]
            close(result.get()[:n], want, dtype, letter + "gels", 50 * numpy.linalg.cond(matrix) ** 2)


def test_wrong_parameters(device, random):
    done = ctypes.c_int(-7)
    array = device.array(normal(random, (4, 4), numpy.float32))
    places = device.pointers([array])
    code = device.code("cublasSgetrsBatched", device.handle, 0, 4, 1, places.p, 3, None, places.p, 4, ctypes.byref(done), 1)
    same(code, INVALID_VALUE, "a leading dimension that is too small")
    code = device.code("cublasSgelsBatched", device.handle, 0, 2, 4, 1, places.p, 4, places.p, 4, ctypes.byref(done), None, 1)
    same(code, NOT_SUPPORTED, "more columns than rows")
