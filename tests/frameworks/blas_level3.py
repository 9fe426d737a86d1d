"""Solutions with triangular matrices, sums of matrices."""

import numpy

from blas_device import *


def triangular(random, n, dtype, uplo, unit):
    """What holds a well-conditioned triangular matrix, what is meant by it, and its leading dimension."""
    full, view, ld = stored(random, n, n, dtype)
    view *= 1 / max(n, 1)
    view += 2 * numpy.eye(n, dtype=dtype)
    half = (numpy.tril if uplo == 0 else numpy.triu)(view, -unit if uplo == 0 else unit)
    return full, half + unit * numpy.eye(n, dtype=dtype), ld


def test_trsm(device, random):
    for letter, dtype in TYPES.items():
        m, n = (int(size) for size in random.integers(0, 90, 2))
        side, uplo, unit = (int(value) for value in random.integers(0, 2, 3))
        operation, count = int(random.integers(3)), int(random.integers(1, 4))
        alpha = normal(random, 1, dtype)[0] * min(1, int(random.integers(4)))
        matrices = [triangular(random, n if side else m, dtype, uplo, unit) for _ in range(count)]
        lda = matrices[0][2]
        sides = [stored(random, m, n, dtype, 2) for _ in range(count)]
        ldb = sides[0][2]
        matrices = [matrix for matrix in matrices if matrix[2] == lda]
        sides = sides[:len(matrices)]
        da, db = [device.array(matrix[0]) for matrix in matrices], [device.array(right[0]) for right in sides]
        suffix, integer = [("", i32), ("_64", i64)][int(random.integers(2))]
        common = [side, uplo, operation, unit, integer(m), integer(n)]
        with Scalar(device, random) as scalar:
            if len(da) == 1:
                device.blas(f"cublas{letter}trsm_v2{suffix}", device.handle, *common, scalar(alpha, dtype), da[0].p,
                            integer(lda), db[0].p, integer(ldb))
            else:
                pa, pb = device.pointers(da), device.pointers(db)
                device.blas(f"cublas{letter}trsmBatched{suffix}", device.handle, *common, scalar(alpha, dtype), pa.p,
                            integer(lda), pb.p, integer(ldb), integer(len(da)))
                device.synchronise()
        for (_, meant, _), (full, view, _), result in zip(matrices, sides, db):
            want = full.copy()
            left = operated(meant, operation)
            wide = numpy.complex128 if numpy.issubdtype(dtype, numpy.complexfloating) else numpy.float64
            left, right = left.astype(wide), (alpha * view).astype(wide)
            want[:m] = numpy.linalg.solve(left.T, right.T).T if side else numpy.linalg.solve(left, right)
            close(result.get(), want, dtype, letter + "trsm", max(m, n))


def test_geam(device, random):
    for letter, dtype in TYPES.items():
        m, n = (int(size) for size in random.integers(0, 40, 2))
        operations = [int(operation) for operation in random.integers(0, 3, 2)]
        factors = normal(random, 2, dtype) * random.integers(0, 2, 2)
        (a, av, lda), (b, bv, ldb) = [stored(random, *((m, n) if operation == 0 else (n, m)), dtype)
                                      for operation in operations]
        c, _, ldc = stored(random, m, n, dtype)
        # What has a factor of 0 is not read, so that the sum has no NaN.
        for matrix, factor in zip((a, b), factors):
            if factor == 0:
                matrix[:] = numpy.nan
        want = c.copy()
        want[:m] = sum((factor * operated(view, operation) for factor, view, operation
                        in zip(factors, (av, bv), operations) if factor != 0), numpy.zeros((m, n), dtype))
        da, db, dc = device.array(a), device.array(b), device.array(c)
        with Scalar(device, random) as scalar:
            device.blas(f"cublas{letter}geam", device.handle, *operations, m, n, scalar(factors[0], dtype), da.p, lda,
                        scalar(factors[1], dtype), db.p, ldb, dc.p, ldc)
        close(dc.get(), want, dtype, letter + "geam")


def test_geam_in_place(device, random):
    a = normal(random, (5, 7), numpy.float32)
    da = device.array(a)
    two, three = (numpy.array([value], numpy.float32) for value in (2, 3))
    device.blas("cublasSgeam", device.handle, 0, 0, 5, 7, two.ctypes.data_as(pointer), da.p, 5,
                three.ctypes.data_as(pointer), da.p, 5, da.p, 5)
    close(da.get(), 5 * a, numpy.float32, "geam in place")
    zero = numpy.zeros(1, numpy.float32)
    device.blas("cublasSgeam", device.handle, 0, 0, 5, 7, two.ctypes.data_as(pointer), da.p, 5,
                zero.ctypes.data_as(pointer), None, 5, da.p, 5)
    close(da.get(), 10 * a, numpy.float32, "geam without a second matrix")
