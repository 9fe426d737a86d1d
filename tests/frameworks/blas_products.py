"""Products of general matrices."""

import numpy

from blas_device import *


def shape(random, most=48):
    return [int(size) for size in random.integers(0, most, 3)]


def factors(random, m, n, k, operations, dtype, make=stored):
    sizes = [(m, k), (k, n)]
    sizes = [size if operation == 0 else size[::-1] for size, operation in zip(sizes, operations)]
    return [make(random, *size, dtype) for size in sizes] + [make(random, m, n, dtype)]


def test_gemm(device, random):
    for letter, dtype in TYPES.items():
        m, n, k = shape(random)
        operations = [int(operation) for operation in random.integers(0, 3, 2)]
        (a, av, lda), (b, bv, ldb), (c, cv, ldc) = factors(random, m, n, k, operations, dtype)
        alpha, beta = normal(random, 2, dtype) * random.integers(0, 2, 2)
        want = c.copy()
        want[:m] = alpha * (operated(av, operations[0]) @ operated(bv, operations[1])) + beta * cv
        da, db, dc = device.array(a), device.array(b), device.array(c)
        suffix, integer = [("_v2", i32), ("_v2_64", i64)][int(random.integers(2))]
        with Scalar(device, random) as scalar:
            device.blas(f"cublas{letter}gemm{suffix}", device.handle, *operations, integer(m), integer(n), integer(k),
                        scalar(alpha, dtype), da.p, integer(lda), db.p, integer(ldb), scalar(beta, dtype), dc.p, integer(ldc))
        close(dc.get(), want, dtype, f"{letter}gemm", k)


def test_gemm_of_halves(device, random):
    m, n, k = shape(random)
    operations = [int(operation) for operation in random.integers(0, 2, 2)]
    (a, av, lda), (b, bv, ldb), (c, cv, ldc) = factors(random, m, n, k, operations, numpy.float16)
    alpha, beta = normal(random, 2, numpy.float16)
    want = c.astype(numpy.float64)
    product = operated(av, operations[0]).astype(numpy.float64) @ operated(bv, operations[1]).astype(numpy.float64)
    want[:m] = float(alpha) * product + float(beta) * cv
    da, db, dc = device.array(a), device.array(b), device.array(c)
    with Scalar(device, random) as scalar:
        device.blas("cublasHgemm", device.handle, *operations, m, n, k, scalar(alpha, numpy.float16), da.p, lda, db.p, ldb,
                    scalar(beta, numpy.float16), dc.p, ldc)
    close(dc.get(), want, numpy.float16, "Hgemm")


def test_gemm_ex(device, random):
    """Mixed types: [A and B, C, compute type, type of scalars]."""
    whole = lambda values: numpy.clip(numpy.round(values * 20), -128, 127).astype(numpy.int8)
    same_type = lambda dtype: (lambda values: values.astype(dtype), lambda values: values)
    kinds = {
        R_16F: same_type(numpy.float16), R_32F: same_type(numpy.float32), R_64F: same_type(numpy.float64),
        C_32F: same_type(numpy.complex64), C_64F: same_type(numpy.complex128),
        R_16BF: (bf16, from_bf16), R_8I: (whole, lambda values: values),
        R_32I: (lambda values: numpy.round(values).astype(numpy.int32), lambda values: values),
    }
    for factor, result, compute, dtype in [
        (R_16F, R_16F, 64, numpy.float16), (R_16F, R_16F, 68, numpy.float32), (R_16F, R_32F, 68, numpy.float32),
        (R_16BF, R_16BF, 68, numpy.float32), (R_16BF, R_32F, 68, numpy.float32), (R_8I, R_32F, 68, numpy.float32),
        (R_32F, R_32F, 77, numpy.float32), (C_32F, C_32F, 68, numpy.complex64), (R_64F, R_64F, 70, numpy.float64),
        (C_64F, C_64F, 70, numpy.complex128), (R_8I, R_32I, 72, numpy.int32),
    ]:
        m, n, k = shape(random)
        operations = [int(operation) for operation in random.integers(0, 3, 2)]
        full = numpy.complex128 if factor in (C_32F, C_64F) else numpy.float64
        (a, _, lda), (b, _, ldb), (c, _, ldc) = factors(random, m, n, k, operations, full)
        rows = [m if operations[0] == 0 else k, k if operations[1] == 0 else n]
        a, b, c = kinds[factor][0](a), kinds[factor][0](b), kinds[result][0](c)
        plain = [kinds[kind][1](values).astype(full) for kind, values in ((factor, a), (factor, b), (result, c))]
        alpha, beta = (numpy.array([2, 1]) if dtype == numpy.int32 else normal(random, 2, dtype)).astype(dtype)
        want = plain[2].copy()
        want[:m] = full(alpha) * (operated(plain[0][:rows[0]], operations[0]) @ operated(plain[1][:rows[1]], operations[1])) \
            + full(beta) * plain[2][:m]
        count = 3
        da, db = device.array(a), device.array(b)
        dcs = [device.array(c) for _ in range(count)]
        with Scalar(device, random) as scalar:
            alpha, beta = scalar(alpha, dtype), scalar(beta, dtype)
            device.blas("cublasGemmEx", device.handle, *operations, m, n, k, alpha, da.p, factor, lda, db.p, factor, ldb,
                        beta, dcs[0].p, result, ldc, compute, -1)
            device.blas("cublasGemmStridedBatchedEx", device.handle, *operations, m, n, k, alpha, da.p, factor, lda, i64(0),
                        db.p, factor, ldb, i64(0), beta, dcs[1].p, result, ldc, i64(0), 1, compute, -1)
            arrays = [device.pointers([array]) for array in (da, db, dcs[2])]
            device.blas("cublasGemmBatchedEx", device.handle, *operations, m, n, k, alpha, arrays[0].p, factor, lda,
                        arrays[1].p, factor, ldb, beta, arrays[2].p, result, ldc, 1, compute, -1)
        for dc in dcs:
            got = kinds[result][1](dc.get())
            precision = numpy.float16 if result in (R_16F, R_16BF) else kinds[result][0](numpy.zeros(1)).dtype
            scale = 8 * k if result == R_16BF else k
            close(got, want, precision if result != R_32I else numpy.float64, f"types {factor} {result} {compute}", scale)


def test_gemm_batched(device, random):
    for letter, dtype in TYPES.items():
        m, n, k = shape(random, 20)
        count = int(random.integers(0, 6))
        operations = [int(operation) for operation in random.integers(0, 3, 2)]
        matrices = [factors(random, m, n, k, operations, dtype, lambda *arguments: stored(*arguments, gap=1))
                    for _ in range(count)]
        alpha, beta = normal(random, 2, dtype)
        wants = []
        for (_, a, _), (_, b, _), (c, cv, _) in matrices:
            want = c.copy()
            want[:m] = alpha * (operated(a, operations[0]) @ operated(b, operations[1])) + beta * cv
            wants.append(want)
        lds = [matrix[2] for matrix in matrices[0]] if count else [64, 64, 64]
        arrays = [[device.array(matrix[index][0]) for matrix in matrices] for index in range(3)]
        tables = [device.pointers(list) for list in arrays]
        # The same side by side, for the strided form.
        flat = [numpy.concatenate([matrix[index][0].ravel("F") for matrix in matrices]) if count else numpy.zeros(1, dtype)
                for index in range(3)]
        strides = [matrix[0].size for matrix in matrices[0]] if count else [0, 0, 0]
        flats = [device.array(values) for values in flat]
        with Scalar(device, random) as scalar:
            alpha, beta = scalar(alpha, dtype), scalar(beta, dtype)
            device.blas(f"cublas{letter}gemmBatched", device.handle, *operations, m, n, k, alpha, tables[0].p, lds[0],
                        tables[1].p, lds[1], beta, tables[2].p, lds[2], count)
            device.blas(f"cublas{letter}gemmStridedBatched", device.handle, *operations, m, n, k, alpha,
                        flats[0].p, lds[0], i64(strides[0]), flats[1].p, lds[1], i64(strides[1]), beta,
                        flats[2].p, lds[2], i64(strides[2]), count)
        got = flats[2].get()
        for index, want in enumerate(wants):
            close(arrays[2][index].get(), want, dtype, f"{letter}gemmBatched", k)
            part = got[index * strides[2]:(index + 1) * strides[2]].reshape(want.shape, order="F")
            close(part, want, dtype, f"{letter}gemmStridedBatched", k)


def test_gemm_grouped(device, random):
    for name, dtype, kinds in [("S", numpy.float32, []), ("D", numpy.float64, []), ("", numpy.float16, [R_16F, R_16F, R_16F, 68])]:
        scale = numpy.float32 if kinds else dtype
        suffix, integer = [("", i32), ("_64", i64)][int(random.integers(2))]
        groups = int(random.integers(1, 4))
        counts = [int(count) for count in random.integers(1, 4, groups)]
        operations, sizes, lds, wants, matrices = [], [], [], [], []
        scalars = normal(random, (2, groups), scale)
        for group, count in enumerate(counts):
            m, n, k = shape(random, 12)
            pair = [int(operation) for operation in random.integers(0, 2, 2)]
            operations.append(pair)
            sizes.append([m, n, k])
            for _ in range(count):
                one = factors(random, m, n, k, pair, dtype, lambda *arguments: stored(*arguments, gap=1))
                want = one[2][0].copy()
                want[:m] = scalars[0, group] * (operated(one[0][1], pair[0]) @ operated(one[1][1], pair[1])) \
                    + scalars[1, group] * one[2][1]
                matrices.append([device.array(matrix[0]) for matrix in one])
                wants.append(want)
            lds.append([matrix[2] for matrix in one])
        host = lambda values: (integer * groups)(*values)
        enums = lambda values: (i32 * groups)(*values)
        tables = [device.pointers([matrix[index] for matrix in matrices]) for index in range(3)]
        column = lambda table, index: host([row[index] for row in table])
        kind = lambda index: kinds[index:index + 1]
        # Arrays of scalars are in host memory in both modes.
        with Scalar(device, random):
            device.blas(f"cublas{name}{'G' if kinds else 'g'}emmGroupedBatched{'Ex' if kinds else ''}{suffix}", device.handle,
                        enums([row[0] for row in operations]), enums([row[1] for row in operations]), column(sizes, 0),
                        column(sizes, 1), column(sizes, 2), scalars[0].ctypes.data_as(pointer), tables[0].p, *kind(0),
                        column(lds, 0), tables[1].p, *kind(1), column(lds, 1), scalars[1].ctypes.data_as(pointer), tables[2].p,
                        *kind(2), column(lds, 2), integer(groups), host(counts), *kind(3))
        for matrix, want in zip(matrices, wants):
            close(matrix[2].get(), want, dtype, f"{name}gemmGroupedBatched", 12)


def test_wrong_arguments(device, random):
    one = numpy.ones(1, numpy.float32).ctypes.data_as(pointer)
    block = device.array(numpy.ones(64, numpy.float32))
    good = [device.handle, 0, 0, 4, 4, 4, one, block.p, 4, block.p, 4, one, block.p, 4]
    for index, value, code in [
        (0, None, NOT_INITIALIZED), (0, pointer(64), NOT_INITIALIZED), (1, 3, INVALID_VALUE), (2, 9, INVALID_VALUE),
        (3, -1, INVALID_VALUE), (4, -1, INVALID_VALUE), (5, -1, INVALID_VALUE), (6, None, INVALID_VALUE),
        (8, 3, INVALID_VALUE), (10, 3, INVALID_VALUE), (11, None, INVALID_VALUE), (13, 3, INVALID_VALUE),
        (7, pointer(4096), WILD), (12, None, WILD), (8, 1 << 20, WILD),
    ]:
        arguments = list(good)
        arguments[index] = value
        got, codes = device.code("cublasSgemm_v2", *arguments), code if isinstance(code, tuple) else (code,)
        same(got in codes, True, f"argument {index} as {value} answers {got}, which is one of {codes}")
    device.blas("cublasSgemm_v2", *good)


def test_copies(device, random):
    rows, columns, gap = int(random.integers(1, 20)), int(random.integers(1, 20)), int(random.integers(0, 3))
    full, view, ld = stored(random, rows, columns, numpy.float64)
    target = device.array(numpy.zeros((rows + gap, columns)))
    packed = numpy.asfortranarray(full)
    device.blas("cublasSetMatrix", rows, columns, 8, packed.ctypes.data_as(pointer), ld, target.p, rows + gap)
    want = numpy.zeros((rows + gap, columns))
    want[:rows] = view
    same(bool((target.get() == want).all()), True, "SetMatrix")
    back = numpy.zeros((rows, columns), order="F")
    device.blas("cublasGetMatrixAsync", rows, columns, 8, target.p, rows + gap, back.ctypes.data_as(pointer), rows,
                device.stream)
    device.synchronise()
    same(bool((back == view).all()), True, "GetMatrix")
    steps = [int(step) for step in random.integers(1, 4, 2)]
    vector = random.standard_normal(10 * steps[0]).astype(numpy.float32)
    there = device.array(numpy.zeros(10 * steps[1], numpy.float32))
    device.blas("cublasSetVector", 10, 4, vector.ctypes.data_as(pointer), steps[0], there.p, steps[1])
    same(bool((there.get()[::steps[1]] == vector[::steps[0]]).all()), True, "SetVector")
    back = numpy.zeros(10, numpy.float32)
    device.blas("cublasGetVector", 10, 4, there.p, steps[1], back.ctypes.data_as(pointer), 1)
    same(bool((back == vector[::steps[0]]).all()), True, "GetVector")
