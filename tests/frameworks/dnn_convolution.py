"""Convolutions of one to three dimensions, all ways, and what is fused with them."""

import numpy

from dnn_device import *

CONVOLUTION, CROSS_CORRELATION = 0, 1
RELU, IDENTITY = 1, 5


class Shape:
    """A convolution at random, and what it means."""

    def __init__(self, random, dimensions):
        self.dimensions = dimensions
        self.groups = int(random.choice([1, 1, 2, 3]))
        self.batch = int(random.integers(1, 4))
        self.inputs, self.outputs = (self.groups * size for size in sizes(random, 1, 5, 2))
        # cuDNN knows none with one dimension: it has a height of 1.
        spread = max(2, dimensions)
        self.window = numpy.array(sizes(random, 1, 5 if dimensions < 3 else 4, spread))
        self.stride, self.dilation = (numpy.array(sizes(random, 1, 3, spread)) for _ in range(2))
        self.pad = numpy.array([int(random.integers(0, size + 1)) for size in self.window])
        reach = (self.window - 1) * self.dilation + 1
        self.image = numpy.maximum(reach - 2 * self.pad, 1) + numpy.array(sizes(random, 0, 9 if dimensions < 3 else 5, spread))
        if dimensions == 1:
            for what, value in [(self.window, 1), (self.stride, 1), (self.dilation, 1), (self.pad, 0), (self.image, 1)]:
                what[0] = value
            reach = (self.window - 1) * self.dilation + 1
        self.result = (self.image + 2 * self.pad - reach) // self.stride + 1
        self.mode = int(random.integers(2))

    def x(self, random, dtype):
        return normal(random, (self.batch, self.inputs, *self.image), dtype)

    def w(self, random, dtype):
        return normal(random, (self.outputs, self.inputs // self.groups, *self.window), dtype)

    def y(self, random, dtype):
        return normal(random, (self.batch, self.outputs, *self.result), dtype)

    def descriptor(self, dnn, dtype):
        compute = KINDS[numpy.dtype(numpy.float64 if dtype == numpy.float64 else numpy.float32)]
        descriptor = dnn.made("Convolution", i32(len(self.pad)), ints(self.pad), ints(self.stride), ints(self.dilation),
                              self.mode, compute, how="Nd")
        dnn("SetConvolutionGroupCount", descriptor, i32(self.groups))
        return descriptor

    def taps(self):
        """For each weight of the window: its place in the filter, and the part of the padded image that meets it."""
        for place in numpy.ndindex(*self.window):
            at = place if self.mode == CROSS_CORRELATION else tuple(self.window - 1 - place)
            first = numpy.array(place) * self.dilation
            part = [slice(begin, begin + step * count, step) for begin, step, count in zip(first, self.stride, self.result)]
            yield (..., *at), (..., *part)

    def padded(self, x):
        return numpy.pad(wide(x), [(0, 0), (0, 0), *((pad, pad) for pad in self.pad)])

    def grouped(self, values, axis):
        """With the axis of channels split into groups."""
        shape = list(values.shape)
        shape[axis:axis + 1] = [self.groups, shape[axis] // self.groups]
        return values.reshape(shape)

    def forward(self, x, w):
        x, w = self.grouped(self.padded(x), 1), self.grouped(wide(w), 0)
        y = sum(numpy.einsum("ngc...,gkc->ngk...", x[part], w[place]) for place, part in self.taps())
        return y.reshape(self.batch, self.outputs, *self.result)

    def backward_data(self, dy, w):
        dy, w = self.grouped(wide(dy), 1), self.grouped(wide(w), 0)
        dx = numpy.zeros((self.batch, self.groups, self.inputs // self.groups, *(self.image + 2 * self.pad)))
        for place, part in self.taps():
            dx[part] += numpy.einsum("ngk...,gkc->ngc...", dy, w[place])
        inside = tuple(slice(pad, pad + size) for pad, size in zip(self.pad, self.image))
        return dx[(..., *inside)].reshape(self.batch, self.inputs, *self.image)

    def backward_filter(self, x, dy):
        x, dy = self.grouped(self.padded(x), 1), self.grouped(wide(dy), 1)
        dw = numpy.zeros((self.groups, self.outputs // self.groups, self.inputs // self.groups, *self.window))
        for place, part in self.taps():
            flat = [values.reshape(*values.shape[:3], -1) for values in (x[part], dy)]
            dw[place] = numpy.einsum("ngcs,ngks->gkc", *flat)
        return dw.reshape(self.outputs, -1, *self.window)


def layouts(random, dtype):
    """Of the image, the weights and the result; doubles only as they are commonly kept."""
    return [NCHW] * 3 if dtype == numpy.float64 else [int(random.integers(2))] * 3


def convolution(dnn, random, dimensions):
    shape, dtype = Shape(random, dimensions), some_type(random)
    x, w, y = shape.x(random, dtype), shape.w(random, dtype), shape.y(random, dtype)
    how, (lx, lw, ly) = shape.descriptor(dnn, dtype), layouts(random, dtype)
    what = f"{dimensions}D of {shape.image} by {shape.window}, {dtype.__name__}"

    told = ints([0] * x.ndim)
    tx, tw, ty = Tensor(dnn, x, lx), Filter(dnn, w, lw), Tensor(dnn, y, ly)
    dnn("GetConvolutionNdForwardOutputDim", how, tx.descriptor, tw.descriptor, i32(x.ndim), told)
    same(list(told), list(y.shape), what + ": its shape")

    blend = Blend(random, dtype)
    size = dnn.bytes("GetConvolutionForwardWorkspaceSize", dnn.handle, tx.descriptor, tw.descriptor, how, ty.descriptor, 1)
    space = dnn.space(size)
    dnn.run("ConvolutionForward", blend.a, *tx.pair, *tw.pair, how, 1, space.p, size_t(size), blend.b, *ty.pair)
    close(wide(ty.get()), blend(shape.forward(x, w), wide(y)), dtype, what, w[0].size)

    blend, dy, tx = Blend(random, dtype), Tensor(dnn, y, ly), Tensor(dnn, x, lx)
    size = dnn.bytes("GetConvolutionBackwardDataWorkspaceSize", dnn.handle, tw.descriptor, dy.descriptor, how, tx.descriptor, 1)
    space = dnn.space(size)
    dnn.run("ConvolutionBackwardData", blend.a, *tw.pair, *dy.pair, how, 1, space.p, size_t(size), blend.b, *tx.pair)
    close(wide(tx.get()), blend(shape.backward_data(y, w), wide(x)), dtype, what + ", backward by data", w[:, 0].size)

    blend, tx = Blend(random, dtype), Tensor(dnn, x, lx)
    size = dnn.bytes("GetConvolutionBackwardFilterWorkspaceSize", dnn.handle, tx.descriptor, dy.descriptor, how, tw.descriptor, 1)
    space = dnn.space(size)
    dnn.run("ConvolutionBackwardFilter", blend.a, *tx.pair, *dy.pair, how, 1, space.p, size_t(size), blend.b, *tw.pair)
    close(wide(tw.get()), blend(shape.backward_filter(x, y), wide(w)), dtype, what + ", backward by filter", y[:, 0].size)


def test_convolution_1d(dnn, random):
    convolution(dnn, random, 1)


def test_convolution_2d(dnn, random):
    convolution(dnn, random, 2)


def test_convolution_3d(dnn, random):
    convolution(dnn, random, 3)


def test_bias_and_activation(dnn, random):
    shape, dtype = Shape(random, 2), some_type(random)
    x, w, y, z = shape.x(random, dtype), shape.w(random, dtype), shape.y(random, dtype), shape.y(random, dtype)
    bias = normal(random, (1, shape.outputs, 1, 1), dtype)
    activation = [RELU, IDENTITY][int(random.integers(2))]
    lx, lw, ly = layouts(random, dtype)
    tx, tw, tz, tb, ty = Tensor(dnn, x, lx), Filter(dnn, w, lw), Tensor(dnn, z, ly), Tensor(dnn, bias), Tensor(dnn, y, ly)
    alpha1, alpha2 = normal(random, 2, numpy.float64) * [1, random.integers(2)]
    how = dnn.made("Activation", activation, 0, f64(0))
    factors = [Blend.scalar(value, dtype) for value in (alpha1, alpha2)]
    dnn.run("ConvolutionBiasActivationForward", ctypes.byref(factors[0]), *tx.pair, *tw.pair, shape.descriptor(dnn, dtype), 1,
            None, size_t(0), ctypes.byref(factors[1]), *tz.pair, *tb.pair, how, *ty.pair)
    want = alpha1 * shape.forward(x, w) + alpha2 * wide(z) + wide(bias)
    close(wide(ty.get()), numpy.maximum(want, 0) if activation == RELU else want, dtype, "bias and activation", w[0].size)

    blend, dy, db = Blend(random, dtype), Tensor(dnn, y, ly), Tensor(dnn, bias)
    dnn.run("ConvolutionBackwardBias", blend.a, *dy.pair, blend.b, *db.pair)
    want = blend(wide(y).sum(axis=(0, 2, 3), keepdims=True), wide(bias))
    close(wide(db.get()), want, dtype, "backward by bias", y[:, 0].size)


def test_algorithms_are_offered(dnn, random):
    """Each way answers with algorithms whose status is 0, and with how large their workspace is."""
    shape, dtype = Shape(random, 2), numpy.float32
    how = shape.descriptor(dnn, dtype)
    x, w, y = Tensor(dnn, shape.x(random, dtype)), Filter(dnn, shape.w(random, dtype)), Tensor(dnn, shape.y(random, dtype))
    for way, descriptors in [("Forward", (x, w, how, y)), ("BackwardData", (w, y, how, x)), ("BackwardFilter", (x, y, how, w))]:
        plain = [getattr(value, "descriptor", value) for value in descriptors]
        found, results = i32(), (ctypes.c_uint8 * 48 * 8)()
        dnn(f"GetConvolution{way}Algorithm_v7", dnn.handle, *plain, i32(8), ctypes.byref(found), results)
        same(found.value >= 1, True, way + ": algorithms found")
        algorithm, status = numpy.frombuffer(results[0], numpy.int32)[:2]
        memory = int(numpy.frombuffer(results[0], numpy.uint64)[2])
        same(int(status), 0, way + ": status of the first")
        size = dnn.bytes(f"GetConvolution{way}WorkspaceSize", dnn.handle, *plain, int(algorithm))
        same(memory, size, way + ": workspace of the first")


def test_refused_convolutions(dnn, random):
    """Tensors that do not fit each other are refused, and leave the library in order."""
    good = Shape(random, 2)
    x, w = good.x(random, numpy.float32), good.w(random, numpy.float32)
    one, zero = one_and_zero(numpy.float32)
    y = Tensor(dnn, normal(random, (good.batch, good.outputs + 1, *good.result), numpy.float32))
    tx, tw, how = Tensor(dnn, x), Filter(dnn, w), good.descriptor(dnn, numpy.float32)
    size = size_t()
    code = dnn.code("GetConvolutionForwardWorkspaceSize", dnn.handle, tx.descriptor, tw.descriptor, how, y.descriptor, 1,
                    ctypes.byref(size))
    same(code // 1000, BAD_PARAM // 1000, "a result of another shape")
    ty = Tensor(dnn, good.y(random, numpy.float32))
    dnn.run("ConvolutionForward", one, *tx.pair, *tw.pair, how, 1, None, size_t(0), zero, *ty.pair)
    close(wide(ty.get()), good.forward(x, w), numpy.float32, "one that fits", w[0].size)
