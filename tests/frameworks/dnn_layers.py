"""Pooling, activations, softmax, normalisation across channels, dropout."""

import numpy

from dnn_device import *

MAX, AVERAGE_WITH_PADDING, AVERAGE_WITHOUT_PADDING, MAX_DETERMINISTIC = 0, 1, 2, 3
SIGMOID, RELU, TANH, CLIPPED_RELU, ELU, IDENTITY, SWISH = range(7)
FAST, ACCURATE, LOG = 0, 1, 2
INSTANCE, CHANNEL = 0, 1


def image(random, spread, low=1, high=9):
    return (*sizes(random, 1, 5, 2), *sizes(random, low, high, spread))


def windows(shape, window, pad, stride):
    """Of each element of the result: its place, and the part of the image under its window."""
    result = [(size + 2 * p - k) // s + 1 for size, k, p, s in zip(shape, window, pad, stride)]
    for place in numpy.ndindex(*result):
        first = [at * s - p for at, s, p in zip(place, stride, pad)]
        yield place, tuple(slice(max(f, 0), min(f + k, size)) for f, k, size in zip(first, window, shape))


def pooled(x, y_shape, mode, settings, dy):
    """The result, and the gradient by the image for the gradient `dy`."""
    y, dx = numpy.zeros(y_shape), numpy.zeros(x.shape)
    for place, part in windows(x.shape[2:], *settings):
        at, under = (..., *place), (..., *part)
        seen = x[under].reshape(*x.shape[:2], -1)
        if mode in (MAX, MAX_DETERMINISTIC):
            y[at] = seen.max(-1)
            largest = seen == y[at][..., None]
            dx[under] += (largest * dy[at][..., None]).reshape(x[under].shape)
        else:
            count = numpy.prod(settings[0]) if mode == AVERAGE_WITH_PADDING else seen.shape[-1]
            y[at] = seen.sum(-1) / count
            dx[under] += (dy[at] / count)[(..., *[None] * len(place))]
    return y, dx


def test_pooling(dnn, random):
    spread, dtype = int(random.integers(2, 4)), some_type(random, halves=False)
    layout, mode = int(random.integers(2)), int(random.integers(4))
    window = sizes(random, 1, 4, spread)
    pad, stride = [int(random.integers(0, k)) for k in window], sizes(random, 1, 4, spread)
    shape = image(random, spread, 3, 8)
    x = normal(random, shape, dtype)
    how = dnn.made("Pooling", mode, 1, i32(spread), ints(window), ints(pad), ints(stride), how="Nd")
    tx, told = Tensor(dnn, x, layout), ints([0] * x.ndim)
    dnn("GetPoolingNdForwardOutputDim", how, tx.descriptor, i32(x.ndim), told)
    want = [(size + 2 * p - k) // s + 1 for size, k, p, s in zip(shape[2:], window, pad, stride)]
    same(list(told), [*shape[:2], *want], "shape of pooling")

    y, dy = normal(random, tuple(told), dtype), normal(random, tuple(told), dtype)
    want_y, want_dx = pooled(wide(x), y.shape, mode, (window, pad, stride), wide(dy))
    blend, ty = Blend(random, dtype), Tensor(dnn, y, layout)
    dnn.run("PoolingForward", how, blend.a, *tx.pair, blend.b, *ty.pair)
    close(wide(ty.get()), blend(want_y, wide(y)), dtype, f"pooling of mode {mode}", 10)

    blend, ty, tdy, dx = Blend(random, dtype), Tensor(dnn, want_y.astype(dtype), layout), Tensor(dnn, dy, layout), Tensor(dnn, x, layout)
    dnn.run("PoolingBackward", how, blend.a, *ty.pair, *tdy.pair, *tx.pair, blend.b, *dx.pair)
    close(wide(dx.get()), blend(want_dx, wide(x)), dtype, f"pooling of mode {mode}, backward", 30)


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def activations(coefficient):
    """The function and its derivative."""
    return {
        SIGMOID: (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
        RELU: (lambda x: numpy.maximum(x, 0), lambda x: (x > 0) * 1.0),
        TANH: (numpy.tanh, lambda x: 1 - numpy.tanh(x) ** 2),
        CLIPPED_RELU: (lambda x: numpy.clip(x, 0, coefficient), lambda x: ((x > 0) & (x < coefficient)) * 1.0),
        ELU: (lambda x: numpy.where(x > 0, x, coefficient * numpy.expm1(x)),
              lambda x: numpy.where(x > 0, 1, coefficient * numpy.exp(x))),
        SWISH: (lambda x: x * sigmoid(coefficient * x),
                lambda x: sigmoid(coefficient * x) * (1 + coefficient * x * (1 - sigmoid(coefficient * x)))),
    }


def test_activations(dnn, random):
    dtype, coefficient = some_type(random, halves=False), float(random.uniform(0.3, 1.5))
    layout, shape = int(random.integers(2)), image(random, 2)
    x, y, dy = (normal(random, shape, dtype) for _ in range(3))
    for mode, (function, derivative) in activations(coefficient).items():
        how = dnn.made("Activation", mode, 1, f64(coefficient))
        if mode == SWISH:
            dnn("SetActivationDescriptorSwishBeta", how, f64(coefficient))
        blend, tx, ty = Blend(random, dtype), Tensor(dnn, x, layout), Tensor(dnn, y, layout)
        dnn.run("ActivationForward", how, blend.a, *tx.pair, blend.b, *ty.pair)
        close(wide(ty.get()), blend(function(wide(x)), wide(y)), dtype, f"activation {mode}", 10)
        blend, ty = Blend(random, dtype), Tensor(dnn, function(wide(x)).astype(dtype), layout)
        tdy, dx = Tensor(dnn, dy, layout), Tensor(dnn, y, layout)
        dnn.run("ActivationBackward", how, blend.a, *ty.pair, *tdy.pair, *tx.pair, blend.b, *dx.pair)
        close(wide(dx.get()), blend(derivative(wide(x)) * dy, wide(y)), dtype, f"activation {mode}, backward", 10)


def test_softmax(dnn, random):
    dtype, layout, mode = some_type(random, halves=False), int(random.integers(2)), int(random.integers(2))
    shape = image(random, 2)
    x, y, dy = 4 * normal(random, shape, dtype), normal(random, shape, dtype), normal(random, shape, dtype)
    axes = (1, 2, 3) if mode == INSTANCE else 1
    powers = numpy.exp(wide(x) - wide(x).max(axes, keepdims=True))
    share = powers / powers.sum(axes, keepdims=True)
    for algorithm in (FAST, ACCURATE, LOG):
        out = numpy.log(share) if algorithm == LOG else share
        blend, tx, ty = Blend(random, dtype), Tensor(dnn, x, layout), Tensor(dnn, y, layout)
        dnn.run("SoftmaxForward", algorithm, mode, blend.a, *tx.pair, blend.b, *ty.pair)
        close(wide(ty.get()), blend(out, wide(y)), dtype, f"softmax {algorithm} {mode}", 10)
        if algorithm == LOG:
            gradient = dy - share * dy.sum(axes, keepdims=True)
        else:
            gradient = share * (dy - (dy * share).sum(axes, keepdims=True))
        blend, ty, tdy, dx = Blend(random, dtype), Tensor(dnn, out.astype(dtype), layout), Tensor(dnn, dy, layout), Tensor(dnn, x, layout)
        dnn.run("SoftmaxBackward", algorithm, mode, blend.a, *ty.pair, *tdy.pair, blend.b, *dx.pair)
        close(wide(dx.get()), blend(gradient, wide(x)), dtype, f"softmax {algorithm} {mode}, backward", 10)


def test_normalisation_across_channels(dnn, random):
    dtype, width = some_type(random, halves=False), int(random.integers(1, 8))
    alpha, beta, k = (float(value) for value in random.uniform(0.5, 2, 3))
    shape = (2, int(random.integers(1, 9)), *sizes(random, 1, 6, 2))
    x, y, dy = (normal(random, shape, dtype) for _ in range(3))
    behind = (width - 1) // 2
    channels = numpy.arange(shape[1])
    distance = numpy.subtract.outer(channels, channels)  # [center, other]
    near = ((distance <= behind) & (-distance <= width - behind - 1)) * 1.0
    base = k + alpha / width * numpy.einsum("cd,ndhw->nchw", near, wide(x) ** 2)
    out = wide(x) * base ** -beta
    spread = wide(dy) * wide(x) * base ** (-beta - 1)
    gradient = dy * base ** -beta - 2 * alpha * beta / width * wide(x) * numpy.einsum("dc,ndhw->nchw", near, spread)
    how = dnn.made("LRN", ctypes.c_uint(width), f64(alpha), f64(beta), f64(k))
    blend, tx, ty = Blend(random, dtype), Tensor(dnn, x), Tensor(dnn, y)
    dnn.run("LRNCrossChannelForward", how, 0, blend.a, *tx.pair, blend.b, *ty.pair)
    close(wide(ty.get()), blend(out, wide(y)), dtype, "LRN", 10)
    blend, ty, tdy, dx = Blend(random, dtype), Tensor(dnn, out.astype(dtype)), Tensor(dnn, dy), Tensor(dnn, x)
    dnn.run("LRNCrossChannelBackward", how, 0, blend.a, *ty.pair, *tdy.pair, *tx.pair, blend.b, *dx.pair)
    close(wide(dx.get()), blend(gradient, wide(x)), dtype, "LRN, backward", 20)


def test_dropout(dnn, random):
    rate, shape = float(random.uniform(0.1, 0.9)), (1, 1, 60, 70)
    x, dy = numpy.ones(shape, numpy.float32), normal(random, shape, numpy.float32)
    tx, tdy = Tensor(dnn, x), Tensor(dnn, dy)
    states = dnn.space(dnn.bytes("DropoutGetStatesSize", dnn.handle))
    size = dnn.bytes("DropoutGetReserveSpaceSize", tx.descriptor)
    reserve = dnn.space(size)
    drawn = []
    for seed in (5, 5, 6):
        how = dnn.made("Dropout", dnn.handle, f32(rate), states.p, size_t(states.bytes), ctypes.c_ulonglong(seed))
        ty, dx = Tensor(dnn, 0 * x), Tensor(dnn, 0 * x)
        dnn.run("DropoutForward", how, *tx.pair, *ty.pair, reserve.p, size_t(size))
        dnn.run("DropoutBackward", how, *tdy.pair, *dx.pair, reserve.p, size_t(size))
        kept = ty.get() != 0
        scale = kept / (1 - rate)
        close(ty.get(), scale, numpy.float32, "dropout")
        close(dx.get(), scale * dy, numpy.float32, "dropout, backward")
        # Of 4200 draws; six standard deviations.
        if abs(kept.mean() - (1 - rate)) > 6 * (rate * (1 - rate) / kept.size) ** 0.5:
            raise Failed(f"dropout of {rate} keeps {kept.mean()}")
        drawn.append(kept)
    same(bool((drawn[0] == drawn[1]).all()), True, "one seed, one mask")
    same(bool((drawn[0] == drawn[2]).all()), False, "other seeds, other masks")
