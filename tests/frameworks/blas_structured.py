"""Symmetric, Hermitian, triangular and diagonal matrices: products with them, updates of them, other forms of them."""

import numpy

from blas_device import *


def is_complex(dtype):
    return numpy.issubdtype(dtype, numpy.complexfloating)


def half_of(matrix, uplo):
    return numpy.tril(matrix) if uplo == 0 else numpy.triu(matrix)


def mirrored(matrix, uplo, hermitian):
    """What one triangle of a matrix stands for."""
    half = half_of(matrix, uplo)
    rest = half - numpy.diag(numpy.diag(half))
    if hermitian:
        return rest + rest.conj().T + numpy.diag(numpy.diag(half).real).astype(matrix.dtype)
    return half + rest.T


def replaced(full, n, uplo, value):
    """A stored matrix with `n` rows, one triangle of which has other values."""
    want = full.copy()
    where = half_of(numpy.ones((n, n), bool), uplo)
    want[:n][where] = value[where]
    return want


def pack(matrix, uplo):
    n = len(matrix)
    return numpy.concatenate([matrix[j:, j] if uplo == 0 else matrix[:j + 1, j] for j in range(n)])


def strided(random, n, dtype):
    """A vector, what holds it, and its step, which may be negative."""
    step = int(random.choice([1, 2, 3, -1, -2]))
    full = normal(random, max(n, 1) * abs(step), dtype)
    view = full[::abs(step)][:n]
    return view if step > 0 else view[::-1], full, step


def width(random):
    return [("", i32), ("_64", i64)][int(random.integers(2))]


def test_updates_by_vectors(device, random):
    for letter, dtype in TYPES.items():
        m, n = (int(size) for size in random.integers(1, 40, 2))
        uplo = int(random.integers(2))
        suffix, integer = width(random)
        alpha = normal(random, 1, dtype)[0]
        x, dx, incx = strided(random, m, dtype)
        y, dy, incy = strided(random, n, dtype)
        u, du, incu = strided(random, n, dtype)
        dx, dy, du = device.array(dx), device.array(dy), device.array(du)
        general, view, lda = stored(random, m, n, dtype)
        square, held, ld = stored(random, n, n, dtype)
        with Scalar(device, random) as scalar:
            for name in ["geru", "gerc"] if is_complex(dtype) else ["ger"]:
                da = device.array(general)
                device.blas(f"cublas{letter}{name}_v2{suffix}", device.handle, integer(m), integer(n), scalar(alpha, dtype),
                            dx.p, integer(incx), dy.p, integer(incy), da.p, integer(lda))
                want = general.copy()
                want[:m] += alpha * numpy.outer(x, y.conj() if name == "gerc" else y)
                close(da.get(), want, dtype, letter + name)
            for name, hermitian in [("syr", False), ("her", True)] if is_complex(dtype) else [("syr", False)]:
                star = numpy.conj if hermitian else lambda value: value
                real = REAL[letter] if hermitian else dtype
                factor = alpha.real if hermitian else alpha
                before = mirrored(held, uplo, hermitian) if hermitian else held
                da = device.array(square)
                device.blas(f"cublas{letter}{name}_v2{suffix}", device.handle, uplo, integer(n), scalar(factor, real), du.p,
                            integer(incu), da.p, integer(ld))
                once = before + factor * numpy.outer(u, star(u))
                close(da.get(), replaced(square, n, uplo, once), dtype, letter + name)
                da = device.array(square)
                device.blas(f"cublas{letter}{name}2_v2{suffix}", device.handle, uplo, integer(n), scalar(alpha, dtype), du.p,
                            integer(incu), dy.p, integer(incy), da.p, integer(ld))
                product = alpha * numpy.outer(u, star(y))
                twice = before + product + star(product.T)
                close(da.get(), replaced(square, n, uplo, twice), dtype, letter + name + "2")
                if is_complex(dtype) and not hermitian:
                    continue
                kind = "hp" if hermitian else "sp"
                packed = pack(held, uplo)
                da = device.array(packed)
                device.blas(f"cublas{letter}{kind}r_v2{suffix}", device.handle, uplo, integer(n), scalar(factor, real), du.p,
                            integer(incu), da.p)
                close(da.get(), pack(once, uplo), dtype, letter + kind + "r")
                da = device.array(packed)
                device.blas(f"cublas{letter}{kind}r2_v2{suffix}", device.handle, uplo, integer(n), scalar(alpha, dtype), du.p,
                            integer(incu), dy.p, integer(incy), da.p)
                close(da.get(), pack(twice, uplo), dtype, letter + kind + "r2")


def test_symm(device, random):
    for letter, dtype in TYPES.items():
        for name, hermitian in [("symm", False), ("hemm", True)] if is_complex(dtype) else [("symm", False)]:
            m, n = (int(size) for size in random.integers(0, 90, 2))
            side, uplo = (int(value) for value in random.integers(0, 2, 2))
            suffix, integer = width(random)
            a, view, lda = stored(random, n if side else m, n if side else m, dtype)
            (b, right, ldb), (c, result, ldc) = stored(random, m, n, dtype), stored(random, m, n, dtype)
            alpha, beta = normal(random, 2, dtype) * random.integers(0, 3, 2).clip(0, 1)
            meant = mirrored(view, uplo, hermitian)
            want = c.copy()
            want[:m] = alpha * (right @ meant if side else meant @ right) + beta * result
            if beta == 0:
                c[:m] = numpy.nan
            if alpha == 0:
                a[:], b[:] = numpy.nan, numpy.nan
            da, db, dc = device.array(a), device.array(b), device.array(c)
            with Scalar(device, random) as scalar:
                device.blas(f"cublas{letter}{name}_v2{suffix}", device.handle, side, uplo, integer(m), integer(n),
                            scalar(alpha, dtype), da.p, integer(lda), db.p, integer(ldb), scalar(beta, dtype), dc.p,
                            integer(ldc))
            close(dc.get(), want, dtype, letter + name, len(view))


def test_updates_by_matrices(device, random):
    for letter, dtype in TYPES.items():
        for kind in ["sy", "he"] if is_complex(dtype) else ["sy"]:
            hermitian = kind == "he"
            star = numpy.conj if hermitian else lambda value: value
            n, k = int(random.integers(0, 110)), int(random.integers(0, 60))
            uplo, other = (int(value) for value in random.integers(0, 2, 2))
            operation = 0 if other == 0 else 2 if hermitian else 1
            suffix, integer = width(random)
            shape = (n, k) if operation == 0 else (k, n)
            gap = int(random.integers(4))
            (a, av, lda), (b, bv, ldb) = stored(random, *shape, dtype, gap), stored(random, *shape, dtype, gap + 1)
            c, cv, ldc = stored(random, n, n, dtype)
            alpha, beta = normal(random, 2, dtype) * random.integers(0, 3, 2).clip(0, 1)
            real = REAL[letter] if hermitian else dtype
            beta = beta.real if hermitian else beta
            before = beta * (mirrored(cv, uplo, True) if hermitian else cv)
            if beta == 0:
                c[:n][half_of(numpy.ones((n, n), bool), uplo)] = numpy.nan
            left, right = operated(av, operation), operated(bv, operation)
            da, db = device.array(a), device.array(b)
            sizes = [uplo, operation, integer(n), integer(k)]
            with Scalar(device, random) as scalar:
                first, second = scalar(alpha, dtype), scalar(beta, real)
                only = scalar(alpha.real if hermitian else alpha, real)
                factor = alpha.real if hermitian else alpha

                def check(name, want, *arguments):
                    dc = device.array(c)
                    device.blas(f"cublas{letter}{name}{suffix}", device.handle, *sizes, *arguments, second, dc.p, integer(ldc))
                    if hermitian:
                        want = want - 1j * numpy.diag(numpy.diag(want).imag)
                    close(dc.get()[half_at], replaced(c, n, uplo, want.astype(dtype))[half_at], dtype, letter + name, k)
                    other = ~half_at
                    if not numpy.array_equal(dc.get()[other], c[other]):
                        raise Failed(letter + name + " changes the other triangle")

                half_at = numpy.zeros(c.shape, bool)
                half_at[:n] = half_of(numpy.ones((n, n), bool), uplo)
                one, two = (da.p, integer(lda)), (db.p, integer(ldb))
                check(f"{kind}rk_v2", factor * (left @ star(left.T)) + before, only, *one)
                product = alpha * (left @ star(right.T))
                check(f"{kind}r2k_v2", product + star(product.T) + before, first, *one, *two)
                check(f"{kind}rkx", product + before, first, *one, *two)
            if letter == "C" and n and k:
                for name in [f"{kind}rkEx", f"{kind}rk3mEx"]:
                    host = numpy.array([factor, beta], real)
                    dc = device.array(c)
                    device.blas(f"cublasC{name}", device.handle, uplo, operation, n, k, host.ctypes.data_as(pointer), da.p,
                                C_32F, lda, host[1:].ctypes.data_as(pointer), dc.p, C_32F, ldc)
                    want = factor * (left @ star(left.T)) + before
                    close(dc.get()[half_at], replaced(c, n, uplo, want.astype(dtype))[half_at], dtype, name, k)


def test_trmm(device, random):
    for letter, dtype in TYPES.items():
        m, n = (int(size) for size in random.integers(0, 90, 2))
        side, uplo, unit, in_place = (int(value) for value in random.integers(0, 2, 4))
        operation = int(random.integers(3))
        suffix, integer = width(random)
        a, view, lda = stored(random, n if side else m, n if side else m, dtype)
        gap = int(random.integers(4))
        (b, right, ldb), (c, _, ldc) = stored(random, m, n, dtype, gap), stored(random, m, n, dtype, gap)
        half = half_of(view, uplo)
        if unit:
            half = half - numpy.diag(numpy.diag(half)) + numpy.eye(len(half), dtype=dtype)
        left = operated(half, operation)
        alpha = normal(random, 1, dtype)[0] * min(1, int(random.integers(4)))
        want = (b if in_place else c).copy()
        want[:m] = alpha * (right @ left if side else left @ right)
        da, db = device.array(a), device.array(b)
        dc = db if in_place else device.array(c)
        with Scalar(device, random) as scalar:
            device.blas(f"cublas{letter}trmm_v2{suffix}", device.handle, side, uplo, operation, unit, integer(m), integer(n),
                        scalar(alpha, dtype), da.p, integer(lda), db.p, integer(ldb), dc.p, integer(ldc))
        close(dc.get(), want, dtype, letter + "trmm", len(view))


def test_dgmm(device, random):
    for letter, dtype in TYPES.items():
        m, n = (int(size) for size in random.integers(0, 40, 2))
        side = int(random.integers(2))
        suffix, integer = width(random)
        a, view, lda = stored(random, m, n, dtype)
        x, dx, incx = strided(random, n if side else m, dtype)
        want = a.copy()
        want[:m] = view * x[None, :] if side else view * x[:, None]
        da, dx = device.array(a), device.array(dx)
        device.blas(f"cublas{letter}dgmm{suffix}", device.handle, side, integer(m), integer(n), da.p, integer(lda), dx.p,
                    integer(incx), da.p, integer(lda))
        close(da.get(), want, dtype, letter + "dgmm")


def test_packed_forms(device, random):
    for letter, dtype in TYPES.items():
        n, uplo = int(random.integers(1, 30)), int(random.integers(2))
        full, view, ld = stored(random, n, n, dtype)
        packed = normal(random, n * (n + 1) // 2, dtype)
        da, dp = device.array(full), device.array(packed)
        device.blas(f"cublas{letter}trttp", device.handle, uplo, n, da.p, ld, dp.p)
        close(dp.get(), pack(view, uplo), dtype, letter + "trttp")
        other, held, ld = stored(random, n, n, dtype)
        da = device.array(other)
        device.blas(f"cublas{letter}tpttr", device.handle, uplo, n, dp.p, da.p, ld)
        close(da.get(), replaced(other, n, uplo, view), dtype, letter + "tpttr")


def test_structures_that_are_none(device, random):
    one = numpy.ones(1, numpy.complex64)
    a = device.array(normal(random, (4, 4), numpy.complex64))
    host = one.ctypes.data_as(pointer)
    same(device.code("cublasCherk_v2", device.handle, 0, 1, 4, 4, host, a.p, 4, host, a.p, 4), INVALID_VALUE, "herk transposed")
    same(device.code("cublasCsyrk_v2", device.handle, 0, 2, 4, 4, host, a.p, 4, host, a.p, 4), INVALID_VALUE, "syrk conjugated")
    same(device.code("cublasCsymm_v2", device.handle, 2, 0, 4, 4, host, a.p, 4, a.p, 4, host, a.p, 4), INVALID_VALUE, "side 2")
    same(device.code("cublasCgeru_v2", device.handle, 4, 4, host, a.p, 0, a.p, 1, a.p, 4), INVALID_VALUE, "a step of 0")
