"""cuBLASLt: products with epilogues, batches, orders of elements, types; transforms."""

import ctypes

import numpy

from blas_device import *

ORDER, COUNT, STRIDE = 1, 5, 6
POINTER_MODE, TRANSA, TRANSB, EPILOGUE, BIAS, BIAS_STRIDE = 2, 3, 4, 7, 8, 10
AUX, AUX_LD, AUX_STRIDE, A_SCALE, B_SCALE, D_SCALE, D_MAXIMUM, BIAS_TYPE = 11, 12, 13, 17, 18, 20, 21, 26


class Lt:
    """Calls and descriptors of cuBLASLt."""

    def __init__(self, device):
        self.device = device
        self.made = []

    def code(self, name, *arguments):
        return self.call(name, *arguments) or self.late()

    def late(self):
        """What a call that was not waited for has to say: the next that waits has it."""
        return self.call("GetProperty", 0, ctypes.byref(i32()))

    def call(self, name, *arguments):
        return getattr(self.device.lt_lib, "cublasLt" + name)(*arguments)

    def __call__(self, name, *arguments):
        self.device.check(self.call(name, *arguments), "cublasLt" + name)

    def set(self, kind, descriptor, attribute, value):
        self(kind + "SetAttribute", descriptor, attribute, ctypes.byref(value), ctypes.c_size_t(ctypes.sizeof(value)))

    def make(self, kind, *arguments):
        made = pointer()
        self(kind + "Create", ctypes.byref(made), *arguments)
        self.made.append((kind, made))
        return made

    def layout(self, kind, rows, columns, ld, by_rows=False, count=1, stride=0):
        layout = self.make("MatrixLayout", kind, i64(rows), i64(columns), i64(ld))
        self.set("MatrixLayout", layout, ORDER, i32(int(by_rows)))
        self.set("MatrixLayout", layout, COUNT, i32(count))
        self.set("MatrixLayout", layout, STRIDE, i64(stride))
        return layout

    def close(self):
        for kind, made in self.made:
            self(kind + "Destroy", made)

    def product(self, descriptor, alpha, a, b, beta, c, d, heuristic=True):
        """Each matrix is an array and its layout."""
        algorithm = (ctypes.c_uint64 * 12)()
        if heuristic:
            found = i32()
            preference = self.make("MatmulPreference")
            self("MatmulAlgoGetHeuristic", self.device.lt, descriptor, a[1], b[1], c[1], d[1], preference, 1, algorithm,
                 ctypes.byref(found))
            same(found.value, 1, "algorithms found")
        self("Matmul", self.device.lt, descriptor, alpha, a[0].p, a[1], b[0].p, b[1], beta, c[0].p, c[1], d[0].p, d[1],
             algorithm if heuristic else None, None, ctypes.c_size_t(0), self.device.stream)
        self.device.synchronise()


def flat(values, by_rows):
    """A batch of matrices as they lie in memory."""
    return values.reshape(-1) if by_rows else values.transpose(0, 2, 1).reshape(-1)


def unflat(values, count, rows, columns, by_rows):
    return values.reshape(count, rows, columns) if by_rows else values.reshape(count, columns, rows).transpose(0, 2, 1)


def gelu(x):
    return 0.5 * x * (1 + numpy.tanh(numpy.sqrt(2 / numpy.pi) * (x + 0.044715 * x ** 3)))


def gelu_gradient(x):
    h = 1e-5
    return (gelu(x + h) - gelu(x - h)) / (2 * h)


KINDS = {R_32F: numpy.float32, R_64F: numpy.float64, R_16F: numpy.float16, C_32F: numpy.complex64, C_64F: numpy.complex128}


def test_lt_matmul(device, random):
    for kind, compute in [(R_32F, 68), (R_32F, 77), (R_64F, 70), (R_16F, 68), (C_32F, 68), (C_64F, 70)]:
        dtype = KINDS[kind]
        scale, scale_type = (numpy.float32, R_32F) if kind == R_16F else (dtype, kind)
        lt = Lt(device)
        m, n, k = (int(size) for size in random.integers(1, 40, 3))
        count = int(random.integers(1, 4))
        operations = [int(operation) for operation in random.integers(0, 3, 2)]
        orders = [bool(order) for order in random.integers(0, 2, 4)]
        descriptor = lt.make("MatmulDesc", compute, scale_type)
        lt.set("MatmulDesc", descriptor, TRANSA, i32(operations[0]))
        lt.set("MatmulDesc", descriptor, TRANSB, i32(operations[1]))
        sizes = [(m, k) if operations[0] == 0 else (k, m), (k, n) if operations[1] == 0 else (n, k), (m, n), (m, n)]
        batches = [normal(random, (count, *size), dtype) for size in sizes]
        alpha, beta = normal(random, 2, scale) * random.integers(0, 2, 2).astype(scale)
        in_place = bool(random.integers(2)) and orders[2] == orders[3]
        arrays = [device.array(flat(batch, order)) for batch, order in zip(batches, orders)]
        layouts = [lt.layout(kind, *size, size[1] if order else size[0], order, count, size[0] * size[1])
                   for size, order in zip(sizes, orders)]
        pairs = list(zip(arrays, layouts))
        if in_place:
            pairs[3] = pairs[2]
        wide = numpy.complex128 if numpy.issubdtype(dtype, numpy.complexfloating) else numpy.float64
        a, b, c = (batch.astype(wide) for batch in batches[:3])
        want = numpy.stack([alpha * (operated(x, operations[0]) @ operated(y, operations[1])) + beta * z
                            for x, y, z in zip(a, b, c)])
        where = bool(random.integers(2))
        values = [numpy.array([alpha], scale), numpy.array([beta], scale)]
        if where:
            lt.set("MatmulDesc", descriptor, POINTER_MODE, i32(1))
            values = [device.array(value) for value in values]
            pointers = [value.p for value in values]
        else:
            pointers = [value.ctypes.data_as(pointer) for value in values]
        lt.product(descriptor, pointers[0], pairs[0], pairs[1], pointers[1], pairs[2], pairs[3], bool(random.integers(2)))
        got = unflat(pairs[3][0].get(), count, m, n, orders[3])
        close(got, want, dtype, f"Matmul of type {kind}, compute {compute}", k)
        lt.close()


def test_lt_beta_zero_reads_no_c(device, random):
    lt = Lt(device)
    descriptor = lt.make("MatmulDesc", 68, R_32F)
    layout = lt.layout(R_32F, 4, 4, 4)
    ones, nan = device.array(numpy.ones(16, numpy.float32)), device.array(numpy.full(16, numpy.nan, numpy.float32))
    one, zero = f32(1), f32(0)
    lt.product(descriptor, ctypes.byref(one), (ones, layout), (ones, layout), ctypes.byref(zero), (nan, layout), (nan, layout))
    close(nan.get(), numpy.full(16, 4.0), numpy.float32, "beta of 0")
    lt.close()


def test_lt_epilogues(device, random):
    for epilogue in [1, 2, 130, 4, 6, 134, 136, 152, 32, 160, 36, 164, 192, 208, 256, 512]:
        kind = [R_32F, R_16F][int(random.integers(2))]
        dtype = KINDS[kind]
        lt = Lt(device)
        m, n, k = (int(size) for size in random.integers(1, 30, 3))
        m, count = 8 * ((m + 7) // 8), int(random.integers(1, 3))
        descriptor = lt.make("MatmulDesc", 68, R_32F)
        lt.set("MatmulDesc", descriptor, EPILOGUE, i32(epilogue))
        a, b, c = (normal(random, (count, *size), dtype) for size in [(m, k), (k, n), (m, n)])
        arrays = [device.array(flat(batch, False)) for batch in (a, b, c)]
        layouts = [lt.layout(kind, *size, size[0], count=count, stride=size[0] * size[1]) for size in [(m, k), (k, n), (m, n)]]
        product = (a.astype(numpy.float64) @ b.astype(numpy.float64)) * 0.5 + 0.25 * c.astype(numpy.float64)
        length = n if epilogue == 512 else m
        bias = normal(random, (count, length), dtype)
        bias_array = device.array(bias.reshape(-1))
        lt.set("MatmulDesc", descriptor, BIAS, i64(bias_array.address))
        lt.set("MatmulDesc", descriptor, BIAS_STRIDE, i64(length))
        bits = epilogue & 10 and epilogue & 128
        aux_ld = 128 if bits else m
        lt.set("MatmulDesc", descriptor, AUX_LD, i64(aux_ld))
        lt.set("MatmulDesc", descriptor, AUX_STRIDE, i64(aux_ld * n))
        if bits:
            mask = random.integers(0, 2, (count, n, 128)).astype(bool)
            aux = device.array(numpy.packbits(mask, axis=-1, bitorder="little").reshape(-1))
        else:
            given = normal(random, (count, m, n), dtype)
            aux = device.array(flat(given, False))
        lt.set("MatmulDesc", descriptor, AUX, i64(aux.address))
        half, quarter = f32(0.5), f32(0.25)
        lt.product(descriptor, ctypes.byref(half), (arrays[0], layouts[0]), (arrays[1], layouts[1]), ctypes.byref(quarter),
                   (arrays[2], layouts[2]), (arrays[2], layouts[2]))
        want = product
        if epilogue in (4, 6, 134, 36, 164):
            want = want + bias.astype(numpy.float64)[:, :, None]
        before = want
        if epilogue in (2, 130, 6, 134):
            want = numpy.maximum(want, 0)
        if epilogue in (32, 160, 36, 164):
            want = gelu(want)
        if epilogue in (136, 152):
            want = numpy.where(mask[:, :, :m].transpose(0, 2, 1), want, 0)
        if epilogue in (192, 208):
            want = want * gelu_gradient(given.astype(numpy.float64))
        what = f"epilogue {epilogue} of type {kind}"
        close(unflat(arrays[2].get(), count, m, n, False), want, dtype, what, k)
        got_bias = bias_array.get().reshape(count, length)
        if epilogue in (152, 208):
            close(got_bias, want.sum(2), dtype, what + ", gradient of the bias", k + n)
        if epilogue == 256:
            close(got_bias, a.astype(numpy.float64).sum(2), dtype, what + ", sums of A", k)
        if epilogue == 512:
            close(got_bias, b.astype(numpy.float64).sum(1), dtype, what + ", sums of B", k)
        if epilogue in (130, 134):
            got = numpy.unpackbits(aux.get().reshape(count, n, 16), axis=-1, bitorder="little")[:, :, :m].transpose(0, 2, 1)
            # Where the sum is nearly 0, rounding decides.
            sure = numpy.abs(before) > 1e-2
            same(bool((got == (before > 0))[sure].all()), True, what + ", bits")
        if epilogue in (160, 164):
            close(unflat(aux.get(), count, m, n, False), before, dtype, what + ", what was given", k)
        lt.close()


def test_lt_types(device, random):
    """Brain floats, floats of 8 bits with scales, bytes."""
    m, n, k = (int(size) for size in random.integers(1, 30, 3))
    a, b, c = (normal(random, size, numpy.float32) for size in [(k, m), (k, n), (m, n)])
    lt = Lt(device)
    one, half = f32(1), f32(0.5)

    def run(kinds, arrays, scale=R_32F, compute=68, scalars=(one, half), before=lambda descriptor: None):
        descriptor = lt.make("MatmulDesc", compute, scale)
        lt.set("MatmulDesc", descriptor, TRANSA, i32(1))
        before(descriptor)
        sizes = [(k, m), (k, n), (m, n), (m, n)]
        pairs = [(array, lt.layout(kind, *size, size[0])) for array, kind, size in zip(arrays, kinds, sizes)]
        alpha, beta = (ctypes.byref(scalar) for scalar in scalars)
        lt.product(descriptor, alpha, pairs[0], pairs[1], beta, pairs[2], pairs[3])

    # Brain floats.
    bits = [bf16(values) for values in (a, b, c)]
    plain = [from_bf16(values).astype(numpy.float64) for values in bits]
    d = device.array(numpy.zeros((m, n), numpy.uint16))
    run([R_16BF] * 4, [device.array(values) for values in bits] + [d])
    close(from_bf16(d.get()), plain[0].T @ plain[1] + plain[2] / 2, numpy.float16, "brain floats", 8 * k)

    # Floats of 8 bits: 1, 2 and -0.5 in both formats.
    values, e4m3, e5m2 = numpy.array([1, 2, -0.5]), [0x38, 0x40, 0xB0], [0x3C, 0x40, 0xB8]
    chosen = [random.integers(0, 3, size) for size in [(k, m), (k, n)]]
    scales = [device.array(numpy.array([value], numpy.float32)) for value in (2, 0.25, 0.5, 0)]

    def scaled(descriptor):
        lt.set("MatmulDesc", descriptor, A_SCALE, i64(scales[0].address))
        lt.set("MatmulDesc", descriptor, B_SCALE, i64(scales[1].address))
        lt.set("MatmulDesc", descriptor, D_SCALE, i64(scales[2].address))
        lt.set("MatmulDesc", descriptor, D_MAXIMUM, i64(scales[3].address))

    arrays = [device.array(numpy.array(codes, numpy.uint8)[choice]) for codes, choice in zip((e4m3, e5m2), chosen)]
    c16 = c.astype(numpy.float16)
    d = device.array(numpy.zeros((m, n), numpy.float16))
    run([E4M3, E5M2, R_16F, R_16F], arrays + [device.array(c16), d], before=scaled)
    sums = values[chosen[0]].T @ values[chosen[1]] * 0.5 + c16.astype(numpy.float64) / 2
    close(d.get(), sums * 0.5, numpy.float16, "floats of 8 bits", k)
    close(scales[3].get(), numpy.abs(sums).max(), numpy.float32, "the largest", k)

    # Bytes, summed as integers, and back to bytes with a scale.
    whole = [random.integers(-128, 128, size).astype(numpy.int8) for size in [(k, m), (k, n)]]
    exact = whole[0].astype(numpy.int64).T @ whole[1].astype(numpy.int64)
    d = device.array(numpy.zeros((m, n), numpy.int32))
    arrays = [device.array(values) for values in whole]
    run([R_8I, R_8I, R_32I, R_32I], arrays + [d, d], R_32I, 72, (i32(2), i32(0)))
    same(bool((d.get() == 2 * exact).all()), True, "bytes to integers")
    d = device.array(numpy.zeros((m, n), numpy.int8))
    run([R_8I] * 4, arrays + [d, d], R_32F, 72, (f32(1 / 1024), f32(0)))
    same(bool((d.get() == numpy.clip(numpy.rint(exact / 1024), -128, 127)).all()), True, "bytes to bytes")
    lt.close()


def test_lt_vectors_of_alpha(device, random):
    m, n, k = (int(size) for size in random.integers(1, 20, 3))
    a, b, c = (normal(random, size, numpy.float32) for size in [(m, k), (k, n), (m, n)])
    alpha, beta = normal(random, (2, m), numpy.float32)
    vectors = [device.array(alpha), device.array(beta)]
    host = f32(0.5)
    for mode in (2, 3, 4):
        lt = Lt(device)
        descriptor = lt.make("MatmulDesc", 68, R_32F)
        lt.set("MatmulDesc", descriptor, POINTER_MODE, i32(mode))
        pairs = [(device.array(values), lt.layout(R_32F, *values.shape, values.shape[0])) for values in (a, b, c)]
        second = {2: vectors[1].p, 3: None, 4: ctypes.byref(host)}[mode]
        lt.product(descriptor, vectors[0].p, pairs[0], pairs[1], second, pairs[2], pairs[2])
        factor = {2: beta[:, None], 3: 0, 4: 0.5}[mode]
        close(pairs[2][0].get(), alpha[:, None] * (a @ b) + factor * c, numpy.float32, f"pointer mode {mode}", k)
        lt.close()


def test_lt_transform(device, random):
    lt = Lt(device)
    rows, columns = (int(size) for size in random.integers(1, 30, 2))
    operations = [int(operation) for operation in random.integers(0, 2, 2)]
    orders = [bool(order) for order in random.integers(0, 2, 3)]
    sizes = [(rows, columns) if operation == 0 else (columns, rows) for operation in operations] + [(rows, columns)]
    matrices = [normal(random, (1, *size), numpy.float32) for size in sizes]
    arrays = [device.array(flat(matrix, order)) for matrix, order in zip(matrices, orders)]
    layouts = [lt.layout(R_32F, *size, size[1] if order else size[0], order) for size, order in zip(sizes, orders)]
    descriptor = lt.make("MatrixTransformDesc", R_32F)
    lt.set("MatrixTransformDesc", descriptor, 2, i32(operations[0]))
    lt.set("MatrixTransformDesc", descriptor, 3, i32(operations[1]))
    alpha, beta = f32(2), f32(-0.5)
    lt("MatrixTransform", device.lt, descriptor, ctypes.byref(alpha), arrays[0].p, layouts[0], ctypes.byref(beta),
       arrays[1].p, layouts[1], arrays[2].p, layouts[2], device.stream)
    want = 2 * operated(matrices[0][0], operations[0]) - 0.5 * operated(matrices[1][0], operations[1])
    close(unflat(arrays[2].get(), 1, rows, columns, orders[2])[0], want, numpy.float32, "MatrixTransform")
    lt("MatrixTransform", device.lt, descriptor, ctypes.byref(alpha), arrays[0].p, layouts[0], ctypes.byref(f32(0)), None,
       None, arrays[2].p, layouts[2], device.stream)
    close(unflat(arrays[2].get(), 1, rows, columns, orders[2])[0], 2 * operated(matrices[0][0], operations[0]), numpy.float32,
          "MatrixTransform of one")
    lt.close()


def test_lt_refusals(device, random):
    lt = Lt(device)
    good = lt.layout(R_32F, 4, 4, 4)
    block = device.array(numpy.ones(16, numpy.float32))
    one = f32(1)

    def code(descriptor, layouts, handle=None, where=None):
        a, b, c, d = layouts
        return lt.code("Matmul", handle or device.lt, descriptor, ctypes.byref(one), where or block.p, a, block.p, b,
                       ctypes.byref(one), block.p, c, block.p, d, None, None, ctypes.c_size_t(0), device.stream)

    descriptor = lt.make("MatmulDesc", 68, R_32F)
    same(code(descriptor, [good] * 4), 0, "the good one")
    same(code(descriptor, [good] * 4, handle=pointer(64)), NOT_INITIALIZED, "no handle")
    same(code(descriptor, [good] * 4, handle=device.handle), 0, "a handle of cuBLAS")
    same(code(descriptor, [good, lt.layout(R_32F, 5, 4, 5), good, good]), INVALID_VALUE, "lengths that differ")
    same(code(descriptor, [good, good, good, lt.layout(R_32F, 4, 4, 3)]), INVALID_VALUE, "a leading dimension too small")
    same(code(descriptor, [good, good, good, lt.layout(R_32F, 4, 4, 4, count=2)]), INVALID_VALUE, "batches that differ")
    same(code(descriptor, [good, lt.layout(R_64F, 4, 4, 4), good, good]), NOT_SUPPORTED, "types that do not fit")
    same(code(good, [good] * 4), INVALID_VALUE, "a layout for a descriptor")
    same(code(descriptor, [good] * 4, where=pointer(4096)) in WILD, True, "a wild pointer")
    needs_bias = lt.make("MatmulDesc", 68, R_32F)
    lt.set("MatmulDesc", needs_bias, EPILOGUE, i32(4))
    same(code(needs_bias, [good] * 4), INVALID_VALUE, "no bias")
    same(lt.code("MatmulDescSetAttribute", needs_bias, EPILOGUE, ctypes.byref(one), ctypes.c_size_t(8)), INVALID_VALUE,
         "an attribute's size")
    found = i32(7)
    results = (ctypes.c_uint64 * 12)()
    same(lt.code("MatmulAlgoGetHeuristic", device.lt, descriptor, good, lt.layout(R_64F, 4, 4, 4), good, good,
                 lt.make("MatmulPreference"), 1, results, ctypes.byref(found)), NOT_SUPPORTED, "no algorithm")
    same(found.value, 0, "algorithms found")
    device.synchronise()
    lt.close()
